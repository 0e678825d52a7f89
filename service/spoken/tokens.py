"""A transcript as words, digits and marks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_CHARS = 2000
"""Of one turn; a turn is at most a few spoken sentences, the rest is noise."""

_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|[0-9]+|[^\s\w]", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a string of digits, or one punctuation mark."""

    text: str
    glued: bool
    """No white space between this token and the one before."""
    start: int = 0
    """Place of its first character in the text."""

    @property
    def lower(self) -> str:
        """The token in lower case."""
        return self.text.lower()


def tidy(transcript: str) -> str:
    """The transcript in compatibility form, typographic apostrophes and white space made plain, bounded in length."""
    plain = unicodedata.normalize("NFKC", transcript[:MAX_CHARS])
    plain = plain.replace("\u2019", "'").replace("\u2018", "'")
    plain = re.sub(r"[\u2010-\u2015\u2212]", "-", plain)
    return " ".join(plain.split())


def tokenise(text: str) -> list[Token]:
    """Tokens of a tidied transcript, in order."""
    tokens: list[Token] = []
    end = -1
    for match in _TOKEN.finditer(text):
        tokens.append(Token(match.group(), match.start() == end, match.start()))
        end = match.end()
    return tokens
