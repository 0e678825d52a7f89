"""Keypad digits from telephone-events and INFO bodies, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.call.leg import Digit
from sip.digits import LONGEST_TONE_MS, TONE_TIMEOUT_S, Tones, info_digit


def press(tones: Tones, digit: str, at_s: float, *, end: bool) -> list[Digit]:
    heard = tones.heard(digit, 20, goes_on=False, ends=False, now_s=at_s)
    heard += tones.heard(digit, 80, goes_on=True, ends=False, now_s=at_s + 0.06)
    if end:
        heard += tones.heard(digit, 100, goes_on=True, ends=True, now_s=at_s + 0.08)
    return heard


def test_one_digit_for_a_key_that_is_held() -> None:
    assert press(Tones(), "5", 0.0, end=True) == [Digit("5", 100)]


def test_a_lost_end_is_made_up_for_by_the_next_key_or_by_time() -> None:
    tones = Tones()
    assert press(tones, "1", 0.0, end=False) == []
    assert press(tones, "1", 1.0, end=False) == [Digit("1", 80)]
    assert tones.expire(1.06 + TONE_TIMEOUT_S / 2) == []
    assert tones.expire(1.07 + TONE_TIMEOUT_S) == [Digit("1", 80)]
    assert tones.expire(99.0) == []
    assert tones.finish() == []


def test_events_that_are_no_keys_are_no_digits() -> None:
    assert press(Tones(), "R", 0.0, end=True) == []
    assert press(Tones(), "", 0.0, end=True) == []
    absurd = Tones().heard("1", 2**32 - 1, goes_on=False, ends=True, now_s=0.0)
    assert absurd == [Digit("1", LONGEST_TONE_MS)]


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Digit("5", 160)),
        ("application/dtmf-relay", "Signal= #\nDuration= 250\n", Digit("#", 250)),
        ("Application/DTMF-Relay;x=y", "duration=9\r\nsignal=d", Digit("D", 9)),
        ("application/dtmf-relay", "Signal=11", Digit("#", 0)),
        ("application/dtmf-relay", "Signal=", None),
        ("application/dtmf-relay", "Signal=5 Duration=1", None),
        ("application/dtmf-relay", "Signal=55\r\n", None),
        ("application/dtmf-relay", "Signal=5\r\nDuration=²\r\n", Digit("5", 0)),
        ("application/dtmf", "7\r\n", Digit("7", 0)),
        ("application/dtmf", "", None),
        ("text/plain", "Signal=5\r\n", None),
    ],
)
def test_info_bodies(kind: str, body: str, digit: Digit | None) -> None:
    assert info_digit(f"INFO sip:x@y SIP/2.0\r\nContent-Type: {kind}\r\nCSeq: 2 INFO\r\n\r\n{body}") == digit


@given(st.text(max_size=300))
def test_any_info_is_read_without_an_error(text: str) -> None:
    digit = info_digit("INFO sip:x@y SIP/2.0\r\nc: application/dtmf-relay\r\n\r\nSignal=" + text)
    assert digit is None or digit.digit in "0123456789*#ABCD"
    info_digit(text)
