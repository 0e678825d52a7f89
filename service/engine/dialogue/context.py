"""What a turn answers to, and what it turns out to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from service.engine.dialogue.claim import Claim, Field, Value
from service.engine.dialogue.table import Act, Question


@dataclass(frozen=True, slots=True)
class Context:
    """What the turn answers to."""

    question: Question
    asked: tuple[Field, ...]
    """Fields of the question that are open."""
    question_heard: bool
    focus: Field | None
    """The field that was acknowledged or read back last."""
    claim: Claim
    doubted: Mapping[Field, Value]
    """Values the caller called wrong."""
    fragments: Mapping[Field, str]
    """Codes heard in part."""
    today: date


@dataclass(frozen=True, slots=True)
class Heard:
    """The turn, understood."""

    act: Act
    facts: Mapping[Field, Value | None] = field(default_factory=dict)
    """None: the caller cannot tell."""
    wrong: Field | None = None
    fragment: tuple[Field, str] | None = None
    """A field and the characters of it that were heard; none for a day still to come."""
    spelled: bool = False
    upset: bool = False
