"""Word errors are substitutions, insertions and deletions, without regard to case and punctuation."""

from __future__ import annotations

import pytest

from service.compare.word_errors import word_errors


@pytest.mark.parametrize(
    ("reference", "transcript", "errors", "words"),
    [
        ("It's an auto accident.", "its an Auto accident", 0, 4),
        ("I had an auto accident", "I had otoo accident", 2, 5),
        ("policy number", "my policy number is", 2, 2),
        ("", "", 0, 0),
        ("", "thank you", 2, 0),
        ("hello", "", 1, 1),
        ("five cars at twenty-five", "5 cars at 25", 0, 5),
        ("café Müller", "CAFE\u0301 müller", 0, 2),
    ],
)
def test_errors_are_counted(reference: str, transcript: str, errors: int, words: int) -> None:
    counted = word_errors(reference, transcript)
    assert (counted.errors, counted.words) == (errors, words)
    assert counted.rate == errors / max(1, words)
