"""Clocks that are off, were set, or never were."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from service.check.clocks import Moment, judge, skew_s
from service.check.finding import Finding, ServerDate

NOON_S = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
NOON = "Mon, 23 Nov 2026 12:00:00 GMT"
PRICES = date(2026, 11, 1)


def answer(ahead_s: float, header: str = NOON) -> ServerDate:
    """Asked and answered in 0.2 s, while the clock here was so far ahead."""
    at_s = NOON_S + 0.5 + ahead_s
    return ServerDate("claims.example", header, at_s - 0.1, at_s + 0.1)


def judged(*answers: ServerDate, set_by_s: float = 0.0, now_s: float = NOON_S) -> Finding:
    return judge(Moment(now_s, 100.0), Moment(now_s + 3.0 + set_by_s, 103.0), answers, PRICES)


def test_the_skew_is_that_of_the_middle_of_the_exchange() -> None:
    assert skew_s(answer(12.0)) == pytest.approx(12.0)
    assert skew_s(answer(-12.0)) == pytest.approx(-12.0)
    assert skew_s(answer(0.0, "yesterday")) is None
    assert skew_s(answer(0.0, "Thu, 01 Jan 2026 00:00:00 +99999999999999999999")) is None


@pytest.mark.parametrize(
    ("ahead_s", "level", "says"),
    [
        (0.4, "ok", "within 1 s of claims.example"),
        (-20.0, "ok", "within 20 s of claims.example"),
        (31.0, "warning", "31 s ahead of claims.example's"),
        (-301.0, "failed", "301 s behind claims.example's: receivers refuse signatures that are 300 s off"),
    ],
)
def test_a_clock_that_is_off_is_judged_by_what_receivers_take(ahead_s: float, level: str, says: str) -> None:
    finding = judged(answer(ahead_s))
    assert (finding.level, finding.says) == (level, says)


def test_the_worst_answer_counts() -> None:
    assert judged(answer(0.0), ServerDate("other.example", NOON, NOON_S + 400, NOON_S + 400)).level == "failed"


def test_a_clock_that_was_set_meanwhile_is_a_warning() -> None:
    assert judged(set_by_s=-0.6).says == "it was set by -0.6 s during this check"
    assert judged(set_by_s=0.4).level == "ok"


def test_a_clock_before_the_price_table_was_never_set() -> None:
    finding = judged(now_s=0.0)
    assert (finding.level, finding.says) == ("failed", "it shows 1970-01-01 00:00 UTC, which is in the past")


def test_without_a_date_to_compare_with_that_is_said() -> None:
    assert judged().says == "2026-11-23 12:00 UTC; no far end sent a date to compare with"
