"""The judge of transcripts is judged: numbers, spellings, spacing, and what is an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import speech_material
from tests.speech_material import (
    CALL_PROMPTS,
    POLICY_NUMBERS,
    Prompt,
    characters,
    digits,
    load,
    ulaw_decoded,
    ulaw_encoded,
    word_error_rate,
    word_errors,
)


@pytest.mark.parametrize(
    ("transcript", "spelled"),
    [
        ("K, seven, M, two, four, zero, B, nine.", "K7M240B9"),
        ("K7M2 40B9", "K7M240B9"),
        ("k, seven m, two, 40 b9", "K7M240B9"),
        ("Fm 99d023", "FM99D023"),
        ("R. I, three, six, four, six, you, seven.", "RI3646U7"),
        ("forty two, seventy, oh five", "427005"),
        ("the number is", ""),
    ],
)
def test_spelled_characters(transcript: str, spelled: str) -> None:
    assert characters(transcript) == spelled
    assert digits(transcript) == "".join(character for character in spelled if character.isdigit())


@pytest.mark.parametrize(
    ("reference", "transcript", "errors"),
    [
        ("Press 4 to delete.", "press four to delete", 0),
        ("voicemail", "Voice mail.", 0),
        ("re-enter it", "reenter it", 0),
        ("I'm sorry, that's it", "I am sorry, that is it.", 0),
        ("extension 21", "extension twenty-one", 0),
        ("four queen of clubs", "four queen of clothes", 1),
        ("please try again", "try again", 1),
        ("try again", "please do try again", 2),
        ("hello", "", 1),
    ],
)
def test_word_errors(reference: str, transcript: str, errors: int) -> None:
    assert word_errors(reference, transcript)[0] == errors


def test_the_rate_is_over_all_words() -> None:
    assert word_error_rate([("a b c", "a b c"), ("d", "x")]) == pytest.approx(0.25)


def test_mu_law_is_g711s() -> None:
    codes = np.arange(256).astype(np.uint8)
    # Both zeros, 0x7f and 0xff, decode to 0 and encode as the positive one.
    np.testing.assert_array_equal(ulaw_encoded(ulaw_decoded(codes)), np.where(codes == 0x7F, 0xFF, codes))
    assert ulaw_decoded(np.array([0x00, 0x80, 0xFF], np.uint8)).tolist() == [-32124, 32124, 0]
    pcm = np.arange(-32768, 32768, 7).astype(np.int16)
    error = np.abs(ulaw_decoded(ulaw_encoded(pcm)).astype(int) - pcm)
    assert np.all(error <= np.maximum(8, np.abs(pcm.astype(int)) / 24 + 8))


def test_the_prompts_of_a_call_are_enough() -> None:
    assert len(CALL_PROMPTS) >= 20
    assert len({prompt.source for prompt in CALL_PROMPTS}) == 2
    assert all(1.5 <= load(prompt).size / 8_000 <= 6.0 for prompt in CALL_PROMPTS)
    assert len(set(POLICY_NUMBERS)) == 6


def test_a_missing_recording_names_the_debian_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(speech_material, "_ASTERISK", tmp_path / "asterisk")
    with pytest.raises(FileNotFoundError, match="apt-get install asterisk-core-sounds-en-wav"):
        load(Prompt("asterisk", "hello", "hello"))
    monkeypatch.setattr(speech_material, "_POCKETSPHINX", tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="apt-get install pocketsphinx-testdata"):
        load(Prompt("cards", "001", "ten of clubs"))
