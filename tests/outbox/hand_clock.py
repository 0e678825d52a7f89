"""A clock that a test winds."""

from __future__ import annotations

import asyncio

LOOKS = 6
"""So many times a clock is read before nothing more is expected of its reader: a round of the deliverer reads twice."""


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, now_s: float = 1_762_300_000.0) -> None:
        self.now_s = now_s
        self._reads = 0

    def __call__(self) -> float:
        """The time, in seconds."""
        self._reads += 1
        return self.now_s

    def advance(self, time_s: float) -> None:
        """Move it."""
        self.now_s += time_s

    async def looked_at(self) -> None:
        """Wait until its reader has seen the new time, and had its chance to act on it."""
        enough = self._reads + LOOKS
        async with asyncio.timeout(10.0):
            while self._reads < enough:  # noqa: ASYNC110 -- its reader tells nobody
                await asyncio.sleep(0.0005)
