"""What the ports share: PJSIP's clock thread, which calls all of them every 20 ms.

First it asks each for what to play, then it brings each what came. Within a tick ports are called in the order in
which they were made, free ones too.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from service.media.ring import FRAME_MS

STALL_S = 0.06
"""Three ticks late: the process, or its machine, stood still."""
YIELD_S = 0.005
LATE_S = 2 * FRAME_MS / 1000
"""Between two ticks: the second came a whole frame after its deadline."""


class BridgeClock:
    """Belongs to the clock thread. `on_tick` is called once per tick in which a leg was given a frame.

    After a stall the clock makes up its missed ticks at once. Without a rest before them they find an empty jitter
    buffer, and what arrived meanwhile, once PJSIP's media thread has read it, stays in the buffer as delay.
    """

    def __init__(self, on_tick: Callable[[], None]) -> None:
        self._on_tick = on_tick
        self._last_s = 0.0
        self._any_heard = False
        self._in_call = False
        self.missed_deadlines = 0
        """20 ms deadlines that passed without a tick while a leg was carried."""

    def beat(self) -> float:
        """A callback begins; gives the time (monotonic). After a stall, let the media thread read what has piled up."""
        now_s = time.monotonic()
        if now_s - self._last_s > LATE_S:
            self._come_late(now_s - self._last_s)
        self._last_s = now_s
        return now_s

    def heard(self) -> None:
        """A leg was given 20 ms from its caller."""
        self._any_heard = True

    def end_of_tick(self) -> None:
        """The last port has been called."""
        self._in_call = self._any_heard
        if self._any_heard:
            self._any_heard = False
            self._on_tick()

    def _come_late(self, gap_s: float) -> None:
        if self._in_call:
            self.missed_deadlines += int(1000 * gap_s / FRAME_MS) - 1
        if gap_s > STALL_S:
            time.sleep(YIELD_S)  # gives up the interpreter lock as well
