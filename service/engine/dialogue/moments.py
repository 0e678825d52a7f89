"""When it happened: a day and a time of day, from spoken English."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, time

from service.engine.dialogue.clock import Half, hear_clock, hear_half
from service.engine.dialogue.days import hear_day
from service.spoken.figures import with_digits


@dataclass(frozen=True, slots=True)
class Moment:
    """A day and a clock reading, as far as they are known.

    A reading of the 12-hour clock stays open until its half of the day is known.
    """

    day: date | None = None
    hour: int | None = None
    minute: int = 0
    half: Half | None = None

    @property
    def at(self) -> time | None:
        """Time of day; None while it is not known which half of the day was meant."""
        if self.hour is None:
            return None
        if self.hour > 12 or self.hour == 0:
            return time(self.hour, self.minute)
        if self.half is None:
            return None
        small = self.hour % 12
        late = self.half == "pm" or (self.half == "night" and small >= 6)
        return time(small + 12 if late else small, self.minute)

    @property
    def half_missing(self) -> bool:
        """Whether a clock reading is known, but not its half of the day."""
        return self.hour is not None and self.at is None

    def merged(self, newer: Moment) -> Moment:
        """This moment with everything that the newer one knows."""
        merged = replace(self, day=newer.day or self.day, half=newer.half or self.half)
        return merged if newer.hour is None else replace(merged, hour=newer.hour, minute=newer.minute)

    def isoformat(self) -> str | None:
        """ISO 8601: ``2026-11-14T17:30``, the date alone without a time, None without a day."""
        if self.day is None:
            return None
        return f"{self.day.isoformat()}T{self.at:%H:%M}" if self.at else self.day.isoformat()


@dataclass(frozen=True, slots=True)
class MomentHeard:
    """What a turn says about the moment; ``future`` where it names a day still to come."""

    moment: Moment | None
    future: bool = False


def hear_moment(text: str, today: date) -> MomentHeard:
    """Finds a day, a time or both in a tidied transcript."""
    spoken = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text.lower())
    spoken = re.sub(r"\bgood (?:morning|afternoon|evening|night)\b", "", spoken)
    plain = with_digits(re.sub(r"\b([ap])\.? ?m\b\.?", r"\1m", spoken))
    heard = hear_day(plain, today)
    clock, half = hear_clock(heard.rest), hear_half(heard.rest)
    if heard.day is None and clock is None and half is None:
        return MomentHeard(None, heard.future)
    hour, minute = clock or (None, 0)
    return MomentHeard(Moment(heard.day, hour, minute, half), heard.future)
