"""How many messages a second may leave: a token bucket. Pure."""

from __future__ import annotations


class Pace:
    """At most `per_s` in the long run, and a second's worth at once. `now_s` is monotonic."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._tokens = max(1.0, per_s)
        self._at_s: float | None = None

    def allowed(self, now_s: float) -> int:
        """How many may leave now."""
        if self._at_s is not None:
            self._tokens = min(max(1.0, self._per_s), self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return int(self._tokens)

    def took(self, count: int) -> None:
        """So many left."""
        self._tokens -= count

    def wait_s(self) -> float:
        """Until the next may leave; 0 when one may."""
        return max(0.0, (1.0 - self._tokens) / self._per_s)
