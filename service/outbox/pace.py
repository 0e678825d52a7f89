"""How many messages a second may leave: a token bucket. Pure."""

from __future__ import annotations

BURST_S = 0.1
"""So much time's worth may leave at once: a backlog that begins to drain must not be felt in live calls."""


class Pace:
    """At most `per_s` in the long run, and `BURST_S` worth at once. `now_s` is monotonic."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s * BURST_S)
        self._tokens = self._burst
        self._at_s: float | None = None

    def allowed(self, now_s: float) -> int:
        """How many may leave now."""
        if self._at_s is not None:
            self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return int(self._tokens)

    def took(self, count: int) -> None:
        """So many left."""
        self._tokens -= count

    def wait_s(self) -> float:
        """Until the next may leave; 0 when one may."""
        return max(0.0, (1.0 - self._tokens) / self._per_s)
