"""The loop's side of a dialog: orders go to the SIP thread, events and ticks come back on the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from service.call.leg import Ended, Invite, LegEvent
from service.media.ring import AudioHandover


@dataclass(frozen=True, slots=True)
class Ring:
    """Send 180."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Send 200."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Send a final failure."""

    code: int
    phrase: str
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Hangup:
    """Send BYE, CANCEL or 480, whichever the dialog's state asks for."""

    reason: str | None = None


Order = Ring | Answer | Refuse | Hangup


class SipLeg:
    """A `service.call.leg.Leg`. Everything but `tell` belongs to the loop."""

    def __init__(self, invite: Invite, loop: asyncio.AbstractEventLoop, send: Callable[[SipLeg, Order], None]) -> None:
        self.invite = invite
        self.audio = AudioHandover()
        self._loop = loop
        self._send = send
        self._on_event: Callable[[LegEvent], None] | None = None
        self._on_tick: Callable[[], None] | None = None
        self._early: list[LegEvent] = []
        self._ended = False

    # -- the SIP thread -----------------------------------------------------------------------

    def tell(self, event: LegEvent) -> None:
        """Hand an event to the loop."""
        with contextlib.suppress(RuntimeError):  # The loop may be closed: nobody is left to be told.
            self._loop.call_soon_threadsafe(self._deliver, event)

    # -- the loop --------------------------------------------------------------------------------------------------

    def listen(self, on_event: Callable[[LegEvent], None], on_tick: Callable[[], None]) -> None:
        """See `Leg`."""
        self._on_event, self._on_tick = on_event, on_tick
        early, self._early = self._early, []
        for event in early:
            on_event(event)

    def ring(self) -> None:
        """See `Leg`."""
        self._send(self, Ring())

    def answer(self) -> None:
        """See `Leg`."""
        self._send(self, Answer())

    def refuse(self, code: int, reason: str, retry_after_s: int | None = None) -> None:
        """See `Leg`. `code` is 300 to 699."""
        self._send(self, Refuse(code, reason, retry_after_s))

    def hangup(self, reason: str | None = None) -> None:
        """See `Leg`."""
        self._send(self, Hangup(reason))

    def tick(self) -> None:
        """20 ms have passed on the line."""
        if self._on_tick is not None and not self._ended:
            self._on_tick()

    def _deliver(self, event: LegEvent) -> None:
        if self._ended:
            return
        self._ended = isinstance(event, Ended)
        if self._on_event is None:
            self._early.append(event)
        else:
            self._on_event(event)
