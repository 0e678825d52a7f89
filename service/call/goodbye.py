"""The end of a call from our side: after the agent's goodbye, and with a caller who answers no more. No clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

HANG_UP_GRACE_S = 2.0
"""Quiet on both sides after the agent's goodbye before it hangs up, so that a caller's own goodbye is not cut."""
ENDING_LIMIT_S = 20.0
"""The agent hangs up this long after its goodbye, whatever the caller still says."""
SILENCES_ASKED = 2
"""Silences in a row after which the agent asks; after one more it is told to say goodbye, after another it hangs up."""


@dataclass(slots=True)
class Goodbye:
    """From the tool call `end_call` to the moment to hang up."""

    reason: str
    call_id: str
    """Of the tool call; empty where no session knows it any more."""
    since_s: float
    _quiet_since_s: float | None = None

    def is_over(self, now_s: float, *, busy: bool) -> bool:
        """Whether to hang up now. `busy`: somebody speaks, or audio is still to be heard."""
        if busy:
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = now_s
        quiet_s = now_s - self._quiet_since_s if self._quiet_since_s is not None else 0.0
        return quiet_s >= HANG_UP_GRACE_S or now_s - self.since_s >= ENDING_LIMIT_S


class AfterSilence(Enum):
    """What is to be done after a time-out of the server's turn detection (`idle_timeout_ms`)."""

    ASK = auto()
    """Nothing: the server lets the agent speak."""
    WRAP_UP = auto()
    HANG_UP = auto()


class Silences:
    """Time-outs in a row without a sign of the caller."""

    def __init__(self) -> None:
        self._count = 0

    def broken(self) -> None:
        """The caller spoke, or pressed a key."""
        self._count = 0

    def timed_out(self) -> AfterSilence:
        """Another one."""
        self._count += 1
        if self._count <= SILENCES_ASKED:
            return AfterSilence.ASK
        return AfterSilence.WRAP_UP if self._count == SILENCES_ASKED + 1 else AfterSilence.HANG_UP
