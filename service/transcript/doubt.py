"""What an out-of-band text says against being a transcript.

A model that is asked for a transcript sometimes answers the caller instead, comments, or repeats what it was told. Such
a text is marked, not dropped: somebody has to look. Where the server's own transcription has the same words there is no
doubt. Words of refusal and of answers are looked for in English only.
"""

from __future__ import annotations

import re
from typing import Literal

from service.spoken.words import edit_distance, spoken_words

Suspicion = Literal["too_many_words", "markdown", "refusal", "answer", "instructions"]
SUSPICIONS: tuple[Suspicion, ...] = ("too_many_words", "markdown", "refusal", "answer", "instructions")

MAX_WORDS_PER_S = 7.0
"""An auctioneer's 400 a minute; conversation has 150 (National Center for Voice and Speech), the fastest of 116 human
recordings of the tests 3.6 a second."""
SPARE_WORDS = 3
"""More than the rate gives: the turn detection may miss the first and last word."""
AGREEING = 0.5
"""Word error rate up to which a second opinion has heard the same."""
REPEATED_WORDS = 8
"""In a row, of the instructions."""
WHOLE_TEXT_WORDS = 5
"""A text that stands in the instructions as a whole needs so many."""
QUESTION_WORDS = 4
_SAME_QUESTION = 0.2

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_MARKDOWN = re.compile(
    r"\*\*\S.*?\S\*\*|__\S.*?\S__|```|^#{1,6} [^\W\d]|^\|?(?:\s*:?-{3,}:?\s*\|)+|\[[^\]\n]+\]\(\S+\)"
    r"|^(?:[-*+]|\d+[.)]) .*\n\s*(?:[-*+]|\d+[.)]) ",
    re.MULTILINE,
)
_REFUSAL = re.compile(
    r"\bas an ai\b"
    r"|\b(?:can['\u2019]?t|cannot|can not|unable to|not able to|won['\u2019]t) (?:\w+ )?(?:assist|comply|transcribe|"
    r"process (?:the|this|your) (?:audio|request|recording)|provide (?:a|the|that|this) transcript\w*)\b"
    r"|\bsorry,? (?:but )?I (?:can['\u2019]?t|cannot) help with (?:that|this)\b"
    r"|\b(?:no|(?:not|n['\u2019]t) (?:any|an|receive any|hear any)) (?:audio|speech)(?: \w+){0,3} (?:provided|detected|"
    r"given|received|to transcribe|available)\b",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"\bhow (?:can|may|could) (?:I|we) (?:help|assist|be of)\b"
    r"|\bwhat can I (?:do for|help) you\b"
    r"|\bI(?: a|['\u2019])m here to (?:help|assist)\b"
    r"|\bI(?:['\u2019]d| would) be (?:happy|glad) to (?:help|assist)\b"
    r"|\b(?:anything|something) else I can (?:help|assist|do)\b"
    r"|\bhere(?: i|['\u2019])s (?:the|your|a) (?:\w+ )?transcri"
    r"|^\W*(?:transcript|transcription)\s*:"
    r"|^\W*(?:the )?(?:caller|user|speaker) (?:says|said|is saying)\b",
    re.IGNORECASE,
)
_ASKS_FOR_YOURS = re.compile(
    r"\byour\b[^?]*\b(?:name|policy|number|phone|claim|address|birth|details)\b[^?]*\?", re.IGNORECASE
)


class Doubt:
    """Judges texts of one prompt."""

    def __init__(self, instructions: str) -> None:
        words = _words_of_prompt(instructions)
        self._instructions = f" {' '.join(words)} "
        self._rows = {tuple(words[at : at + REPEATED_WORDS]) for at in range(len(words) - REPEATED_WORDS + 1)}

    def about(self, text: str, *, duration_ms: int, second_opinion: str | None, answer: str) -> Suspicion | None:
        """Why `text` cannot be the transcript of `duration_ms` of speech (0: unknown); None where it may be.

        `second_opinion`: the server's own transcription; `answer`: what the agent said to this turn, empty where it
        has said nothing yet.
        """
        if not text:
            return None
        other = second_opinion or ""
        said = _said_instead(text, other, answer)
        if said is not None or _agree(text, other):
            return said
        if self._repeats_instructions(text):
            return "instructions"
        if duration_ms and len(_WORD.findall(text)) > duration_ms / 1000 * MAX_WORDS_PER_S + SPARE_WORDS:
            return "too_many_words"
        return None

    def _repeats_instructions(self, text: str) -> bool:
        words = spoken_words(text)
        if len(words) >= WHOLE_TEXT_WORDS and f" {' '.join(words)} " in self._instructions:
            return True
        return any(
            tuple(words[at : at + REPEATED_WORDS]) in self._rows for at in range(len(words) - REPEATED_WORDS + 1)
        )


def _words_of_prompt(instructions: str) -> list[str]:
    """`spoken_words` line by line: a prompt is longer than a turn."""
    return [word for line in instructions.splitlines() for word in spoken_words(line)]


def _said_instead(text: str, other: str, answer: str) -> Suspicion | None:
    """What a model says instead of a transcript, or around a true one."""
    if _MARKDOWN.search(text):
        return "markdown"
    if _says(_REFUSAL, text, other):
        return "refusal"
    if _says(_ANSWER, text, other) or _goes_on_asking(text, other) or _asks_what_the_agent_asks(text, answer):
        return "answer"
    return None


def _says(pattern: re.Pattern[str], text: str, other: str) -> bool:
    """Whether the text has what the second opinion has not."""
    return pattern.search(text) is not None and pattern.search(other) is None


def _agree(text: str, other: str) -> bool:
    wanted = spoken_words(text)
    return bool(other) and edit_distance(wanted, spoken_words(other)) <= AGREEING * len(wanted)


def _goes_on_asking(text: str, other: str) -> bool:
    """Whether what the second opinion heard is followed by a question for the caller's own data."""
    heard, words = spoken_words(other), spoken_words(text)
    begins_alike = edit_distance(heard, words[: len(heard)]) <= len(heard) // 5
    return bool(heard) and begins_alike and _says(_ASKS_FOR_YOURS, text, other)


def _asks_what_the_agent_asks(text: str, answer: str) -> bool:
    """Whether a question in the text is the agent's next one, which the caller cannot have heard yet."""
    theirs = _questions(answer)
    return any(edit_distance(one, other) <= _SAME_QUESTION * len(one) for one in _questions(text) for other in theirs)


def _questions(text: str) -> list[list[str]]:
    sentences = re.findall(r"[^.?!]*\?", text)
    return [words for one in sentences if len(words := spoken_words(one)) >= QUESTION_WORDS]
