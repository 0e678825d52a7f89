"""What must not leave in a transcript: card numbers, and whatever the operator's patterns find.

Phone and policy numbers are shorter, or have letters, and stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from service.spoken.characters import LETTER_O, Chunk, Mark, pieces
from service.spoken.tokens import Token, tokenise

CARD_NUMBER = "[card number]"
MIN_CARD_DIGITS, MAX_CARD_DIGITS = 13, 19
"""ISO/IEC 7812-1 allows up to 19; in use are 13 and more."""
_CARD_BEGINS = frozenset("23456")
"""Major industry identifiers (ISO/IEC 7812-1) of payment cards."""
_GLUED_LENGTHS = (16, 15)
"""Looked for inside a longer string of digits, as keys of a telephone make one."""
_DIGITISH = re.compile(
    r"\d|\b(?:zero|oh?|one|two|three|four|five|six|seven|eight|niner?|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand|"
    r"double|triple)\b",
    re.IGNORECASE,
)
_FEWEST_DIGITISH = MIN_CARD_DIGITS // 2
"""A word gives two digits at most ("eleven")."""
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))


class Redaction:
    """Takes out of a text what must not leave. `patterns`: regular expressions by name, each replaced by `[name]`.

    Raises `re.error` where one of them is none.
    """

    def __init__(self, patterns: Mapping[str, str], *, card_numbers: bool) -> None:
        self._patterns = {f"[{name}]": re.compile(pattern) for name, pattern in patterns.items()}
        self._card_numbers = card_numbers

    @property
    def active(self) -> bool:
        """Whether there is anything to look for."""
        return self._card_numbers or bool(self._patterns)

    def __call__(self, text: str) -> str:
        """The text without it."""
        if self._card_numbers and len(_DIGITISH.findall(text)) >= _FEWEST_DIGITISH:
            for start, end in reversed(_cards(text)):
                text = text[:start] + CARD_NUMBER + text[end:]
        for label, pattern in self._patterns.items():
            # As a function: a backslash in the name is no reference to a group.
            text = pattern.sub(lambda _match, label=label: label, text)  # type: ignore[misc]
        return text


@dataclass(frozen=True, slots=True)
class _Digits:
    """Digits spoken or written as one, and where they stand in the text."""

    digits: str
    start: int
    end: int


def _cards(text: str) -> list[tuple[int, int]]:
    """Spans of card numbers, written or spoken digit by digit, in order."""
    plain = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    tokens = tokenise(plain.translate(_HYPHENS))
    spans: list[tuple[int, int]] = []
    row: list[_Digits] = []
    for piece, first, after in pieces(tokens):
        if isinstance(piece, Chunk):
            digits = piece.chars.replace("O", "0").replace(LETTER_O, "O")
            if digits.isdigit():
                row.append(_Digits(digits, tokens[first].start, _end(tokens[after - 1])))
                continue
        elif piece in (Mark.BETWEEN, Mark.SENTENCE_END):
            continue
        spans += _in_row(row)
        row = []
    return spans + _in_row(row)


def _end(token: Token) -> int:
    return token.start + len(token.text)


def _in_row(row: list[_Digits]) -> list[tuple[int, int]]:
    """Card numbers in digits that follow one another; the longest that begins first wins."""
    spans: list[tuple[int, int]] = []
    ends = list(accumulate((len(one.digits) for one in row), initial=0))
    every = "".join(one.digits for one in row)
    first = 0
    while first < len(row):
        last = next(
            (last for last in range(len(row), first, -1) if _is_card(every[ends[first] : ends[last]])),
            None,
        )
        if last is not None:
            spans.append((row[first].start, row[last - 1].end))
            first = last
            continue
        glued = _glued(row[first])
        if glued is not None:
            spans.append(glued)
        first += 1
    return spans


def _glued(one: _Digits) -> tuple[int, int] | None:
    """A card number inside a string of digits that was written without a gap."""
    if len(one.digits) != one.end - one.start:
        return None
    for length in _GLUED_LENGTHS:
        for at in range(len(one.digits) - length + 1):
            if _is_card(one.digits[at : at + length]):
                return one.start + at, one.start + at + length
    return None


def _is_card(digits: str) -> bool:
    return MIN_CARD_DIGITS <= len(digits) <= MAX_CARD_DIGITS and digits[0] in _CARD_BEGINS and _passes_luhn(digits)


def _passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
