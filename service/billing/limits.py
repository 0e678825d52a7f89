"""What calls may cost: a limit for each, and one for all of a worker's within an hour. No clock.

A limit is reached when what was spent equals it; what is already under way is still billed. Only what has a price can
be counted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

HOUR_S = 3600.0
SLOT_S = 1.0
"""What is spent within a second of the first is forgotten together with it: at most 3,601 entries are kept."""

Name = Literal["call", "hour"]
Event = Literal["warned", "reached"]
_EVENTS: tuple[Event, Event] = ("warned", "reached")


@dataclass(frozen=True, slots=True)
class Crossing:
    """A sum rose to the share of the limit at which to warn, or to the limit."""

    limit: Name
    event: Event
    limit_usd: Decimal
    spent_usd: Decimal


class Limit:
    """One limit, None for none. A crossing is told once, and again only after the sum was below the warning."""

    def __init__(self, name: Name, limit_usd: Decimal | None, warn_share: float) -> None:
        self._name: Name = name
        self._limit_usd = limit_usd
        self._warn_share = Decimal(repr(warn_share))
        self._told = 0

    def crossed(self, spent_usd: Decimal) -> list[Crossing]:
        """What the sum has risen to since the last time."""
        if self._limit_usd is None:
            return []
        if self.reached(spent_usd):
            level = 2
        elif spent_usd >= self._limit_usd * self._warn_share:
            level = 1
        else:
            level = self._told = 0
        risen = _EVENTS[self._told : level]
        self._told = max(self._told, level)
        return [Crossing(self._name, event, self._limit_usd, spent_usd) for event in risen]

    def reached(self, spent_usd: Decimal) -> bool:
        """Whether so much is the limit or more."""
        return self._limit_usd is not None and spent_usd >= self._limit_usd


class SlidingHour:
    """What was spent within the last hour; `now_s` is monotonic."""

    def __init__(self) -> None:
        self._slots: deque[tuple[float, Decimal]] = deque()
        self._usd = Decimal(0)

    def add(self, usd: Decimal, now_s: float) -> None:
        """So much more."""
        if self._slots and now_s - self._slots[-1][0] < SLOT_S:
            begun_s, before_usd = self._slots.pop()
            self._slots.append((begun_s, before_usd + usd))
        else:
            self._slots.append((now_s, usd))
        self._usd += usd

    def spent_usd(self, now_s: float) -> Decimal:
        """The sum of the hour before `now_s`."""
        while self._slots and now_s - self._slots[0][0] >= HOUR_S:
            self._usd -= self._slots.popleft()[1]
        return self._usd


class Budget:
    """What a worker's calls may cost."""

    def __init__(
        self,
        *,
        call_usd: Decimal | None = None,
        hour_usd: Decimal | None = None,
        warn_share: float = 1.0,
        then: Literal["hang_up", "turn_context"] = "hang_up",
    ) -> None:
        self._call_usd = call_usd
        self._warn_share = warn_share
        self._hour = Limit("hour", hour_usd, warn_share)
        self._spent = SlidingHour()
        self.then = then

    def open_call(self) -> CallBudget:
        """For a new call."""
        return CallBudget(self, Limit("call", self._call_usd, self._warn_share))

    def spend(self, usd: Decimal, now_s: float) -> list[Crossing]:
        """One of the calls has cost so much more."""
        self._spent.add(usd, now_s)
        return self._hour.crossed(self._spent.spent_usd(now_s))

    def hour_reached(self, now_s: float) -> bool:
        """Whether the last hour has cost its limit."""
        return self._hour.reached(self._spent.spent_usd(now_s))

    def refuses(self, now_s: float) -> bool:
        """Whether new calls are not to be taken."""
        return self.then == "hang_up" and self.hour_reached(now_s)


class CallBudget:
    """What one call may cost. Made by `Budget.open_call`."""

    def __init__(self, budget: Budget, limit: Limit) -> None:
        self._budget = budget
        self._limit = limit
        self._usd = Decimal(0)

    def spend(self, usd: Decimal, now_s: float) -> list[Crossing]:
        """The call has cost so much more."""
        self._usd += usd
        return [*self._limit.crossed(self._usd), *self._budget.spend(usd, now_s)]

    def reached(self, now_s: float) -> Literal["hang_up", "turn_context"] | None:
        """What is to become of the call, where its own limit or the hour's is reached."""
        return self._budget.then if self._limit.reached(self._usd) or self._budget.hour_reached(now_s) else None
