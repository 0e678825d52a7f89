"""One try of one message over HTTP."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import aiohttp
from pydantic import SecretStr

from service import __version__
from service.config import Webhook
from service.outbox.backoff import Outcome, Verdict, outcome_of_status
from service.outbox.message import Claim
from service.outbox.signature import Secret, parse_secrets, sign
from service.outbox.target import GuardedResolver, Network, TargetError, Targets

ANSWER_BYTES_MAX = 65_536
ANSWER_TIMEOUT_S = 2.0
"""For the rest of an answer whose status is known: read to use the connection again, and to quote a refusal."""
QUOTE_CHARACTERS_MAX = 200


class Sender:
    """Signs and posts to one URL. Use with `async with`; connections stay open between tries."""

    def __init__(
        self,
        url: str,
        secrets: Sequence[Secret],
        *,
        allowed_networks: Sequence[Network],
        connect_timeout_s: float,
        timeout_s: float,
        read_timeout_s: float | None = None,
        clock: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`timeout_s` bounds a whole try, `read_timeout_s` the silence within one.

        `clock` gives Unix seconds, `tls` replaces the system's certificates.
        """
        self._url = url
        self._targets = Targets(url, allowed_networks)
        self._secrets = tuple(secrets)
        self.timeout_s = timeout_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=connect_timeout_s, sock_read=read_timeout_s)
        self._clock = clock
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def to(cls, url: str, secret: SecretStr, webhook: Webhook) -> Self:
        """As configured."""
        return cls(
            url,
            parse_secrets(secret.get_secret_value()),
            allowed_networks=webhook.allowed_networks,
            connect_timeout_s=webhook.connect_timeout_s,
            read_timeout_s=webhook.read_timeout_s,
            timeout_s=webhook.timeout_s,
        )

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls or True, resolver=GuardedResolver(self._targets)),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # A small answer must not become a large one.
            headers={"Content-Type": "application/json", "User-Agent": f"claimline/{__version__}"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, claim: Claim) -> Outcome:
        """Post the message once. Whatever the far end does becomes an outcome."""
        if self._session is None:
            raise RuntimeError("the sender is not entered")
        headers = sign(self._secrets, claim.webhook_id, claim.body, self._clock())
        try:
            self._targets.check_literal()
            async with self._session.post(
                self._url, data=claim.body, headers=headers, allow_redirects=False
            ) as response:
                outcome = replace(
                    outcome_of_status(response.status, response.headers.get("Retry-After"), self._clock()),
                    date=response.headers.get("Date"),
                )
                answer = await _read_answer(response)
        except TargetError as error:
            return Outcome(Verdict.RETRY, f"not sent: {error}")
        except aiohttp.ClientResponseError as error:
            # Its message quotes what came instead of HTTP, which may repeat what was sent.
            return Outcome(Verdict.RETRY, "not an HTTP answer", answer=_quote(error.message.encode()))
        except Exception as error:  # noqa: BLE001 - bytes from outside: no answer may end the deliverer
            return Outcome(Verdict.RETRY, _describe(error))
        if outcome.verdict is Verdict.DELIVERED:
            return outcome
        return replace(outcome, answer=_quote(answer))


async def _read_answer(response: aiohttp.ClientResponse) -> bytes:
    """At most ANSWER_BYTES_MAX. Unless it was all, the connection is closed: the verdict stands already."""
    answer = bytearray()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > ANSWER_BYTES_MAX:
                    response.close()
                    break
    except (aiohttp.ClientError, OSError, TimeoutError):
        response.close()
    return bytes(answer[:ANSWER_BYTES_MAX])


def _quote(answer: bytes) -> str:
    text = answer[: 4 * QUOTE_CHARACTERS_MAX].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text).strip()[:QUOTE_CHARACTERS_MAX]


def _describe(error: Exception) -> str:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return f"TLS: {error}"
        case aiohttp.ClientConnectorError():
            return f"no connection: {error.os_error.strerror or error.os_error}"
        case aiohttp.ServerDisconnectedError():
            return "closed without an answer"
        case _:
            return f"{type(error).__name__}: {_quote(str(error).encode('utf-8', 'replace'))}"
