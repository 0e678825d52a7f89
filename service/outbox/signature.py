"""Standard Webhooks 1.0.0 signatures: `v1,` and base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.errors import ClaimlineError, ConfigError

PREFIX = "whsec_"
TOLERANCE_S = 300.0
"""How far a timestamp may be off: the reference implementations' value."""


class SignatureError(ClaimlineError):
    """A message is not authentic, or not fresh."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A symmetric key, 24 to 64 bytes, that no repr shows."""

    key: bytes = field(repr=False)


def parse_secrets(text: str) -> tuple[Secret, ...]:
    """One `whsec_…`, or several separated by blanks while a key rotates; the first is the newest.

    Raises ConfigError, which names `webhook.secret` and not the value.
    """
    secrets = tuple(_parse(one) for one in text.split())
    if not secrets:
        raise ConfigError("webhook.secret is empty: it must be whsec_ followed by base64 of 24 to 64 random bytes")
    return secrets


def sign(secrets: Sequence[Secret], webhook_id: str, body: bytes, now_s: float) -> dict[str, str]:
    """The three headers of one try."""
    timestamp = str(int(now_s))
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, webhook_id, timestamp, body) for secret in secrets),
    }


def verify(secrets: Sequence[Secret], headers: Mapping[str, str], body: bytes, now_s: float) -> str:
    """Check a received message; gives its `webhook-id`. Header names are looked up in lower case.

    Raises SignatureError.
    """
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (webhook_id and timestamp and signatures):
        raise SignatureError("webhook-id, webhook-timestamp or webhook-signature is missing")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise SignatureError("webhook-timestamp is not whole Unix seconds")
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise SignatureError(f"webhook-timestamp is more than {TOLERANCE_S:.0f} s off")
    expected = [_signature(secret, webhook_id, timestamp, body).encode() for secret in secrets]
    given = [one.encode("utf-8", "replace") for one in signatures.split(" ")]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given):
        raise SignatureError("webhook-signature does not match")
    return webhook_id


def _parse(text: str) -> Secret:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX) + "=" * (-len(text.removeprefix(PREFIX)) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (text.startswith(PREFIX) and 24 <= len(key) <= 64):
        raise ConfigError("webhook.secret must be whsec_ followed by base64 of 24 to 64 random bytes")
    return Secret(key)


def _signature(secret: Secret, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((webhook_id.encode("utf-8", "surrogateescape"), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret.key, signed, hashlib.sha256)).decode()
