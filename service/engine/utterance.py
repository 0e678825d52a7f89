"""What the agent says: sentence by sentence, and how much of it the caller has heard."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate

MS_PER_CHARACTER = 65
"""How long a sentence is expected to take where its audio was cut off; about 15 characters a second."""

_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\b[A-Z]\.)\s+(?=\S)")
_WORD = re.compile(r"\s*\S+")


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a reply; together, with spaces between, they are the reply."""
    text = " ".join(text.split())
    return tuple(_SENTENCE_END.split(text)) if text else ()


def words(text: str) -> tuple[str, ...]:
    """Text in deltas, a word each, with the space before it."""
    return tuple(_WORD.findall(text))


@dataclass(slots=True)
class Utterance:
    """A reply on its way to the caller."""

    sentences: tuple[str, ...]
    item_id: str = ""
    """Of the assistant's message, once it is there."""
    voiced_ms: list[int] = field(default_factory=list)
    """Audio sent of each sentence begun."""
    heard_ms: int | None = None
    """As the client reported by truncating; None: all that was sent."""
    cut_off: bool = False

    def heard_text(self) -> str:
        """The words heard, by the share of each sentence's time; whole words only."""
        left_ms = sum(self.voiced_ms) if self.heard_ms is None else self.heard_ms
        heard: list[str] = []
        for index, (sentence, sent_ms) in enumerate(zip(self.sentences, self.voiced_ms, strict=False)):
            whole = index < len(self.voiced_ms) - 1
            length_ms = sent_ms if whole else max(sent_ms, len(sentence) * MS_PER_CHARACTER)
            if left_ms >= length_ms:
                heard.append(sentence)
                left_ms -= length_ms
                continue
            characters = len(sentence) * left_ms / length_ms
            pieces = words(sentence)
            complete = sum(1 for end in accumulate(len(piece) for piece in pieces) if end <= characters)
            heard.append("".join(pieces[:complete]))
            break
        return " ".join(part for part in heard if part)
