"""What the ports share: PJSIP's clock thread, which calls all of them every 20 ms.

First it asks each for what to play, then it brings each what came. Within a tick ports are called in the order in
which they were made, free ones too.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from service.media.ring import FRAME_MS

LATE_S = 2 * FRAME_MS / 1000
"""Between two ticks: the second came a whole frame after its deadline."""
PACE_S = 0.008
"""At least so long between ticks, so that PJSIP's media thread and the loop get their turn."""


class BridgeClock:
    """Belongs to the clock thread. `on_tick` is called once per tick in which a leg was given a frame.

    After a stall PJSIP makes up its missed ticks at once. Made up without a rest they find an empty jitter buffer, and
    what arrived meanwhile, once the media thread has read it, stays in the buffer as delay; and they find a downlink
    ring that the loop had no time to fill. So each of them waits for its turn.
    """

    def __init__(self, on_tick: Callable[[], None]) -> None:
        self._on_tick = on_tick
        self._began_s = 0.0
        self._between = True
        self._any_heard = False
        self._in_call = False
        self.missed_deadlines = 0
        """20 ms deadlines that passed without a tick while a leg was carried."""

    def beat(self) -> float:
        """A callback begins; gives the time (monotonic)."""
        now_s = time.monotonic()
        if self._between:
            self._between = False
            now_s = self._begin_tick(now_s)
        return now_s

    def heard(self) -> None:
        """A leg was given 20 ms from its caller."""
        self._any_heard = True

    def end_of_tick(self) -> None:
        """The last port has been called."""
        self._between = True
        self._in_call = self._any_heard
        if self._any_heard:
            self._any_heard = False
            self._on_tick()

    def _begin_tick(self, now_s: float) -> float:
        gap_s = now_s - self._began_s
        if gap_s > LATE_S and self._in_call:
            self.missed_deadlines += int(1000 * gap_s / FRAME_MS) - 1
        rest_s = PACE_S if gap_s > LATE_S else PACE_S - gap_s
        if rest_s > 0:
            time.sleep(rest_s)  # Gives up the interpreter lock as well.
            now_s = time.monotonic()
        self._began_s = now_s
        return now_s
