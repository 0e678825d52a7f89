"""RTP that has stopped: decided from the count of packets received."""

from __future__ import annotations

LOOK_EVERY_S = 1.0


class RtpWatch:
    """Says once that nothing has come for `timeout_s`. Reads no clock."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._packets = -1
        self._since_s = 0.0
        self._looked_s = float("-inf")
        self._told = False

    def is_due(self, now_s: float) -> bool:
        """Whether it is time to look again."""
        return now_s - self._looked_s >= LOOK_EVERY_S

    def look(self, packets: int, now_s: float) -> bool:
        """`packets` is the stream's count so far. True once: the caller's media is lost."""
        self._looked_s = now_s
        if packets != self._packets:
            self._packets, self._since_s, self._told = packets, now_s, False
        elif not self._told and now_s - self._since_s >= self._timeout_s:
            self._told = True
            return True
        return False

    def pause(self, now_s: float) -> None:
        """The call is on hold: nothing has to come."""
        self._looked_s = self._since_s = now_s
        self._told = False
