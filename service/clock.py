"""The two clocks of a call: monotonic for measuring, wall for records and signatures. Never mixed, joined only here."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime

STEP_S = 0.1
"""By how much the wall clock must be off before it counts as set anew; below it, moments keep their names."""


class Clock:
    """Monotonic seconds, and what the wall clock showed then."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.monotonic = monotonic
        self.wall = wall
        self._wall_at_0_s = wall() - monotonic()

    def today(self) -> date:
        """The date in local time."""
        return datetime.fromtimestamp(self.wall(), UTC).astimezone().date()

    def rfc3339(self, monotonic_s: float) -> str:
        """The wall-clock moment of a monotonic one, in UTC with milliseconds: the same each time it is asked for."""
        wall_at_0_s = self.wall() - self.monotonic()
        if abs(wall_at_0_s - self._wall_at_0_s) > STEP_S:
            self._wall_at_0_s = wall_at_0_s
        return rfc3339(self._wall_at_0_s + monotonic_s)


def rfc3339(unix_s: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
