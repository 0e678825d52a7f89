"""What callers say beside the answer: please repeat, one moment, goodbye, am I covered?"""

from __future__ import annotations

import re
from enum import Enum, auto


class Aside(Enum):
    """A turn, or a part of it, that is about the conversation and not about the claim."""

    REPEAT = auto()
    HOLD = auto()
    GOODBYE = auto()
    PERSON = auto()
    ROBOT = auto()
    MEANING = auto()
    LEGAL = auto()
    MULTIPLE = auto()
    QUESTION = auto()


_PATTERNS: tuple[tuple[Aside, re.Pattern[str]], ...] = tuple(
    (aside, re.compile(pattern))
    for aside, pattern in (
        (
            Aside.GOODBYE,
            r"\b(?:good ?bye|bye(?:-bye)?|hang(?:ing)? up|i(?:'ve| have)? (?:got to|gotta|have to|must|need "
            r"to) (?:go|leave|run)|gotta go|"
            r"call (?:you )?(?:back )?(?:again )?later|end (?:the|this) call|stop (?:the|this) call|talk to you later|"
            r"cancel (?:the|this|my) (?:call|claim)|don't want to (?:continue|go on|do this))\b",
        ),
        (
            Aside.PERSON,
            r"\b(?:speak|talk|connect|transfer|put me|get me|give me)(?: \w+){0,4} (?:person|human|agent|"
            r"representative|rep|somebody|someone|operator|"
            r"adjuster|manager|supervisor)\b|^\W*(?:representative|operator|agent|human|real person)\W*$",
        ),
        (
            Aside.ROBOT,
            r"\bare you (?:a |an )?(?:real|robot|human|machine|computer|person|ai|bot|automated)\b|\bam i "
            r"(?:talking|speaking) (?:to|with)\b",
        ),
        (
            Aside.REPEAT,
            r"\b(?:repeat|say (?:that|it|this) (?:again|once more)|say again|come again|pardon|what was that|"
            r"what did you say|one more time|"
            r"(?:didn't|did not|couldn't|can't) (?:quite )?(?:catch|hear|get|understand) (?:that|you|it|the "
            r"question)|what was the question)\b"
            r"|^\W*(?:sorry|what|huh|excuse me|hello|can you hear me)\W*$",
        ),
        (
            Aside.HOLD,
            r"\b(?:hold on|hang on|(?:one|just a|a|one more|give me a|wait a) (?:moment|second|minute|"
            r"sec)\b(?! (?:later|ago|after))|let me (?:check|look|see|find|get|grab|think)|"
            r"bear with me)\b|^\W*(?:please )?wait\W*$",
        ),
        (
            Aside.MEANING,
            r"\b(?:where (?:do|can|would|will) i find|what(?:'s| is) (?:a|that|the) (?:policy )?number|what "
            r"do you mean|don't understand|which number|"
            r"why do you (?:need|want|ask)|what for|how many (?:characters|digits))\b",
        ),
        (
            Aside.LEGAL,
            r"\b(?:lawyers?|attorneys?|sue|sued|lawsuit|legal(?:ly)? (?!name)\w*|liab\w+|my fault|at fault|admit)\b",
        ),
        (
            Aside.MULTIPLE,
            r"\b(?:two|three|another|second|more than one|several|multiple) (?:different |other "
            r")?(?:accidents?|incidents?|claims?)\b",
        ),
        (
            Aside.QUESTION,
            r"\?$|^\W*(?:(?:so|and|but|well|okay|ok|um|uh)\W+)*(?:what|when|where|why|how|who|will|do|does|am|"
            r"can|could|would|should) (?:you|i|my|it|the|this|we|your|is|are|much|long|many|do|will)\b"
            r"|\b(?:deductible|premium|am i covered|rental car|how much|how long)\b",
        ),
    )
)
_UPSET = re.compile(
    r"\b(?:upset|scared|frightened|shaking|shaken|crying|terrible|awful|horrible|terrified|stress\w*|"
    r"frustrat\w+|ridiculous|angry|furious|"
    r"worried|in shock|shocked|nightmare|devastated|overwhelmed|unacceptable|annoy\w+)\b"
)
_LONGEST_ASIDE_WORDS = 14
"""A longer turn is a story that happens to hold such words."""


def hear_asides(text: str) -> frozenset[Aside]:
    """All asides in a tidied transcript."""
    lower = text.lower()
    if len(lower.split()) > _LONGEST_ASIDE_WORDS:
        lower = _last_sentence(lower)
    return frozenset(aside for aside, pattern in _PATTERNS if pattern.search(lower))


def sounds_upset(text: str) -> bool:
    """Whether the caller names distress."""
    return bool(_UPSET.search(text.lower()))


def _last_sentence(lower: str) -> str:
    sentences = [sentence for sentence in re.split(r"(?<=[.?!])\s+", lower) if sentence]
    last = sentences[-1] if sentences else ""
    return last if len(last.split()) <= _LONGEST_ASIDE_WORDS else ""
