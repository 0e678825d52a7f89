"""The caller's side of a recording is cut where turns begin and end, whatever the line sounds like."""

from __future__ import annotations

import numpy as np
import pytest

from service.compare.cutting import speech_stretches
from service.media.resample import Pcm
from tests.compare.wavs import noise, silence, tone

RATE_HZ = 8_000


def stretches_ms(*parts: Pcm) -> list[tuple[int, int]]:
    found = speech_stretches(np.concatenate(parts), RATE_HZ)
    return [(begin * 1000 // RATE_HZ, end * 1000 // RATE_HZ) for begin, end in found]


def test_turns_are_kept_with_what_is_around_them() -> None:
    found = stretches_ms(silence(2000), tone(1000), silence(3000), tone(600), silence(1000))
    assert found == [(1700, 3300), (5700, 6900)]


def test_a_pause_for_breath_ends_no_turn() -> None:
    assert stretches_ms(silence(1000), tone(500), silence(400), tone(500), silence(1000)) == [(700, 2700)]


def test_turns_that_follow_closely_do_not_share_audio() -> None:
    found = stretches_ms(silence(1000), tone(500), silence(540), tone(500), silence(1000))
    assert found == [(700, 1800), (1800, 2840)]


def test_a_click_is_no_turn() -> None:
    assert stretches_ms(silence(1000), tone(60), silence(1000)) == []


@pytest.mark.parametrize("rms", [10, 80, 400])
def test_noise_of_the_line_is_no_speech(rms: float) -> None:
    parts = (silence(2000), tone(1000), silence(3000))
    line = np.concatenate(parts) + noise(6000, rms)
    assert stretches_ms(line.astype(np.int16)) == [(1700, 3300)]


def test_a_caller_who_never_pauses_is_heard() -> None:
    assert stretches_ms(tone(4000)) == [(0, 4000)]


@pytest.mark.parametrize("line", [silence(0), silence(5), silence(3000)])
def test_where_nobody_speaks_there_is_nothing(line: Pcm) -> None:
    assert stretches_ms(line) == []
