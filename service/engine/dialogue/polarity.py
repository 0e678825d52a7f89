"""Yes, no, don't know: of a whole turn, and of each thing that was asked."""

# ruff: noqa: SIM905  a row of words reads better than a list

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from service.engine.dialogue.claim import Field


class Polarity(Enum):
    """What a clause says."""

    YES = auto()
    NO = auto()
    UNSURE = auto()


_UNSURE = re.compile(
    r"\b(?:not (?:quite |really |too |entirely )?(?:sure|certain)|(?:don't|do not|didn't|wouldn't|couldn't) "
    r"(?:really |actually |even )?"
    r"(?:know|remember|recall|have|tell)\b(?! (?:any|a problem|to))|dunno|unsure|uncertain|no (?:idea|clue)|"
    r"can't (?:remember|recall|say|tell|find)|"
    r"cannot (?:remember|recall|say|find)|haven't got|forgot|forgotten|i(?:'ll| will) have to check|maybe|"
    r"perhaps|hard to say|beats me)\b"
)
_SOFT_NO = re.compile(
    r"\b(?:(?:don't|do not) (?:think|believe) so|not that i(?:'m| am)? (?:know|aware|saw)|not (?:really|at "
    r"all|yet|quite|correct|right|true)|"
    r"(?:isn't|is not|wasn't|aren't) (?:right|correct|true)|that's wrong|never)\b"
)
_SOFT_YES = re.compile(
    r"\b(?:(?:i )?(?:think|believe|guess) so|no (?:problem|worries|objections?)|nothing (?:else|more|further|"
    r"to add|to change)|"
    r"that's (?:it|all|everything|right|correct|fine|good|perfect)|that is (?:it|all|everything|right|correct|fine)|"
    r"(?:everything|all|it)(?:'s| is| sounds| looks|'s all| is all)? (?:correct|right|fine|good|set|okay|ok)|"
    r"sounds (?:good|right|correct)|"
    r"you got it|you've got it|go ahead|of course|mm-?hmm?|uh-?huh)\b"
)
_YES_WORDS = frozenset(
    "yes yeah yep yup yea ya yah correct right exactly sure absolutely definitely ok okay affirmative indeed perfect "
    "true certainly great precisely both".split()
)
_NO_WORDS = frozenset("no nope nah none negative wrong incorrect false neither nobody nothing".split())

_NEGATION = re.compile(
    r"\b(?:no|not|none|nobody|never|without|neither|nor|nothing|cannot|can't|won't|didn't|doesn't|don't|isn't|"
    r"wasn't|weren't|"
    r"aren't|haven't|hasn't|couldn't|wouldn't|no one|no-one|zero|cant|wont)\b"
)
_SPLIT = re.compile(r"\s*([.;,!?]|\band\b|\bbut\b|\bhowever\b|\bthough\b)\s*")


@dataclass(frozen=True, slots=True)
class _Topic:
    mentions: re.Pattern[str]
    negative: re.Pattern[str] | None
    """Wording that says no without a negation word."""


_TOPICS = {
    Field.INJURIES: _Topic(
        re.compile(
            r"\b(?:hurt|injur\w+|hospital|ambulance|bleeding|broken (?:arm|leg|bone|rib|wrist|nose)|whiplash|"
            r"concussion|in pain|sore|unhurt|unharmed|uninjured|"
            r"(?:everyone|everybody|we|i|they|both)(?:'s|'re|'m| is| are| am| was| were)? (?:all "
            r")?(?:fine|okay|ok|safe|good|alright|all right))\b"
        ),
        re.compile(r"\b(?:unhurt|unharmed|uninjured|fine|okay|ok|safe|good|alright|all right)\b"),
    ),
    Field.DRIVABLE: _Topic(
        re.compile(
            r"\b(?:driv(?:e)?able|undriv(?:e)?able|(?:car|vehicle|truck|van|it|still|can|can't|cannot|be|"
            r"doesn't|not|won't) (?:still |be |really |even )*(?:drives?|driven|driving|runs?|running|start|"
            r"move)|"
            r"totall?ed|towed|tow truck|a write-?off|wrecked|drove it (?:home|away)|(?:car|vehicle|truck|"
            r"van)(?:'s| is| works) (?:still )?(?:fine|okay|ok|working))\b"
        ),
        re.compile(r"\b(?:undriv(?:e)?able|totall?ed|towed|tow truck|write-?off|wrecked)\b"),
    ),
    Field.SAFE_TO_OCCUPY: _Topic(
        re.compile(
            r"\b(?:safe to (?:stay|live|occupy|be)|(?:house|home|property|apartment|place|it)(?:'s| is| isn't|"
            r" is not)? (?:still |quite |not )*(?:safe|unsafe|habitable|livable|liveable)|"
            r"unsafe|uninhabitable|(?:can|can't|cannot) (?:still )?(?:stay|live|sleep) (?:there|here|in)|"
            r"(?:had to|have to) (?:leave|move out)|moved out|staying (?:with|at)|habitable)\b"
        ),
        re.compile(r"\b(?:unsafe|uninhabitable|had to leave|have to leave|move out|moved out|staying)\b"),
    ),
    Field.REPORT_FILED: _Topic(
        re.compile(r"\b(?:police|reports?|reported|officers?|cops?|sheriff|fire department|filed)\b"),
        None,
    ),
    Field.WITNESSES: _Topic(
        re.compile(r"\b(?:witness(?:es|ed)?|bystanders?|(?:saw|seen|see) (?:it|what|the|us|anything)|onlookers?)\b"),
        None,
    ),
}


@dataclass(frozen=True, slots=True)
class _Clause:
    text: str
    joint: str
    """What stands between this clause and the next."""


def hear_polarity(text: str) -> Polarity | None:
    """What the whole turn says; None where it says neither yes nor no nor "I don't know"."""
    lower = text.lower()
    if _UNSURE.search(lower):
        return Polarity.UNSURE
    if _SOFT_NO.search(lower):
        return Polarity.NO
    if _SOFT_YES.search(lower):
        return Polarity.YES
    for word in re.findall(r"[\w']+", lower)[:4]:
        if word in _NO_WORDS:
            return Polarity.NO
        if word in _YES_WORDS:
            return Polarity.YES
    return None


def hear_facts(text: str, asked: Sequence[Field]) -> dict[Field, Polarity]:
    """Yes-or-no facts in a tidied transcript.

    A clause that names its subject settles that subject. A bare yes or no settles what was asked and is still open, in
    order.
    """
    clauses = _clauses(text.lower())
    found: dict[Field, Polarity] = {}
    for clause in clauses:
        for field, polarity in _topics(clause.text).items():
            found.setdefault(field, polarity)
    if re.search(r"\b(?:no|neither)\b(?: (?:to|of))? (?:both|them|those|either)\b|^\W*neither\W*$", text.lower()):
        return dict.fromkeys(asked, Polarity.NO) | found
    if re.search(r"\byes to both\b|^\W*both\W*$", text.lower()):
        return dict.fromkeys(asked, Polarity.YES) | found
    for position, clause in enumerate(clauses):
        bare = _bare(clause.text)
        if bare is None or _settled_by_next(clauses, position, bare, asked):
            continue
        open_field = next((field for field in asked if field not in found), None)
        if open_field is not None:
            found[open_field] = bare
    return found


def _clauses(lower: str) -> list[_Clause]:
    pieces = _SPLIT.split(lower)
    clauses: list[_Clause] = []
    for text, joint in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if text.strip(" -'\""):
            clauses.append(_Clause(text, joint))
        elif clauses and joint:
            # ", and" joins as "and" does.
            clauses[-1] = _Clause(clauses[-1].text, joint)
    return clauses


def _topics(clause: str) -> dict[Field, Polarity]:
    found = {}
    for field, topic in _TOPICS.items():
        if not topic.mentions.search(clause):
            continue
        if _UNSURE.search(clause):
            found[field] = Polarity.UNSURE
            continue
        negated = bool(_NEGATION.search(clause))
        negative = bool(topic.negative and topic.negative.search(clause))
        if field is Field.INJURIES and negative:
            # "Everyone is fine" and "not everyone is fine".
            found[field] = Polarity.YES if negated and not re.search(r"\bno\b", clause) else Polarity.NO
        elif field is Field.SAFE_TO_OCCUPY and negative and negated:
            found[field] = Polarity.YES
        else:
            found[field] = Polarity.NO if negated or negative else Polarity.YES
    return found


def _bare(clause: str) -> Polarity | None:
    return None if _topics(clause) else hear_polarity(clause)


def _settled_by_next(clauses: list[_Clause], position: int, bare: Polarity, asked: Sequence[Field]) -> bool:
    """Whether this bare yes or no only introduces the next clause, as in "No, nobody was hurt"."""
    if position + 1 >= len(clauses):
        return False
    joint, following = clauses[position].joint, clauses[position + 1]
    topics = _topics(following.text)
    if not topics:
        return joint == "," and _bare(following.text) == bare
    field, polarity = next(iter(topics.items()))
    if asked and field is asked[0]:
        return True
    return joint == "," and polarity == bare
