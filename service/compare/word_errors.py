"""Word errors of a transcript: substitutions, insertions and deletions (Levenshtein) against what was said."""

from __future__ import annotations

from dataclasses import dataclass

from service.spoken.words import edit_distance, spoken_words


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
    """Count them. Case, punctuation, and how numbers and spelled letters are written do not count."""
    wanted = spoken_words(reference)
    return WordErrors(edit_distance(wanted, spoken_words(transcript)), len(wanted))
