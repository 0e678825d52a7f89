"""Text as it is read aloud."""

# ruff: noqa: RUF001  phonemes are meant

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.spoken import sentences


def plain(text: str) -> list[str]:
    """Sentences with the letters' phonemes taken away."""
    return [re.sub(r"\[(\w)\]\(/[^)]*/\)", r"\1", sentence) for sentence in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is K7M2-40B9 right?", ["Is K, seven, M, two; four, zero, B, nine right?"]),
        ("Claim CLAIM-2026-0001.", ["Claim Claim; two, zero, two, six; zero, zero, zero, one."]),
        ("Call 555-123-4567.", ["Call five, five, five; one, two, three; four, five, six, seven."]),
        ("Call (555) 123-4567.", ["Call five, five, five; one, two, three; four, five, six, seven."]),
        ("Report 20261107.", ["Report two, zero, two; six, one, one; zero, seven."]),
        ("Zip 90210.", ["Zip nine, zero, two, one, zero."]),
        ("At 2PM it was $12,500.50 on 2026-11-21.", ["At 2PM it was $12,500.50 on 2026-11-21."]),
        ("On March 3rd, 2026, 50% of it.", ["On March 3rd, 2026, 50% of it."]),
        ("Mr. Smith came. He left.", ["Mr. Smith came.", "He left."]),
        ("J. K. Rowling wrote it.", ["J. K. Rowling wrote it."]),
        ("One.\nTwo!  Three?", ["One.", "Two!", "Three?"]),
        ("A tree.", ["A tree."]),
        ("", []),
        ("... !", []),
    ],
)
def test_what_is_read(text: str, expected: list[str]) -> None:
    assert plain(text) == expected


def test_letters_are_given_as_sounds_so_that_a_is_no_article() -> None:
    assert sentences("A1B")[0].startswith("[A](/ˈA/), one, [B]")
    assert "[A](/ˈA/), seven" in sentences("It is A, seven.")[0]


@given(st.text(max_size=400))
def test_any_text_gives_short_sentences_without_markup(text: str) -> None:
    for sentence in plain(text):
        assert not set(sentence) & set("[]{}<>|\\\x00")
        assert sentence == sentence.strip()


@given(st.lists(st.sampled_from(["word", "and,", "then", "x" * 90]), max_size=200))
def test_no_words_are_lost_by_cutting(parts: list[str]) -> None:
    text = " ".join(parts)
    assert " ".join(sentences(text)).split() == text.split()
    assert all(len(sentence) <= 240 for sentence in sentences(text))
