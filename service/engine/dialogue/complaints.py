"""Which field a caller calls wrong, without saying what is right."""

from __future__ import annotations

import re

from service.engine.dialogue.claim import Field

_MENTIONS: tuple[tuple[Field, str], ...] = (
    (Field.POLICY_NUMBER, r"policy(?: number)?"),
    (Field.REPORT_NUMBER, r"(?:report|case|reference) number"),
    (Field.PHONE, r"(?:tele)?phone(?: number)?|cell(?:phone)?(?: number)?|mobile(?: number)?|callback number"),
    (Field.POLICYHOLDER, r"(?:sur)?name|spelling"),
    (Field.INCIDENT_AT, r"date|time|day"),
    (Field.KIND, r"(?:type|kind)(?: of (?:claim|accident))?|claim type"),
    (Field.INJURIES, r"injur(?:y|ies)"),
    (Field.WITNESSES, r"witness(?:es)?"),
    (Field.REPORT_FILED, r"(?:police )?report"),
    (Field.ACCOUNT, r"description|account|story"),
)
_GAP = r"(?: \w+){0,3}? "
_ADVERBS = r"(?:not |n't )?(?:quite |all |completely |actually )*"


def _complaint(mention: str) -> re.Pattern[str]:
    return re.compile(
        rf"\b(?:got|have|had|heard|spelled|wrote|took|noted|said|misheard|misspelled|"
        rf"mispronounced){_GAP}(?:{mention})\b(?: down)? (?:\w+ ){{0,2}}?(?:wrong|incorrect(?:ly)?)"
        rf"|\b(?:{mention})(?:'s|'s not| is| was| isn't| sounds| doesn't sound| wasn't| is not) "
        rf"{_ADVERBS}(?:wrong|incorrect|off|right|correct|misspelled)\b"
        rf"|\b(?:ask|change|correct|fix|update|redo|repair|misheard|misspelled|mispronounced|wrong)(?: "
        rf"me)?(?: for| about)?(?: my| the)?(?: \w+){{0,2}}? (?:{mention})\b(?! is| to)"
        rf"|\b(?:that's|that is|it's|this is) not (?:my|the)(?: \w+)? ?(?:{mention})\b"
        rf"|\bwrong (?:{mention})\b"
    )


_COMPLAINTS = tuple((named, _complaint(mention)) for named, mention in _MENTIONS)
_AFFIRMED = re.compile(r"\b(?:is|'s) (?:all |quite )?(?:right|correct)\b")
_NAMING_MAX_WORDS = 8


def hear_complaint(text: str, *, naming: bool) -> Field | None:
    """The field that "you got my name wrong" means. ``naming``: the bare name of a field is enough."""
    lower = text.lower()
    for field, pattern in _COMPLAINTS:
        match = pattern.search(lower)
        if match and not (_AFFIRMED.search(match.group()) and "not" not in match.group()):
            return field
    if naming and len(lower.split()) <= _NAMING_MAX_WORDS:
        return next((field for field, mention in _MENTIONS if re.search(rf"\b(?:{mention})\b", lower)), None)
    return None
