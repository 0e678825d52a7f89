"""Outbox values, and the bytes of a webhook body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from service.clock import rfc3339
from service.errors import LocalProtocolError

State = Literal["ready", "sent", "dead"]
EndpointState = Literal["ok", "failing", "disabled"]

INLINE_TRANSCRIPT_BYTES = 19_500
"""Standard Webhooks asks for bodies below 20 kB: data that are larger leave without the whole transcript. The rest is
for the type, the timestamp and the place in the call."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A message that is on disk."""

    webhook_id: str
    seq: int
    """From 1, without holes, within the call."""


@dataclass(frozen=True, slots=True)
class KeptClaim:
    """An insurance claim as it stands, to be gone on with in another call."""

    reference: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeftCall:
    """A call that its worker has left open, as the store has it."""

    call_id: str
    messages: tuple[tuple[str, bytes], ...]
    """Type and data of those that are kept, in order, sent or not."""
    will: bytes | None
    """What the call noted last to be said in its place."""


LastWords = Callable[[LeftCall], Sequence[tuple[str, bytes]]]
"""Type and data of what is still to be said for a call. Pure: it is called inside a transaction."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A message leased to one deliverer for one try."""

    webhook_id: str
    call_id: str
    seq: int
    type: str
    body: bytes
    """The same bytes at every try."""
    attempt: int
    """From 1."""
    endpoint_failures: int
    """Consecutive failed tries of the endpoint when the message was claimed."""
    lease_until_s: float
    """Wall clock; also says which lease this is."""


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message, as an operator sees it. Times are Unix seconds."""

    webhook_id: str
    call_id: str
    seq: int
    type: str
    state: State
    attempts: int
    last_error: str | None
    created_at_s: float
    sent_at_s: float | None

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON, times as RFC 3339; without the body."""
        return {
            "webhook_id": self.webhook_id,
            "call_id": self.call_id,
            "seq": self.seq,
            "type": self.type,
            "state": self.state,
            "attempts": self.attempts,
            "last_error": self.last_error,
            "created_at": rfc3339(self.created_at_s),
            "sent_at": rfc3339(self.sent_at_s) if self.sent_at_s is not None else None,
        }


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages: all conditions must hold, None means any."""

    webhook_id: str | None = None
    call_id: str | None = None
    state: State | None = None
    since_s: float | None = None
    """Appended at or after, Unix seconds."""
    until_s: float | None = None
    """Appended before, Unix seconds."""


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """The health of the whole file, which several workers may share."""

    pending: int
    oldest_age_s: float
    """Age of the oldest message not sent yet; 0 when there is none."""
    dead: int
    endpoint: EndpointState
    endpoint_error: str | None
    """What the last failed try said."""


def encode_data(data: Mapping[str, Any]) -> bytes:
    """JSON of an event's own fields. Decimals become plain decimal strings.

    Raises LocalProtocolError for what JSON cannot carry: NaN, infinity, a foreign type.
    """
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"webhook data cannot be written as JSON: {error}") from None
    # Lone surrogates, which a model may escape into a transcript, have no UTF-8.
    return text.encode("utf-8", "replace")


def encode_body(  # noqa: PLR0917 - the columns of one row
    type_: str, event_at_s: float, call_id: str, seq: int, data: bytes, gap: bool
) -> bytes:
    """The body of a Standard Webhooks message, `{type, timestamp, data}`."""
    place: dict[str, Any] = {"call_id": call_id, "seq": seq} | ({"gap": True} if gap else {})
    return encode_data({"type": type_, "timestamp": rfc3339(event_at_s), "data": place | json.loads(data) | place})


def _plain(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no JSON form")
