"""Two texts of the same speech, made comparable: one way to write each word, number and letter; how far they differ."""

from __future__ import annotations

from collections.abc import Sequence

from service.spoken.characters import LETTER_O, Chunk, pieces
from service.spoken.figures import with_figures
from service.spoken.tokens import tidy, tokenise


def spoken_words(text: str) -> list[str]:
    """Words in lower case without punctuation; digits and spelled letters one by one, numbers as digits.

    "It's K-seven, twenty-five" gives ["its", "k", "7", "2", "5"]. Of a text at most `tokens.MAX_CHARS` are read.
    """
    tokens = tokenise(with_figures(tidy(text)))
    words: list[str] = []
    for piece, first, after in pieces(tokens):
        if isinstance(piece, Chunk) and not piece.doubtful:
            words += piece.chars.replace(LETTER_O, "O").lower()
        else:
            words += [token.lower.replace("'", "") for token in tokens[first:after] if token.text[0].isalnum()]
    return words


def edit_distance(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Fewest substitutions, insertions and deletions between two rows of words.

    Bit-parallel (Myers 1999, as simplified by Hyyrö 2003): a few operations on integers for each word of `found`.
    """
    if not wanted:
        return len(found)
    places: dict[str, int] = {}
    for at, word in enumerate(wanted):
        places[word] = places.get(word, 0) | 1 << at
    every, last = (1 << len(wanted)) - 1, 1 << (len(wanted) - 1)
    more, less, distance = every, 0, len(wanted)
    for word in found:
        equal = places.get(word, 0)
        vertical = equal | less
        horizontal = (((equal & more) + more) ^ more) | equal
        up = (less | ~(horizontal | more)) & every
        down = more & horizontal
        distance += bool(up & last) - bool(down & last)
        up, down = up << 1 | 1, down << 1
        more = (down | ~(vertical | up)) & every
        less = up & vertical & every
    return distance
