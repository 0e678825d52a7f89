"""Days and times as callers say them, on Saturday 21 November 2026."""

from __future__ import annotations

from datetime import date, time

import pytest

from service.engine.dialogue.moments import Moment, hear_moment

TODAY = date(2026, 11, 21)


def iso(text: str) -> str | None:
    moment = hear_moment(text, TODAY).moment
    return moment.isoformat() if moment else None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("yesterday at about six in the evening", "2026-11-20T18:00"),
        ("It was last Friday, around 3 PM.", "2026-11-20T15:00"),
        ("on Saturday at noon", "2026-11-14T12:00"),
        ("November 14th at 5:30 PM", "2026-11-14T17:30"),
        ("November 14th, 2026, at 5:30 p.m.", "2026-11-14T17:30"),
        ("the fourteenth of November around half past five in the afternoon", "2026-11-14T17:30"),
        ("November fourteenth, twenty twenty six, at half-past five in the evening.", "2026-11-14T17:30"),
        ("On November fourteenth, twenty twenty six at five thirty p M.", "2026-11-14T17:30"),
        ("on the 3rd at quarter to nine in the morning", "2026-11-03T08:45"),
        ("the thirty-first at ten past ten at night", "2026-10-31T22:10"),
        ("December 24th at 17:05", "2025-12-24T17:05"),
        ("11/14/2026 at 6 am", "2026-11-14T06:00"),
        ("2026-11-14, 9 o'clock in the evening", "2026-11-14T21:00"),
        ("this morning at eight", "2026-11-21T08:00"),
        ("last night at eleven", "2026-11-20T23:00"),
        ("two days ago at midnight", "2026-11-19T00:00"),
        ("the day before yesterday, ten to one in the afternoon", "2026-11-19T12:50"),
        ("today at 7:15 this evening", "2026-11-21T19:15"),
        ("February 29th at 4 pm", "2024-02-29T16:00"),
        ("yesterday", "2026-11-20"),
        ("a week ago", "2026-11-14"),
        ("Twelve thirty PM yesterday", "2026-11-20T12:30"),
        ("Twelve fifteen AM yesterday", "2026-11-20T00:15"),
    ],
)
def test_day_and_time(said: str, expected: str) -> None:
    assert iso(said) == expected


def test_a_clock_reading_without_its_half_stays_open() -> None:
    heard = hear_moment("the fourteenth of November around half past five", TODAY).moment
    assert heard is not None
    assert heard.half_missing
    evening = hear_moment("In the evening.", TODAY).moment
    assert evening is not None
    assert heard.merged(evening).isoformat() == "2026-11-14T17:30"


def test_a_newer_time_keeps_the_day_and_a_newer_day_the_time() -> None:
    known = Moment(date(2026, 11, 14), 5, 30, "pm")
    later = hear_moment("at six", TODAY).moment
    other = hear_moment("Friday", TODAY).moment
    assert later is not None
    assert other is not None
    assert known.merged(later).isoformat() == "2026-11-14T18:00"
    assert known.merged(other).isoformat() == "2026-11-20T17:30"
    assert known.at == time(17, 30)


@pytest.mark.parametrize("said", ["tomorrow at six", "November 30th, 2026", "next week"])
def test_a_day_still_to_come_is_refused(said: str) -> None:
    heard = hear_moment(said, TODAY)
    assert heard.future
    assert heard.moment is None or heard.moment.day is None


@pytest.mark.parametrize("said", ["", "I may have been asleep", "Good morning.", "February 31st", "no idea", "42 cars"])
def test_no_moment_in_it(said: str) -> None:
    assert hear_moment(said, TODAY).moment is None
