"""Opens a call's Realtime sessions, one after another: the first, and those that replace it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from service.realtime.client import Received, SessionError
from service.realtime.commands import ClientEvent
from service.realtime.event_log import EventLog

BACKOFF_S = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Before the first, second, … try to reopen; the last one stays. Each is stretched by up to a half, so that the calls
of a worker do not come back in step."""
FATAL = frozenset(
    {
        "account_deactivated",
        "beta_api_shape_disabled",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "invalid_api_key",
        "unauthorized",
    }
)
"""Codes after which no session will be had however often one asks."""

EXPIRED = "session_expired"
"""The session is at its end, though its connection may stay open."""


class Session(Protocol):
    """What a call needs of `service.realtime.client.RealtimeClient`."""

    audio_dropped: int

    def send(self, event: ClientEvent) -> None:
        """Queue an event; order is kept."""

    async def pump(self) -> None:
        """Send what is queued, until `SessionError`."""

    def events(self) -> AsyncIterator[Received]:
        """Server events, until `SessionError`."""

    async def close(self) -> None:
        """End the session."""


class OpenSession(Protocol):
    """`service.realtime.client.open_session`."""

    def __call__(
        self, url: str, model: str, api_key: str | None, session: dict[str, Any], log: EventLog | None
    ) -> Awaitable[tuple[Session, list[Received]]]:
        """Connect and configure; raises `SessionError`."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how sessions are opened."""

    url: str
    model: str
    api_key: str | None
    payload: dict[str, Any]
    connect_timeout_s: float

    def __repr__(self) -> str:
        return f"Target({self.url}, {self.model})"


class Sessions:
    """The sessions of one call. `on_opened` sees the events of each opening."""

    def __init__(
        self,
        open_session: OpenSession,
        target: Target,
        log: EventLog | None,
        on_opened: Callable[[list[Received]], None],
    ) -> None:
        self._open_session = open_session
        self._target = target
        self._log = log
        self._on_opened = on_opened

    async def open(self) -> Session | SessionError:
        """One try, bounded by `realtime.connect_timeout_s`."""
        target = self._target
        try:
            async with asyncio.timeout(target.connect_timeout_s):
                session, seen = await self._open_session(
                    target.url, target.model, target.api_key, target.payload, self._log
                )
        except SessionError as error:
            return error
        except TimeoutError:
            return SessionError("timeout", f"no session within {target.connect_timeout_s:g} s")
        self._on_opened(seen)
        return session

    async def reopen(self, worth_it: Callable[[], bool]) -> Session | SessionError:
        """Try until it works, a code is fatal, or it is no longer `worth_it`."""
        tries = 0
        while True:
            await asyncio.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)] * random.uniform(1.0, 1.5))  # noqa: S311
            tries += 1
            session = await self.open()
            if not isinstance(session, SessionError) or session.reason in FATAL or not worth_it():
                return session

    def close(self) -> None:
        """No more sessions: the event log is closed."""
        if self._log is not None:
            self._log.close()
            self._log = None
