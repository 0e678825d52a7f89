"""The order of the call: basics, clarification, summary."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from service.engine.dialogue.claim import Claim, Field
from service.engine.dialogue.moments import Moment
from service.engine.dialogue.table import ASKS, Question

BASICS = (Field.POLICYHOLDER, Field.POLICY_NUMBER, Field.KIND, Field.PHONE, Field.INCIDENT_AT)
"""Read back together at the end of the first phase."""
RECAP = (
    Field.POLICYHOLDER,
    Field.POLICY_NUMBER,
    Field.KIND,
    Field.INCIDENT_AT,
    Field.INJURIES,
    Field.DRIVABLE,
    Field.SAFE_TO_OCCUPY,
    Field.REPORT_FILED,
    Field.REPORT_NUMBER,
    Field.WITNESSES,
)
"""Said once more before the claim is submitted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the call has come, beside the claim itself."""

    unknown: Set[Field] = frozenset()
    """Fields the caller cannot tell."""
    basics_confirmed: bool = False
    address_needed: bool = False
    """The policy has to be found without its number."""


def missing(field: Field, claim: Claim, progress: Progress) -> bool:
    """Whether a field still has to be asked for."""
    if field in progress.unknown:
        return False
    value = claim.get(field)
    match field:
        case Field.POLICYHOLDER:
            open_ = not isinstance(value, str) or " " not in value
        case Field.INCIDENT_AT:
            open_ = not isinstance(value, Moment) or value.day is None or value.at is None
        case Field.DRIVABLE:
            open_ = claim.kind == "auto" and value is None
        case Field.SAFE_TO_OCCUPY:
            open_ = claim.kind == "home" and value is None
        case Field.REPORT_NUMBER:
            open_ = claim.report_filed is True and value is None
        case Field.ADDRESS:
            open_ = progress.address_needed and value is None
        case _:
            open_ = value is None
    return open_


def still_asked(question: Question, claim: Claim, progress: Progress) -> tuple[Field, ...]:
    """Fields of a question that are open."""
    return tuple(field for field in ASKS[question] if missing(field, claim, progress))


def next_question(claim: Claim, progress: Progress) -> Question:
    """The first question whose answer is missing."""
    # Another kind of claim needs a word of explanation at once.
    about: tuple[Question, ...] = (Question.ACCOUNT,) if claim.kind == "other" else ()
    for question in (
        Question.NAME,
        Question.POLICY,
        Question.ADDRESS,
        Question.KIND,
        *about,
        Question.PHONE,
        Question.WHEN,
    ):
        if still_asked(question, claim, progress):
            return question
    if not progress.basics_confirmed:
        return Question.BASICS
    for question in (Question.PEOPLE, Question.EVIDENCE, Question.REPORT_NUMBER, Question.ACCOUNT):
        if still_asked(question, claim, progress):
            return question
    return Question.RECAP
