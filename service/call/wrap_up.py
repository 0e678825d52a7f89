"""A call that comes to a limit: the agent is asked to end it, and shortly after it is ended. No clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.call import ending
from service.call.ending import Ending

WRAP_UP_S = 30.0
"""From a limit to BYE: long enough for a goodbye."""


@dataclass(frozen=True, slots=True)
class WrapUp:
    """What the agent is told, and how the call has ended where it still lives at `until_s`."""

    told: str
    ending: Ending
    until_s: float


def after_time(talked_s: float, max_call_s: float, now_s: float) -> WrapUp | None:
    """`agent.max_call_s` is over."""
    if talked_s < max_call_s:
        return None
    return WrapUp("The time limit of this call is reached.", ending.TOO_LONG, now_s + WRAP_UP_S)


def after_cost(reached: Literal["hang_up", "turn_context"] | None, now_s: float) -> WrapUp | None:
    """A limit of cost is reached, and calls end with it."""
    if reached != "hang_up":
        return None
    # The caller is told of a limit; what the call has cost is not theirs to hear.
    return WrapUp("This call has reached its limit.", ending.TOO_COSTLY, now_s + WRAP_UP_S)
