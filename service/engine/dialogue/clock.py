"""Which time of day the caller means."""

from __future__ import annotations

import re
from typing import Literal

Half = Literal["am", "pm", "night"]

# Each with the sign of the minute in it (1 past the hour, -1 before it), or with its fixed minutes.
_TIMES = (
    (re.compile(r"\bhalf past (?P<hour>\d{1,2})\b"), 30),
    (re.compile(r"\b(?:a )?quarter (?:past|after) (?P<hour>\d{1,2})\b"), 15),
    (re.compile(r"\b(?:a )?quarter (?:to|before|of|till) (?P<hour>\d{1,2})\b"), -15),
    (re.compile(r"\b(?P<minute>\d{1,2}) (?:minutes )?(?:past|after) (?P<hour>\d{1,2})\b"), 1),
    (re.compile(r"\b(?P<minute>\d{1,2}) (?:minutes )?(?:to|before|till) (?P<hour>\d{1,2})\b"), -1),
    (re.compile(r"\b(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?!\d)"), 1),
    (re.compile(r"\b(?P<hour>\d{1,2})(?P<minute>\d\d) (?=[ap]m\b|hours\b)"), 1),
    (re.compile(r"\b(?P<hour>1?\d) (?P<minute>[0-5]\d)\b(?! ?(?:days|people|cars))"), 1),
    (re.compile(r"\b(?P<hour>\d{1,2}) ?o'? ?clock\b"), 0),
    (re.compile(r"\b(?P<hour>\d{1,2}) ?(?=[ap]m\b)"), 0),
    (re.compile(r"\b(?P<hour>\d{1,2}) (?:\w+ )?(?=(?:in the|at) (?:morning|afternoon|evening|night))"), 0),
    (re.compile(r"\b(?:at|about|around|by|near|approximately|roughly|like|maybe|say|was) (?P<hour>\d{1,2})\b(?!/)"), 0),
    (re.compile(r"^\W*(?P<hour>\d{1,2})\W*$"), 0),
)
_HALVES: tuple[tuple[re.Pattern[str], Half], ...] = (
    (re.compile(r"\d ?am\b|\bam\b(?! i\b)|\bmorning\b"), "am"),
    (re.compile(r"\d ?pm\b|\bpm\b|\bafternoon\b|\bevening\b"), "pm"),
    (re.compile(r"\b(?:last |at |to)night\b|\bnight\b"), "night"),
)


def hear_clock(text: str) -> tuple[int, int] | None:
    """Hour and minute as they were said, in a lower-case text with numbers as figures; 24-hour only if said so."""
    if re.search(r"\b(?:noon|midday)\b", text):
        return 12, 0
    if re.search(r"\bmidnight\b", text):
        return 0, 0
    for pattern, shift in _TIMES:
        for match in pattern.finditer(text):
            hour = int(match["hour"])
            minutes = int(match["minute"]) * shift if "minute" in pattern.groupindex else shift
            if hour <= 23 and abs(minutes) <= 59:
                return _to_the_hour(hour, minutes)
    return None


def hear_half(text: str) -> Half | None:
    """The half of the day."""
    if re.search(r"\b(?:noon|midday)\b", text):
        return "pm"
    return next((half for pattern, half in _HALVES if pattern.search(text)), None)


def _to_the_hour(hour: int, minutes: int) -> tuple[int, int]:
    if minutes >= 0:
        return hour, minutes
    # Ten to one is 12:50 on a 12-hour clock.
    return (12 if hour == 1 else (hour - 1) % 24), 60 + minutes
