"""A backlog drains at a bounded rate."""

from __future__ import annotations

import pytest

from service.outbox.pace import Pace


def test_the_rate_is_kept_from_the_begin_on() -> None:
    pace, sent = Pace(50.0), 0
    for tick in range(1000):
        count = min(8, pace.allowed(tick / 100))
        pace.took(count)
        sent += count
    assert 10 * 50 - 8 <= sent <= 5 + 10 * 50


def test_what_was_not_used_is_not_made_up_for() -> None:
    pace = Pace(50.0)
    assert pace.allowed(0.0) == 5
    assert pace.allowed(3600.0) == 5


def test_it_says_how_long_to_wait() -> None:
    pace = Pace(0.5)
    assert pace.allowed(0.0) == 1
    pace.took(1)
    assert pace.allowed(1.0) == 0
    assert pace.wait_s() == pytest.approx(1.0)
    assert pace.allowed(2.0) == 1
