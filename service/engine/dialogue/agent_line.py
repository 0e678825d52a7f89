"""What a line of the agent's asks, and which values of the claim it says back: read from its words alone."""

from __future__ import annotations

import re

from service.engine.dialogue import wording
from service.engine.dialogue.claim import Claim, Field, Value
from service.engine.dialogue.table import Question
from service.spoken.figures import with_digits

# The first that fits the last sentence. Each is so worded that a statement of the same thing does not fit.
_QUESTIONS: tuple[tuple[Question, re.Pattern[str]], ...] = tuple(
    (question, re.compile(pattern))
    for question, pattern in (
        (Question.CHANGE, r"\bwhich part\b|\bis it the name\b"),
        (Question.RECAP, r"\beverything correct(?:, or| now)|\badd (?:something|anything)\b"),
        (Question.BASICS, r"\b(?:is|are) (?:that|this|it|all|everything)\b[\w ]*\b(?:correct|right)\b"),
        (Question.KIND, r"\babout (?:a|your) car\b|\bauto claim, a\b|\bsomething else\b|\bkind of claim\b"),
        (Question.NAME, r"\b(?:legal|full|last) name\b"),
        (Question.REPORT_NUMBER, r"\breport\b.*\bnumber\b"),
        (Question.EVIDENCE, r"\breport (?:been )?filed\b|\bany witness"),
        (
            Question.PEOPLE,
            r"\b(?:anyone|anybody) (?:injured|hurt)\b|\bcan the (?:car|vehicle)\b|\bis (?:your|the) home safe\b",
        ),
        (Question.PHONE, r"\b(?:best|your) (?:phone )?number\b|\barea code\b"),
        (Question.ADDRESS, r"\b(?:your|the) address\b"),
        (Question.POLICY, r"\byour policy number\b|\beight characters\b"),
        (Question.WHEN, r"\b(?:which|what) (?:day|date|time)\b|\bwhen (?:did|was)\b|\bmorning or\b"),
        (Question.ACCOUNT, r"\bwhat happened\b|\bown words\b"),
    )
)
_THE_REST = re.compile(r"\bsay (?:the rest|it again)\b")
_READ_BACKS = (
    (Question.BASICS, re.compile(r"\bread (?:that|this|it|them) back\b")),
    (Question.RECAP, re.compile(r"\breview your claim\b|\bto (?:sum up|summari[sz]e)\b")),
)
_SENTENCE = re.compile(r"(?<=[.?!])\s+")
_ASKED = re.compile(r"[^.?!]*\?")
_LABELS: tuple[tuple[Field, re.Pattern[str]], ...] = tuple(
    (field, re.compile(pattern))
    for field, pattern in (
        (Field.POLICYHOLDER, r"\byour name is\b|\bthe name to\b|, spelled\b"),
        (Field.POLICY_NUMBER, r"\bpolicy number\b"),
        (Field.KIND, r"\b(?:auto|home|kind of) claim\b"),
        (Field.PHONE, r"\bphone number\b"),
        (Field.INCIDENT_AT, r"\bit happened\b"),
        (Field.REPORT_NUMBER, r"\breport number\b"),
    )
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_REPORT = re.compile(r"\breport number\b(.*)", re.DOTALL)
_FAREWELL = re.compile(r"\bgood ?bye\W*$")
_WRITTEN = re.compile(r"\bwritten that down\b|\badded that\b")


def is_cut_off(line: str) -> bool:
    """Whether the line ends within a sentence: the caller spoke before the rest was heard."""
    return bool(line.strip()) and not line.rstrip().endswith((".", "?", "!"))


def question_in(line: str) -> Question | None:
    """What the last sentence asks, also where only a part of it was heard; None for a statement."""
    last = _SENTENCE.split(line.strip())[-1].lower()
    if last.endswith((".", "!")):
        return None
    if _THE_REST.search(last):
        return Question.POLICY if "policy number" in line.lower() else Question.PHONE
    return next((question for question, pattern in _QUESTIONS if pattern.search(last)), None)


def read_back_in(line: str) -> Question | None:
    """Which read-back the line begins; None for another line."""
    lower = line.lower()
    return next((question for question, pattern in _READ_BACKS if pattern.search(lower)), None)


def is_farewell(line: str) -> bool:
    """Whether the agent ends the call: a name in it is no read-back."""
    return bool(_FAREWELL.search(line.lower()))


def leaves_open(line: str) -> bool:
    """Whether the agent goes on without an answer."""
    return wording.UNKNOWN.lower() in line.lower()


def said_back(line: str, claim: Claim) -> set[Field]:
    """Fields whose value in the claim the line says, to its last character."""
    found = {field for field in Field if (value := claim.get(field)) is not None and _says(line, field, value)}
    return found | {Field.REPORT_FILED} if Field.REPORT_NUMBER in found else found


def mentioned(line: str, claim: Claim) -> list[Field]:
    """Fields that the line's statements name or say back, in the order in which they do."""
    statements = _ASKED.sub(" ", line).lower()
    places = {field: match.start() for field, pattern in _LABELS for match in pattern.finditer(statements)}
    for sentence in _SENTENCE.split(statements):
        for field in said_back(sentence, claim):
            places.setdefault(field, statements.find(sentence))
    return sorted(places, key=places.__getitem__)


def _says(line: str, field: Field, value: Value) -> bool:
    match field:
        case Field.POLICY_NUMBER | Field.PHONE:
            return _characters(str(value)) in _characters(line)
        case Field.REPORT_NUMBER:
            named = _REPORT.search(line.lower())
            return named is not None and _characters(str(value)) in _characters(named[1])
        case Field.ACCOUNT if _WRITTEN.search(line.lower()):
            return True
        case Field.POLICYHOLDER | Field.ADDRESS | Field.ACCOUNT:
            return _words(str(value)) in _words(line)
        case _:
            return _words(wording.fact(field, value)) in _words(line)


def _words(text: str) -> str:
    """Words alone, between spaces."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _characters(text: str) -> str:
    """Letters and digits alone; digits that are spelled out as figures."""
    return "".join(re.findall(r"[0-9A-Z]", with_digits(text.lower()).upper()))
