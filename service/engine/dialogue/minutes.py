"""The minutes of a talk: what the caller told of the claim, in which turns, and what of it was confirmed.

Follows lines that have been said, by whomever the agent's were chosen: what was asked and read back is read from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from service.engine.dialogue.agent_line import (
    is_cut_off,
    is_farewell,
    leaves_open,
    mentioned,
    question_in,
    read_back_in,
    said_back,
)
from service.engine.dialogue.claim import Claim, Field, Value
from service.engine.dialogue.context import Context, Heard
from service.engine.dialogue.hearing import listen
from service.engine.dialogue.script import Progress, missing, still_asked
from service.engine.dialogue.table import ASKS, TABLE, Action, Question
from service.engine.dialogue.talk_line import Line

_FOCUS_FIELDS = len(ASKS[Question.PEOPLE])
"""After a longer list a bare correction may mean any of it."""


@dataclass(frozen=True, slots=True)
class Note:
    """One field as it was told. `turns` are numbers of caller turns."""

    value: Value | None
    turns: tuple[int, ...] = ()
    confirmed: bool = False
    unknown: bool = False
    """The caller cannot tell."""


class Minutes:
    """Lines in, notes out. Relative dates count from `today`; `known` is what stands from lines not given."""

    def __init__(self, today: date, known: Mapping[Field, Note] = MappingProxyType({})) -> None:
        self._today = today
        self._claim = Claim()
        self._unknown: set[Field] = set()
        self._confirmed: set[Field] = set()
        self._turns: dict[Field, tuple[int, ...]] = {}
        self._said_back: set[Field] = set()
        self._doubted: dict[Field, Value] = {}
        self._fragments: dict[Field, str] = {}
        self._question = Question.NAME
        self._question_heard = True
        self._focus: Field | None = None
        for field, note in known.items():
            self._turns[field] = note.turns
            self._unknown |= {field} if note.unknown else set()
            self._confirmed |= {field} if note.confirmed else set()
            if note.value is not None:
                self._claim = self._claim.noting(field, note.value)

    @property
    def claim(self) -> Claim:
        """What is known."""
        return self._claim

    def notes(self) -> dict[Field, Note]:
        """Everything told; a value that was called wrong, or a number of the wrong length, stands unconfirmed."""
        notes = {}
        for field in Field:
            value = self._claim.get(field)
            if value is None and field not in self._unknown:
                value = self._fragments.get(field) or self._doubted.get(field)
            if value is not None or field in self._unknown:
                turns = self._turns.get(field, ())
                notes[field] = Note(value, turns, field in self._confirmed, value is None)
        return notes

    def follow(self, line: Line) -> None:
        """The next line."""
        if line.by_agent:
            self.agent_said(line.text)
        else:
            self.caller_said(line.text, line.turn)

    def agent_said(self, line: str) -> None:
        """A line of the agent's, as far as it was heard."""
        if leaves_open(line):
            self._unknown.update(self._asked())
        fields = mentioned(line, self._claim)
        # A field that is named with another value, or not to its end, was said back before in vain.
        self._said_back = self._said_back.difference(fields) | said_back(line, self._claim)
        cut_off = is_cut_off(line)
        focused = fields and (cut_off or len(fields) <= _FOCUS_FIELDS) and not is_farewell(line)
        self._focus = fields[-1] if focused else None
        question = question_in(line)
        self._question_heard = question is not None or not (cut_off or read_back_in(line))
        self._question = question or read_back_in(line) or self._question

    def caller_said(self, line: str, turn: int | None) -> None:
        """A turn of the caller's; None where it has no number."""
        heard = listen(line, self._context())
        asked = self._asked() if self._question_heard else ()
        for field, value in heard.facts.items():
            self._tell(field, value, turn, answers=field in asked)
        match TABLE[self._question if self._question_heard else Question.CUT_OFF, heard.act]:
            case Action.CONFIRM | Action.SUBMIT:
                self._confirm(turn)
            case Action.REOPEN | Action.DOUBT as action:
                wrong = heard.wrong or (self._focus if action is Action.DOUBT else None)
                if wrong is not None:
                    self._doubt(wrong)
            case Action.CHECK:
                self._note_fragment(heard, turn)
            case Action.SKIP:
                for field in asked:
                    self._tell(field, None, turn)
            case _:
                pass

    def _context(self) -> Context:
        return Context(
            question=self._question,
            asked=self._asked(),
            question_heard=self._question_heard,
            focus=self._focus,
            claim=self._claim,
            doubted=MappingProxyType(self._doubted),
            fragments=MappingProxyType(self._fragments),
            today=self._today,
        )

    def _asked(self) -> tuple[Field, ...]:
        return still_asked(self._question, self._claim, Progress(unknown=frozenset(self._unknown), address_needed=True))

    def _tell(self, field: Field, value: Value | None, turn: int | None, *, answers: bool = False) -> None:
        old = self._claim.get(field)
        open_ = old is None or missing(field, self._claim, Progress())
        if field is Field.ACCOUNT and _added_before(value, old):
            value = old
        goes_on = field not in self._doubted and (open_ or value == old or _extends(value, old))
        self._turns[field] = _with(self._turns.get(field, ()) if goes_on else (), turn)
        if value is None:
            self._unknown.add(field)
            return
        if value != old:
            self._confirmed.discard(field)
            self._said_back.discard(field)
        self._claim = self._claim.noting(field, value)
        self._unknown.discard(field)
        self._doubted.pop(field, None)
        self._fragments.pop(field, None)
        if answers and isinstance(value, bool):
            self._confirmed.add(field)
        # What no longer applies, as whether a home is safe to stay in once the claim is about a car.
        self._confirmed = {known for known in self._confirmed if self._claim.get(known) is not None}

    def _confirm(self, turn: int | None) -> None:
        for field in self._said_back:
            if self._claim.get(field) is not None:
                self._confirmed.add(field)
                self._turns[field] = _with(self._turns.get(field, ()), turn)
        self._said_back.clear()

    def _doubt(self, field: Field) -> None:
        value = self._claim.get(field)
        if value is not None:
            self._doubted[field] = value
        self._claim = self._claim.noting(field, None)
        self._confirmed.discard(field)
        self._said_back.discard(field)
        self._unknown.discard(field)
        self._fragments.pop(field, None)

    def _note_fragment(self, heard: Heard, turn: int | None) -> None:
        if heard.fragment is None:
            return
        field, characters = heard.fragment
        earlier = self._turns.get(field, ()) if self._claim.get(field) is None else ()
        if self._claim.get(field) is not None and field is not Field.INCIDENT_AT:
            self._doubt(field)
        if characters:
            self._fragments[field] = characters
            self._turns[field] = _with(earlier, turn)


def _extends(value: Value | None, old: Value | None) -> bool:
    return isinstance(value, str) and isinstance(old, str) and value.startswith(old)


def _added_before(value: Value | None, old: Value | None) -> bool:
    """Whether an addition stands there already, since the line was followed before."""
    return isinstance(value, str) and isinstance(old, str) and value.startswith(old) and old.endswith(value[len(old) :])


def _with(turns: tuple[int, ...], turn: int | None) -> tuple[int, ...]:
    return turns if turn is None or turn in turns else (*turns, turn)
