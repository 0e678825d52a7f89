"""Chooses which websocket dies, and when: at random, or in the middle of something that is waited for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from tests.acceptance.cut_proxy import CutProxy, Link, Place, Watch, Way
from tests.soak.websocket_tap import WebsocketTap
from tests.soak.witness import Moment, Witness

PLACES: tuple[Place, ...] = ("before", "within", "after")
PATIENCE_S = 15.0
"""For a moment that is waited for."""
HOLD_S = {Moment.CALLER: 0.8, Moment.AGENT: 1.5, Moment.TRANSCRIPT: 0.3, Moment.TOOL: 0.0, Moment.SILENCE: 0.4}
"""At most so long after a moment has begun: less than it lasts. The answer to a tool call is on its way at once."""


@dataclass(frozen=True, slots=True)
class Death:
    """One to come. `moment` None: whatever is going on then. `outage_s`: nobody can connect for so long after it."""

    at_s: float
    moment: Moment | None
    place: Place
    hold_s: float
    outage_s: float


@dataclass(slots=True)
class _Session:
    link: Link
    witness: Witness = field(default_factory=Witness)
    up: WebsocketTap = field(default_factory=WebsocketTap)
    down: WebsocketTap = field(default_factory=WebsocketTap)
    since_s: dict[Moment, float] = field(default_factory=dict)
    """When what goes on now has begun."""


def planned(count: int, over_s: float, outages: int, chance: random.Random) -> list[Death]:
    """Deaths spread over `over_s`; every other one waits for one of the moments, in turn."""
    step_s = over_s / count
    with_outage = set(chance.sample(range(count), outages))
    deaths = []
    for number in range(count):
        turn, directed = divmod(number, 2)
        moment = [*Moment][turn % len(Moment)] if directed else None
        deaths.append(
            Death(
                at_s=step_s * (number + chance.random()),
                moment=moment,
                place=PLACES[turn // len(Moment) % len(PLACES)] if directed else chance.choice(PLACES),
                hold_s=chance.uniform(0.0, HOLD_S[moment]) if moment is not None else 0.0,
                outage_s=chance.uniform(0.3, 2.0) if number in with_outage else 0.0,
            )
        )
    return deaths


class Director:
    """Watches every session through a proxy, and cuts."""

    def __init__(self, chance: random.Random) -> None:
        self.sessions: list[_Session] = []
        self.died: list[frozenset[Moment]] = []
        """Of each death, what went on."""
        self.torn = 0
        """Deaths in the middle of a frame."""
        self._chance = chance
        self._awaited: Death | None = None
        self._done = asyncio.Event()

    @property
    def witnesses(self) -> list[Witness]:
        """Of all sessions so far."""
        return [session.witness for session in self.sessions]

    @property
    def live(self) -> int:
        """Sessions that a client works with now."""
        return sum(session.witness.open and session.link.alive for session in self.sessions)

    def hit(self) -> Counter[Moment]:
        """How many deaths had each moment in them."""
        return Counter(moment for moments in self.died for moment in moments)

    async def perform(self, deaths: Sequence[Death], proxy: CutProxy, progress: Callable[[str], None]) -> None:
        """Bring them about, one after the other; one whose moment does not come in time is left out."""
        begun_s = self._now_s()
        for number, death in enumerate(deaths, 1):
            await asyncio.sleep(max(0.0, begun_s + death.at_s - self._now_s()))
            self._awaited = death
            self._done.clear()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._done.wait()
            except TimeoutError:
                self._awaited = None
                progress(f"death {number} of {len(deaths)} did not come about: {death.moment}")
                continue
            going_on = ", ".join(sorted(moment.value for moment in self.died[-1]))
            progress(f"death {number} of {len(deaths)}: {going_on}; {death.place}, outage {death.outage_s:.1f} s")
            if death.outage_s:
                proxy.refusing = True
                await asyncio.sleep(death.outage_s)
                proxy.refusing = False

    def appeared(self, link: Link) -> Watch:
        """A client connects through the proxy."""
        session = _Session(link)
        self.sessions.append(session)

        def watch(way: Way, data: bytes) -> None:
            for message in (session.up if way == "up" else session.down).feed(data):
                event = msgspec.json.decode(message)
                if way == "up":
                    session.witness.client(event)
                else:
                    session.witness.server(event, self._now_s())
            self._maybe_cut(session)

        return watch

    def _maybe_cut(self, session: _Session) -> None:
        now_s = self._now_s()
        going_on = session.witness.moments(now_s)
        session.since_s = {moment: session.since_s.get(moment, now_s) for moment in going_on}
        death = self._awaited
        if death is None or not session.witness.open or not self._chosen(death, session, now_s):
            return
        self._awaited = None
        self.died.append(going_on)
        self.torn += death.place == "within"
        session.link.cut(death.place)
        self._done.set()

    def _chosen(self, death: Death, session: _Session, now_s: float) -> bool:
        if death.moment is None:
            return self._chance.random() < 1 / max(1, self.live)
        return death.moment in session.since_s and now_s - session.since_s[death.moment] >= death.hold_s

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
