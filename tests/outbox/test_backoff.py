"""What answers mean and how long is waited, by value."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outbox.backoff import (
    JITTER,
    MESSAGE_DELAY_MAX_S,
    RETRY_AFTER_MAX_S,
    RETRY_DELAYS_S,
    Verdict,
    endpoint_delay_s,
    message_delay_s,
    outcome_of_status,
    parse_retry_after,
)

NOW_S = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (299, Verdict.DELIVERED),
        (301, Verdict.RETRY),
        (307, Verdict.RETRY),
        (400, Verdict.DEAD),
        (401, Verdict.RETRY),
        (404, Verdict.RETRY),
        (410, Verdict.DISABLED),
        (413, Verdict.DEAD),
        (422, Verdict.DEAD),
        (429, Verdict.THROTTLED),
        (500, Verdict.RETRY),
        (502, Verdict.THROTTLED),
        (503, Verdict.RETRY),
        (504, Verdict.THROTTLED),
        (999, Verdict.RETRY),
    ],
)
def test_a_status_decides(status: int, verdict: Verdict) -> None:
    assert outcome_of_status(status, None, NOW_S).verdict is verdict


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 300, RETRY_AFTER_MAX_S),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_S),
        ("Thu, 01 Jan 2026 00:00:00 +99999999999999999999", None),
        ("-5", None),
        ("soon", None),
        ("١٢", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, wait_s: float | None) -> None:
    assert parse_retry_after(value, NOW_S) == wait_s


@given(st.text(max_size=60))
def test_no_retry_after_raises(value: str) -> None:
    wait_s = parse_retry_after(value, NOW_S)
    assert wait_s is None or 0.0 <= wait_s <= RETRY_AFTER_MAX_S


@given(failures=st.integers(1, 10_000), seed=st.integers())
def test_the_endpoint_is_probed_on_the_table_with_jitter(failures: int, seed: int) -> None:
    step_s = RETRY_DELAYS_S[min(failures, len(RETRY_DELAYS_S)) - 1]
    assert abs(endpoint_delay_s(failures, None, random.Random(seed)) - step_s) <= JITTER * step_s


def test_an_endpoint_restarted_within_seconds_is_found_within_seconds() -> None:
    assert sum(RETRY_DELAYS_S[:3]) < 15


def test_the_published_table_is_kept_from_five_minutes_on() -> None:
    assert [s for s in RETRY_DELAYS_S if s >= 300] == [300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


def test_retry_after_goes_before_the_table() -> None:
    assert endpoint_delay_s(1, 90.0, random.Random(1)) == 90.0
    assert endpoint_delay_s(15, 90.0, random.Random(1)) == 90.0
    assert endpoint_delay_s(1, 0.0, random.Random(1)) >= 1.0


@given(attempts=st.integers(1, 10_000), seed=st.integers())
def test_a_message_that_fails_alone_waits_minutes_at_most(attempts: int, seed: int) -> None:
    assert 0.0 < message_delay_s(attempts, random.Random(seed)) <= MESSAGE_DELAY_MAX_S * (1 + JITTER)
