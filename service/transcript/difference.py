"""How far two transcripts of the same turn differ, and whether in something that a claim depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from service.spoken.codes import runs
from service.spoken.figures import with_figures
from service.spoken.tokens import tidy, tokenise
from service.spoken.words import edit_distance, spoken_words

Kind = Literal["number", "spelled_name", "policy_number"]
KINDS: tuple[Kind, ...] = ("number", "spelled_name", "policy_number")
SHORTEST_CODE_CHARS = 4
"""Letters and digits in one row: half a policy number (XXXX-XXXX) is one too."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`word_error_rate`: edits per word of the transcript, where it is empty per word of the other; above 1 where the
    other is much longer.
    """

    word_error_rate: float
    differs: tuple[Kind, ...]

    def as_json(self) -> dict[str, Any]:
        """As it stands in `turn.transcribed`."""
        return {"word_error_rate": round(self.word_error_rate, 3), "differs": list(self.differs)}


def difference(transcript: str, other: str) -> Difference:
    """Compare a transcript with a second opinion. How words, numbers and letters are written does not count."""
    return Difference(word_error_rate(transcript, other), _differing(transcript, other))


def word_error_rate(transcript: str, other: str) -> float:
    """Edits between the two in words, per word of `transcript`; 0 where both are empty."""
    wanted, found = spoken_words(transcript), spoken_words(other)
    return edit_distance(wanted, found) / (len(wanted) or len(found) or 1)


def _differing(transcript: str, other: str) -> tuple[Kind, ...]:
    ours, theirs = _codes(transcript), _codes(other)
    if ours == theirs:
        return ()
    differing: list[Kind] = []
    if _numbers(ours) != _numbers(theirs):
        differing.append("number")
    if not (_written_in(ours, other) and _written_in(theirs, transcript)):
        differing.append("spelled_name")
    if _policy_numbers(ours) != _policy_numbers(theirs):
        differing.append("policy_number")
    return tuple(differing)


def _codes(text: str) -> list[str]:
    return [run.chars for run in runs(tokenise(with_figures(tidy(text))))]


def _numbers(codes: list[str]) -> str:
    """All digits that stand for themselves, in a row: how they are grouped is a matter of writing.

    A lone 1 is left out: mostly it is the pronoun.
    """
    return "".join(code for code in codes if code.isdigit() and code != "1")


def _policy_numbers(codes: list[str]) -> str:
    return "".join(
        code for code in codes if len(code) >= SHORTEST_CODE_CHARS and not code.isdigit() and not code.isalpha()
    )


def _written_in(codes: list[str], text: str) -> bool:
    """Whether each spelling is in the text, letter by letter or as a word."""
    letters = "".join(char for char in text.upper() if char.isalpha())
    return all(code in letters for code in codes if code.isalpha() and len(code) > 1)
