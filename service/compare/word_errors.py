"""Word errors of a transcript: substitutions, insertions and deletions (Levenshtein) against what was said."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_WORDS = 2_000
"""Compared of either side: the work grows with the square."""

_WORD = re.compile(r"\w+")
_APOSTROPHES = re.compile("['’]")  # noqa: RUF001 -- the typographic one is meant


@dataclass(frozen=True, slots=True)
class WordErrors:
    """`errors` against `words` of the reference."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """The word error rate; above 1 where more was written than said."""
        return self.errors / max(1, self.words)


def word_errors(reference: str, transcript: str) -> WordErrors:
    """Count them without regard to case and punctuation. `5` and `five` are different words."""
    wanted, written = _words(reference), _words(transcript)
    row = list(range(len(written) + 1))
    for i, word in enumerate(wanted, start=1):
        above, row = row, [i]
        for j, other in enumerate(written, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
    return WordErrors(row[-1], len(wanted))


def _words(text: str) -> list[str]:
    folded = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return _WORD.findall(folded)[:MAX_WORDS]
