"""Which day the caller means."""

# ruff: noqa: SIM905  a row of words reads better than a list

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = "january february march april may june july august september october november december".split()
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()

_MONTH = rf"(?P<month>{'|'.join(_MONTHS)}|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,? (?:of |in )?(?P<year>20 ?\d\d)(?!\d|:))?"
_DATES = (
    re.compile(r"\b(?P<year>20\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b"),
    re.compile(r"\b(?P<month>\d{1,2})/(?P<day>\d{1,2})(?:/(?P<year>(?:20)?\d\d))?\b"),
    re.compile(rf"\b{_MONTH} (?:the )?{_DAY}\b{_YEAR}"),
    re.compile(rf"\b{_DAY} (?:day )?(?:of )?{_MONTH}{_YEAR}"),
)
_DAYS_AGO = re.compile(r"\b(?P<count>\d{1,2}|a|a couple of|couple of) (?P<unit>day|week)s? ago\b")
_WEEKDAY = re.compile(
    rf"\b(?:last |this |on |past |this past )*(?P<weekday>{'|'.join(_WEEKDAYS)})\b(?P<before> (?:of )?last week)?"
)
_DAY_OF_MONTH = re.compile(r"\b(?:the |on the )?(?P<day>\d{1,2})(?:st|nd|rd|th)\b")

_RELATIVE = tuple(
    (re.compile(pattern), days)
    for pattern, days in (
        (r"\bthe day before yesterday\b", 2),
        (r"\byesterday\b", 1),
        (r"\blast (?=night\b)", 1),
        (r"\b(?:earlier )?today\b|\bto(?=night\b)|\bthis (?=morning\b|afternoon\b|evening\b)|\bjust now\b", 0),
    )
)
_AHEAD = re.compile(r"\btomorrow\b|\bnext (?:week|month)\b")


@dataclass(frozen=True, slots=True)
class DayHeard:
    """The day; None with ``future`` where one still to come was named. ``rest`` is the text without the day's words."""

    day: date | None
    rest: str
    future: bool = False


def hear_day(text: str, today: date) -> DayHeard:
    """Finds the day in a lower-case text with numbers as figures.

    A date without year is the latest that is not after ``today``; a weekday is the latest before ``today``.
    """
    for find in (_dated, _relative, _ago, _weekday, _day_of_month):
        found = find(text, today)
        if found is not None:
            day, span = found
            rest = f"{text[: span[0]]} {text[span[1] :]}"
            return DayHeard(None, rest, future=True) if day > today else DayHeard(day, rest)
    return DayHeard(None, text, future=bool(_AHEAD.search(text)))


_Found = tuple[date, tuple[int, int]]


def _dated(text: str, today: date) -> _Found | None:
    for pattern in _DATES:
        for match in pattern.finditer(text):
            try:
                return _calendar_day(match, today), match.span()
            except ValueError:
                continue
    return None


def _relative(text: str, today: date) -> _Found | None:
    for pattern, days in _RELATIVE:
        if match := pattern.search(text):
            return today - timedelta(days=days), match.span()
    return None


def _ago(text: str, today: date) -> _Found | None:
    match = _DAYS_AGO.search(text)
    if match is None:
        return None
    count = int(match["count"]) if match["count"].isdigit() else 1 if match["count"] == "a" else 2
    return today - timedelta(days=count * (7 if match["unit"] == "week" else 1)), match.span()


def _weekday(text: str, today: date) -> _Found | None:
    match = _WEEKDAY.search(text)
    if match is None:
        return None
    back = (today.weekday() - _WEEKDAYS.index(match["weekday"])) % 7 or 7
    if match["before"] and today.weekday() >= back:
        back += 7
    return today - timedelta(days=back), match.span()


def _day_of_month(text: str, today: date) -> _Found | None:
    match = _DAY_OF_MONTH.search(text)
    # With a month it was a date, and one that does not exist.
    if match is None or re.search(rf"\b{_MONTH}", text):
        return None
    year, month = today.year, today.month
    # The 31st may need two months back.
    for _ in range(3):
        try:
            day = date(year, month, int(match["day"]))
        except ValueError:
            day = date.max
        if day <= today:
            return day, match.span()
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return None


def _calendar_day(match: re.Match[str], today: date) -> date:
    name = match["month"]
    month = int(name) if name.isdigit() else next(i for i, m in enumerate(_MONTHS, 1) if m.startswith(name[:3]))
    day = int(match["day"])
    if match["year"]:
        year = int(match["year"].replace(" ", ""))
        return date(year + 2000 if year < 100 else year, month, day)
    for year in range(today.year, today.year - 9, -1):
        # 29 February needs more than one year back.
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found <= today:
            return found
    raise ValueError(f"no day {day} in month {month}")
