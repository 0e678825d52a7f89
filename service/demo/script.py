"""The demo's caller: what she says to what she hears. Deterministic; knows the agent only by its words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Line:
    """What the caller says next."""

    text: str
    interrupts: bool = False
    """She does not wait for the agent to finish."""
    hang_up: bool = False
    """She hangs up after saying it."""


class _Topic(Enum):
    GOODBYE = auto()
    NAME = auto()
    POLICY = auto()
    KIND = auto()
    PHONE = auto()
    WHEN = auto()
    HALF_OF_DAY = auto()
    PEOPLE = auto()
    DRIVABLE = auto()
    EVIDENCE = auto()
    WITNESSES = auto()
    REPORT_NUMBER = auto()
    ACCOUNT = auto()
    CONFIRM = auto()
    PRESENT = auto()


# The topic named last in the agent's words wins, since an acknowledgement comes before the question; among equals, the
# first of this table.
_TOPICS: tuple[tuple[_Topic, re.Pattern[str]], ...] = tuple(
    (topic, re.compile(pattern, re.IGNORECASE))
    for topic, pattern in (
        (_Topic.GOODBYE, r"\bgood ?bye\b"),
        (_Topic.CONFIRM, r"\bcorrect\b|\badd something\b"),
        (_Topic.HALF_OF_DAY, r"\bmorning or\b"),
        (_Topic.PEOPLE, r"\b(?:injured|hurt)\b.*"),
        (_Topic.DRIVABLE, r"\bdriven\b|\bdrivable\b"),
        (_Topic.EVIDENCE, r"\breport\b.*\bfiled\b.*"),
        (_Topic.REPORT_NUMBER, r"\breport\b"),
        (_Topic.WITNESSES, r"\bwitness"),
        (_Topic.KIND, r"\bauto claim\b|\byour home\b|\bsomething else\b"),
        (_Topic.PHONE, r"\bphone\b|\barea code\b"),
        (_Topic.POLICY, r"\bpolicy number\b|\bcharacters\b|\bthe rest\b"),
        (_Topic.NAME, r"\bname\b"),
        (_Topic.ACCOUNT, r"\bwhat happened\b|\bown words\b"),
        (_Topic.WHEN, r"\bwhen\b|\bwhich day\b|\bwhat time\b|\bdate\b"),
        (_Topic.PRESENT, r"\bstill there\b|\bhear you\b"),
    )
)

# What she says to each topic, the first time and from the second time on.
_LINES: Mapping[_Topic, tuple[str, str]] = MappingProxyType(
    {
        _Topic.NAME: (
            "Hello. My name is Margaret Hale, and my policy number is K seven M two, four zero B nine.",
            "My name is Margaret Hale.",
        ),
        _Topic.POLICY: (
            "My policy number is K seven M two, four zero B nine.",
            "K, seven, M, two. Four, zero, B, nine.",
        ),
        _Topic.KIND: ("It's about my car.", "It's an auto claim."),
        _Topic.PHONE: (
            "You can reach me at five five five, zero one four, two two seven seven.",
            "My phone number is five five five, zero one four, two two seven eight.",
        ),
        _Topic.WHEN: (
            "It happened on November fourteenth, twenty twenty-six, at half past five in the evening.",
            "On November fourteenth, twenty twenty-six, at five thirty PM.",
        ),
        _Topic.HALF_OF_DAY: ("In the evening.", "In the evening, please."),
        _Topic.PEOPLE: ("No one was hurt, but the car can't be driven.", "No, no one was injured."),
        _Topic.DRIVABLE: ("No, the car can't be driven.", "No, it can't be driven."),
        _Topic.EVIDENCE: (
            "Yes, there is a police report. Its number is four four one seven. And there were no witnesses.",
            "Yes, a police report was filed.",
        ),
        _Topic.WITNESSES: ("No, there were no witnesses.", "No, no witnesses."),
        _Topic.REPORT_NUMBER: ("The report number is four four one seven.", "It is four, four, one, seven."),
        _Topic.ACCOUNT: (
            "I stopped at a red light and another car hit me from behind.",
            "I stopped at a red light and another car hit me from behind.",
        ),
        _Topic.CONFIRM: ("Yes, that's right.", "Yes, that's all correct."),
        _Topic.PRESENT: ("Yes, I'm still here.", "Yes, I'm still here."),
    }
)

INTERRUPTION = Line(
    "No, wait. The phone number is five five five, zero one four, two two seven eight.", interrupts=True
)
GOODBYE = Line("Thank you, bye.", hang_up=True)
NOT_UNDERSTOOD = Line("Sorry, could you say that again?")
PATIENCE = 3
"""Times in a row she asks again before she gives up."""

# She lets the agent say a part of her number before she cuts in.
_READ_BACK = re.compile(r"read that back\b.*\bphone number\b[\s,:]*(?:\w+[\s,]+){1,3}?", re.IGNORECASE | re.DOTALL)

_WAIT = re.compile(r"\bone moment\b[^.?!]*[.!]?\s*$", re.IGNORECASE)
_PHONE_ENDS = "2278"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FIGURES = re.compile(rf"\b(?:{'|'.join(_DIGITS)})\b|[0-9]+")

EXPECTED_CLAIM: Mapping[str, object] = MappingProxyType(
    {
        "policyholder": "Margaret Hale",
        "policy_number": "K7M2-40B9",
        "kind": "auto",
        "phone": "5550142278",
        "incident_at": "2026-11-14T17:30",
        "injuries": False,
        "drivable": False,
        "safe_to_occupy": None,
        "report_filed": True,
        "report_number": "4417",
        "witnesses": False,
        "account": "I stopped at a red light and another car hit me from behind.",
    }
)
"""The claim at the end of the demo's call, exactly."""


class ScriptedCaller:
    """One call's worth of answers. She interrupts once, corrects one fact, and hangs up after the goodbye."""

    def __init__(self) -> None:
        self._said: Counter[_Topic] = Counter()
        self._interrupted = False
        self._corrected = False
        self._lost = 0

    def next_line(self, agent_text: str) -> Line:
        """Her answer to what the agent has said, as a text or as a transcript of it."""
        topic = _topic(agent_text)
        if topic is _Topic.GOODBYE:
            return GOODBYE
        if topic is None:
            self._lost += 1
            return NOT_UNDERSTOOD if self._lost < PATIENCE else GOODBYE
        self._lost = 0
        self._corrected = self._corrected or _PHONE_ENDS in _digits(agent_text)
        if topic is _Topic.CONFIRM and self._interrupted and not self._corrected:
            return Line(INTERRUPTION.text)
        first, again = _LINES[topic]
        line = Line(again if self._said[topic] else first)
        self._said[topic] += 1
        return line

    def interruption_point(self, agent_text: str) -> int | None:
        """Characters of this agent text after which she cuts in; None where she lets the agent finish."""
        match = None if self._interrupted else _READ_BACK.search(agent_text)
        return match.end() if match else None

    def interrupt_when(self, agent_text_so_far: str) -> Line | None:
        """Her interruption, once, as soon as the agent has begun to read the phone number back; None otherwise."""
        if self.interruption_point(agent_text_so_far) is None:
            return None
        self._interrupted = True
        return INTERRUPTION


def asks_to_wait(agent_text: str) -> bool:
    """Whether the agent's last words say that there is more to come."""
    return bool(_WAIT.search(agent_text))


def _digits(agent_text: str) -> str:
    """All digits in a text or a transcript, in a row."""
    return "".join(
        str(_DIGITS.index(word)) if word in _DIGITS else word for word in _FIGURES.findall(agent_text.lower())
    )


def _topic(agent_text: str) -> _Topic | None:
    questions = re.findall(r"[^.?!]*\?", agent_text)
    for scope in (questions[-1] if questions else "", " ".join(agent_text.split()[-20:]), agent_text):
        ends = {
            topic: max(match.end() for match in matches)
            for topic, pattern in _TOPICS
            if (matches := list(pattern.finditer(scope)))
        }
        if ends:
            return max(ends, key=lambda topic: ends[topic])
    return None
