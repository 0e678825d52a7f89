"""What recognition gives: the words of a stretch of speech, and how likely each piece of them was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

_WORD_BEGINS = "\u2581".encode()
"""How vocabularies of SentencePiece write the space before a word."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a transcript. `logprob` is the natural logarithm of its probability, 0 for certain."""

    utf8: bytes
    """One character may be spread over several tokens."""
    logprob: float

    def wire(self) -> dict[str, Any]:
        """As it stands in the `logprobs` of an event."""
        return {"token": self.utf8.decode("utf-8", "replace"), "logprob": self.logprob, "bytes": list(self.utf8)}


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text, and the tokens as they were decoded, before the text was tidied; none where nothing was said."""

    text: str
    tokens: tuple[Token, ...] = ()


def spelled_by(vocabulary_entry: bytes) -> bytes:
    """What a SentencePiece token adds to a text."""
    return vocabulary_entry.replace(_WORD_BEGINS, b" ")


def text_of(tokens: tuple[Token, ...]) -> str:
    """The text that the tokens spell."""
    return b"".join(token.utf8 for token in tokens).decode("utf-8", "replace").strip()


def joined(pieces: list[tuple[Token, ...]]) -> tuple[Token, ...]:
    """The tokens of consecutive pieces of one turn, without the space that the first of them begins with."""
    tokens = [token for piece in pieces for token in piece]
    return (replace(tokens[0], utf8=tokens[0].utf8.lstrip(b" ")), *tokens[1:]) if tokens else ()
