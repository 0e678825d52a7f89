"""The ear that judges the demo's recording: deaf to what people's voices do, keen on what lines do to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from service.demo.listening import Faults, find_faults
from tests.speech_material import CALL_PROMPTS, LINE_HZ, PROMPTS, Pcm16, Prompt, load, ulaw_decoded, ulaw_encoded

FRAME = LINE_HZ // 50
LOUD_RMS = 2500.0
VICTIMS = CALL_PROMPTS[::4]


def over_the_line(prompt: Prompt) -> Pcm16:
    """As it sounds after G.711."""
    return ulaw_decoded(ulaw_encoded(load(prompt)))


def inside_vowels(speech: Pcm16) -> list[int]:
    """Where frames of 20 ms begin that are loud, between two others that are."""
    frames = speech[: speech.size // FRAME * FRAME].astype(np.float64).reshape(-1, FRAME)
    loud: NDArray[np.bool_] = np.sqrt((frames**2).mean(axis=1)) > LOUD_RMS
    return [FRAME * number for number in range(1, len(loud) - 1) if loud[number - 1 : number + 2].all()]


def around(speech: Pcm16, at: int) -> tuple[Pcm16, int]:
    """A copy of the half second before and after, and where the place is in it."""
    begin = max(0, at - LINE_HZ // 2)
    return speech[begin : at + LINE_HZ // 2].copy(), at - begin


def near(faults_s: tuple[float, ...], at: int) -> bool:
    return any(abs(fault_s - at / LINE_HZ) < 0.005 for fault_s in faults_s)


@pytest.mark.parametrize("source", ["asterisk", "librivox", "cards", "beckett"])
def test_people_speak_without_faults(source: str) -> None:
    for prompt in [prompt for prompt in PROMPTS if prompt.source == source][::4]:
        assert find_faults(over_the_line(prompt)) == Faults((), ()), prompt.name


def dropped_frame(speech: Pcm16, at: int) -> None:
    speech[at : at + FRAME] = 0


def dropped_half_frame(speech: Pcm16, at: int) -> None:
    speech[at : at + FRAME // 2] = 0


def dropped_into_noise(speech: Pcm16, at: int) -> None:
    speech[at : at + FRAME] = np.tile([8, -8], FRAME // 2)


@pytest.mark.parametrize("spoil", [dropped_frame, dropped_half_frame, dropped_into_noise])
@pytest.mark.parametrize("prompt", VICTIMS, ids=lambda prompt: prompt.name)
def test_a_gap_inside_a_vowel_is_heard(prompt: Prompt, spoil: Callable[[Pcm16, int], None]) -> None:
    speech = over_the_line(prompt)
    places = inside_vowels(speech)
    assert places
    for at in places[:: max(1, len(places) // 4)]:
        part, place = around(speech, at)
        assert not find_faults(part).any
        spoil(part, place)
        assert near(find_faults(part).gap_s, place), f"{prompt.name} at {at / LINE_HZ:.2f} s"


@pytest.mark.parametrize("height", [-20_000, 20_000])
@pytest.mark.parametrize("prompt", VICTIMS, ids=lambda prompt: prompt.name)
def test_a_click_between_words_is_heard(prompt: Prompt, height: int) -> None:
    speech = over_the_line(prompt)
    level = np.convolve(np.abs(speech.astype(int)), np.ones(FRAME) / FRAME, "same")
    quiet = np.flatnonzero(level[FRAME:-FRAME] < 300) + FRAME
    for at in quiet[:: max(1, len(quiet) // 4)].tolist():
        part, place = around(speech, at)
        part[place] = height
        assert near(find_faults(part).click_s, place), f"{prompt.name} at {at / LINE_HZ:.2f} s"
