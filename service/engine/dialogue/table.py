"""What the dialogue does with each kind of answer to each question: every pair is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from service.engine.dialogue.claim import Field


class Question(Enum):
    """What the agent has asked."""

    NAME = auto()
    POLICY = auto()
    ADDRESS = auto()
    """In place of the policy number."""
    KIND = auto()
    PHONE = auto()
    WHEN = auto()
    BASICS = auto()
    """Is what I read back correct?"""
    PEOPLE = auto()
    """Injuries, and whether the car drives or the home is safe."""
    EVIDENCE = auto()
    """Report and witnesses."""
    REPORT_NUMBER = auto()
    ACCOUNT = auto()
    RECAP = auto()
    """Is everything correct, or is there something to add?"""
    CHANGE = auto()
    """Which part shall I change?"""
    CUT_OFF = auto()
    """The caller spoke before the question had been heard."""
    DONE = auto()
    """Goodbye was said."""


class Act(Enum):
    """What the caller's turn is, in one word."""

    FACT = auto()
    FRAGMENT = auto()
    """A code of the wrong length, or a day still to come."""
    WRONG = auto()
    """Something noted is wrong; the right value was not said."""
    YES = auto()
    NO = auto()
    UNSURE = auto()
    STATEMENT = auto()
    """Words without a fact that belongs anywhere."""
    NOTHING = auto()
    """Empty or unintelligible."""
    SILENCE = auto()
    REPEAT = auto()
    HOLD = auto()
    MEANING = auto()
    QUESTION = auto()
    LEGAL = auto()
    ROBOT = auto()
    MULTIPLE = auto()
    PERSON = auto()
    GOODBYE = auto()


class Action(Enum):
    """What the agent does."""

    PROCEED = auto()
    """Acknowledge what was said and ask what comes next."""
    CHECK = auto()
    """Say what was heard and ask for the rest."""
    REOPEN = auto()
    """Ask again for the field the caller complains about."""
    DOUBT = auto()
    """A bare "no" to an open question: what was acknowledged last is wrong."""
    WHICH = auto()
    """Ask what to change."""
    CONFIRM = auto()
    """What was read back is confirmed."""
    SUBMIT = auto()
    """Submit the claim, say goodbye, end the call."""
    SKIP = auto()
    """Note it as unknown and go on."""
    ASK_AGAIN = auto()
    """Ask once more in other words; after two tries go on without."""
    RESUME = auto()
    """Say what was not heard when the caller cut in."""
    SAY_AGAIN = auto()
    WAIT = auto()
    EXPLAIN = auto()
    """Say why it is asked or where to find it."""
    REDIRECT = auto()
    """Out of scope: an adjuster will answer; back to the question."""
    PROMPT = auto()
    """The caller is silent."""
    FAREWELL = auto()
    """The caller wants to go."""
    CLOSED = auto()


_EVERYWHERE: Mapping[Act, Action] = {
    Act.FACT: Action.PROCEED,
    Act.FRAGMENT: Action.CHECK,
    Act.WRONG: Action.REOPEN,
    Act.YES: Action.ASK_AGAIN,
    Act.NO: Action.DOUBT,
    Act.UNSURE: Action.SKIP,
    Act.STATEMENT: Action.ASK_AGAIN,
    Act.NOTHING: Action.ASK_AGAIN,
    Act.SILENCE: Action.PROMPT,
    Act.REPEAT: Action.SAY_AGAIN,
    Act.HOLD: Action.WAIT,
    Act.MEANING: Action.EXPLAIN,
    Act.QUESTION: Action.REDIRECT,
    Act.LEGAL: Action.REDIRECT,
    Act.ROBOT: Action.REDIRECT,
    Act.MULTIPLE: Action.REDIRECT,
    Act.PERSON: Action.REDIRECT,
    Act.GOODBYE: Action.FAREWELL,
}

_EXCEPT: Mapping[Question, Mapping[Act, Action]] = {
    # A policyholder without a name is no claim: asked again before it is left open.
    Question.NAME: {Act.UNSURE: Action.ASK_AGAIN},
    Question.BASICS: {Act.YES: Action.CONFIRM, Act.NO: Action.WHICH, Act.UNSURE: Action.ASK_AGAIN},
    Question.REPORT_NUMBER: {Act.NO: Action.SKIP},
    Question.PEOPLE: {Act.NO: Action.ASK_AGAIN},
    Question.EVIDENCE: {Act.NO: Action.ASK_AGAIN},
    Question.ACCOUNT: {Act.NO: Action.ASK_AGAIN},
    Question.RECAP: {Act.YES: Action.SUBMIT, Act.NO: Action.WHICH, Act.UNSURE: Action.ASK_AGAIN},
    Question.CHANGE: {Act.NO: Action.CONFIRM, Act.UNSURE: Action.ASK_AGAIN},
    Question.CUT_OFF: {
        Act.YES: Action.RESUME,
        Act.UNSURE: Action.RESUME,
        Act.STATEMENT: Action.RESUME,
        Act.NOTHING: Action.RESUME,
        Act.REPEAT: Action.RESUME,
    },
    Question.DONE: dict.fromkeys(Act, Action.CLOSED),
}

TABLE: Mapping[tuple[Question, Act], Action] = {
    (question, act): _EXCEPT.get(question, {}).get(act, _EVERYWHERE[act]) for question in Question for act in Act
}

ASKS: Mapping[Question, tuple[Field, ...]] = {
    Question.NAME: (Field.POLICYHOLDER,),
    Question.POLICY: (Field.POLICY_NUMBER,),
    Question.ADDRESS: (Field.ADDRESS,),
    Question.KIND: (Field.KIND,),
    Question.PHONE: (Field.PHONE,),
    Question.WHEN: (Field.INCIDENT_AT,),
    Question.BASICS: (),
    Question.PEOPLE: (Field.INJURIES, Field.DRIVABLE, Field.SAFE_TO_OCCUPY),
    Question.EVIDENCE: (Field.REPORT_FILED, Field.WITNESSES),
    Question.REPORT_NUMBER: (Field.REPORT_NUMBER,),
    Question.ACCOUNT: (Field.ACCOUNT,),
    Question.RECAP: (),
    Question.CHANGE: (),
    Question.CUT_OFF: (),
    Question.DONE: (),
}
"""Fields that a question can fill."""
