"""An answering party for the tests of `sip/`: a real endpoint whose legs do what the test says, and no model."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from service import config
from service.call.leg import Ended, Leg, LegEvent
from service.media.ring import DownlinkFrame
from sip.admission import Refusal
from sip.endpoint import Endpoint
from sip.stack import Bound

E = TypeVar("E")
SETTINGS = config.Sip(bind="127.0.0.1", port=0, rtp_port_min=12000, rtp_port_max=12999, pjsua_slots=4)


@dataclass
class Line:
    """A leg and what has happened to it."""

    leg: Leg
    events: list[LegEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: deque[bytes] = field(default_factory=deque)

    def on_event(self, event: LegEvent) -> None:
        self.events.append(event)
        self.changed.set()

    def echo(self) -> None:
        audio = self.leg.audio
        audio.take_played()
        self.waiting.extend(frame.pcm for frame in audio.take_uplink())
        while audio.room and self.waiting:
            audio.put_downlink(DownlinkFrame(self.waiting.popleft()))

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[E], *, count: int = 1, timeout_s: float = 10.0) -> E:
        """The `count`-th event of this kind, once it is there."""
        async with asyncio.timeout(timeout_s):
            while len(self.of(kind)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.of(kind)[count - 1]

    async def ended(self, timeout_s: float = 10.0) -> Ended:
        return await self.until(Ended, timeout_s=timeout_s)


def answer_and_echo(line: Line) -> None:
    line.leg.ring()
    line.leg.answer()


@dataclass
class Desk:
    """The endpoint, the lines it has taken, and the INVITEs it has refused."""

    manner: Callable[[Line], None]
    bound: Bound = field(init=False)
    endpoint: Endpoint = field(init=False)
    lines: list[Line] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    def on_invite(self, leg: Leg) -> None:
        line = Line(leg)
        self.lines.append(line)
        leg.listen(line.on_event, line.echo)
        self.manner(line)
        self.taken.set()

    async def line(self, number: int = 0, timeout_s: float = 10.0) -> Line:
        async with asyncio.timeout(timeout_s):
            while len(self.lines) <= number:
                self.taken.clear()
                await self.taken.wait()
        return self.lines[number]

    @property
    def port(self) -> int:
        return self.bound.udp_port


@contextlib.asynccontextmanager
async def desk(
    manner: Callable[[Line], None] = answer_and_echo, settings: config.Sip = SETTINGS
) -> AsyncIterator[Desk]:
    """A started endpoint on loopback; stopped afterwards, and no callback may have failed."""
    party = Desk(manner)
    party.endpoint = Endpoint(settings, party.on_invite, party.refusals.append, lambda _, line: party.log.append(line))
    party.bound = await party.endpoint.start()
    try:
        yield party
    finally:
        await party.endpoint.stop()
    assert party.endpoint.faults == 0, party.log
