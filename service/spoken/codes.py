"""Letters and digits spoken in a row: policy numbers, phone numbers, report numbers.

Recognisers write the same code as "K7M2 40B9", "K seven M two, four zero B nine", "K-7-M-2 dash 4-0-B-9" or
"kilo seven mike to forty bee nine". All of them become runs of the same characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.spoken.characters import LETTER_O, Chunk, Mark, pieces
from service.spoken.tokens import Token, tidy, tokenise


@dataclass(frozen=True, slots=True)
class Run:
    """Characters spoken in a row.

    ``parts`` are split where a sentence ended. ``before`` and ``after`` are words at the edges that sound like
    characters but are probably words. ``start`` and ``end`` are token positions, end exclusive.
    """

    parts: tuple[str, ...]
    before: str
    after: str
    start: int
    end: int
    negated: bool
    """Follows the word "not"."""

    @property
    def chars(self) -> str:
        """All characters, doubtful edges left out."""
        return "".join(self.parts)

    def fitted(self, length: int) -> str | None:
        """The characters if some plausible reading has exactly this length."""
        for first in range(len(self.parts)):
            for last in range(len(self.parts), first, -1):
                joined = "".join(self.parts[first:last])
                if len(joined) == length:
                    return joined
        chars = self.chars
        if len(chars) == 2 * length and chars[:length] == chars[length:]:
            return chars[:length]
        for reading in (self.before + chars, chars + self.after, self.before + chars + self.after):
            if len(reading) == length:
                return reading
        return None


def runs(tokens: list[Token]) -> list[Run]:
    """All runs of spoken characters, in order; a single character is a run too."""
    found: list[Run] = []
    row = pieces(tokens)
    position = 0
    negated = False
    while position < len(row):
        piece, start, _ = row[position]
        if not isinstance(piece, Chunk):
            negated = piece is Mark.NOT or (negated and piece is Mark.BETWEEN)
            position += 1
            continue
        stop = position
        while stop < len(row) and row[stop][0] not in (Mark.BREAK, Mark.NOT):
            stop += 1
        run = _run([p for p, _, _ in row[position:stop]], start, row[stop - 1][2], negated=negated)
        if run is not None:
            found.append(run)
        position = stop
        negated = False
    return found


def code_tokens(text: str) -> list[str]:
    """Every run of letters and digits spoken one by one in a text, upper case, joined.

    "my number is X double oh seven" gives ["X007"], "EG07-1234" gives ["EG071234"]; a single character is a run too.
    """
    return [run.chars for run in runs(tokenise(tidy(text)))]


def digits(characters: str) -> str | None:
    """The characters as digits, the letter O read as zero; None where another letter is among them."""
    plain = characters.replace("O", "0")
    return plain if plain.isdigit() else None


def _run(row: list[Chunk | Mark], start: int, end: int, *, negated: bool) -> Run | None:
    chunks = [i for i, piece in enumerate(row) if isinstance(piece, Chunk)]
    sure = [i for i in chunks if not _doubtful(row[i])]
    if not sure:
        return None
    before = "".join(_chars(row[i]) for i in chunks if i < sure[0])
    after = "".join(_chars(row[i]) for i in chunks if i > sure[-1])
    parts = [""]
    for piece in row[sure[0] : sure[-1] + 1]:
        if isinstance(piece, Chunk):
            parts[-1] += piece.chars
        elif piece is Mark.SENTENCE_END:
            parts.append("")
    return Run(_zeros(tuple(filter(None, parts))), _plain(before), _plain(after), start, end, negated)


def _doubtful(piece: Chunk | Mark) -> bool:
    return isinstance(piece, Chunk) and piece.doubtful


def _chars(piece: Chunk | Mark) -> str:
    return piece.chars if isinstance(piece, Chunk) else ""


def _plain(chars: str) -> str:
    return chars.replace(LETTER_O, "O")


def _zeros(parts: tuple[str, ...]) -> tuple[str, ...]:
    """A spoken "oh" beside a digit is a zero, unless the caller said that it is a letter."""
    chars = list("".join(parts))
    for order in (range(len(chars)), range(len(chars) - 1, -1, -1)):
        for i in order:
            beside = chars[max(i - 1, 0) : i] + chars[i + 1 : i + 2]
            if chars[i] == "O" and any(char.isdigit() for char in beside):
                chars[i] = "0"
    joined = "".join(chars)
    split: list[str] = []
    for part in parts:
        split.append(_plain(joined[: len(part)]))
        joined = joined[len(part) :]
    return tuple(split)
