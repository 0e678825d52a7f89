"""The intake dialogue: a caller's turn in, the agent's reply out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Literal

from service.engine.dialogue import wording
from service.engine.dialogue.claim import Claim, Field, Value
from service.engine.dialogue.context import Context, Heard
from service.engine.dialogue.extraction import NOTE_CLAIM, note_claim
from service.engine.dialogue.hearing import listen
from service.engine.dialogue.outcome import read_outcome
from service.engine.dialogue.script import BASICS, RECAP, Progress, missing, next_question, still_asked
from service.engine.dialogue.summary import Role, summarize
from service.engine.dialogue.table import ASKS, TABLE, Act, Action, Question

RETRIES = 2
"""Times a question is asked again before it is left open."""
STALLS = 8
"""Turns in a row that bring nothing new before the call is ended."""
SILENCES = 3
"""Silences in a row before the call is ended; two more after the caller asked for time."""
MAX_TURNS = 80
SUBMISSIONS = 2
"""Times a claim is submitted: what is missing the first time is asked for once."""

SUBMIT_CLAIM = "submit_claim"
PAUSE_CLAIM = "pause_claim"

Reason = Literal["completed", "caller_request", "no_input"]

_READ_BACKS: Mapping[Question, tuple[Field, ...]] = {Question.BASICS: BASICS, Question.RECAP: RECAP}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the agent wants called; ``arguments`` are JSON-ready."""

    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent says, and the tool it calls once that is said."""

    text: str
    tool: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    """A part of a reply."""

    text: str
    field: Field | None = None
    """The field it says back."""
    asks: bool = False
    notice: bool = False


class Dialogue:
    """One call's claims intake. Deterministic; reads no clock: relative dates count from ``today``."""

    def __init__(self, *, agent_name: str = "Claire", company: str = "Claimline Insurance", today: date) -> None:
        self.claim = Claim()
        """What is known so far."""
        self._agent_name = agent_name
        self._company = company
        self._today = today
        self._progress = Progress()
        self._question = Question.NAME
        self._attempts: Counter[Question] = Counter()
        self._doubted: dict[Field, Value] = {}
        self._fragments: dict[Field, str] = {}
        self._to_read: tuple[Field, ...] = ()
        """Fields of the last read-back that the caller has not heard."""
        self._read_once: set[Question] = set()
        self._said: tuple[_Line, ...] = ()
        self._unheard: tuple[_Line, ...] = ()
        self._focus: Field | None = None
        self._cut_off = False
        self._notice_owed = self._recorded = False
        self._turns = self._stalls = self._silences = 0
        self._patience = SILENCES
        self._functions: Set[str] = frozenset()
        self._submissions = 0
        self._paused = False
        self._awaiting = False
        """A function was called without whose output the call does not go on."""

    def may_call(self, functions: Set[str]) -> None:
        """The functions that can be called from now on; `end_call` and `request_human` are tried in any case."""
        self._functions = functions

    def greet(self, *, recorded: bool = False) -> Reply:
        """The first words; they say that an automated agent is speaking, and that the call is kept as text or sound."""
        self._recorded = recorded
        return self._say(
            _Line(wording.welcome(self._company)),
            _Line(wording.notice(self._agent_name, recorded=recorded), notice=True),
            *self._ask(),
        )

    def hear(self, transcript: str) -> Reply:
        """One caller turn as recognised; it may be wrong, empty or cut off. After the goodbye it is only echoed."""
        self._silences, self._patience = 0, SILENCES
        self._turns += 1
        if self._awaiting:
            # What is said instead of waiting is heard as an answer to the last question.
            self._awaiting, self._cut_off, self._unheard = False, False, ()
        cut_off, self._cut_off = self._cut_off, False
        heard = listen(transcript, self._context(question_heard=not cut_off))
        if self._question is Question.DONE:
            return self._say(_Line(wording.GOODBYE))
        before = (self.claim, self._progress)
        reply = self._act(TABLE[Question.CUT_OFF if cut_off else self._question, heard.act], heard)
        self._stalls = 0 if (self.claim, self._progress) != before else self._stalls + 1
        stuck = self._stalls >= STALLS or self._turns >= MAX_TURNS
        if stuck and reply.tool is None:
            return self._end("no_input", wording.GIVE_UP)
        return reply

    def silence(self) -> Reply:
        """The caller said nothing for a while; the third time in a row ends the call."""
        if self._question is Question.DONE:
            return self._say(_Line(wording.GOODBYE))
        self._silences += 1
        self._cut_off = False
        if self._silences >= self._patience:
            return self._end("no_input", wording.NO_ONE_THERE)
        if self._awaiting:
            return self._say(_Line(wording.ONE_MOMENT))
        return self._say(_Line(wording.prompt(self._silences)), *self._ask())

    def answered(self, function: str, output: str) -> Reply | None:
        """What a function put out; None where there is nothing to say to it."""
        if self._question is Question.DONE or function not in {SUBMIT_CLAIM, PAUSE_CLAIM}:
            return None
        self._awaiting = False
        outcome = read_outcome(output)
        if function == PAUSE_CLAIM:
            return self._end("caller_request", wording.farewell(self.claim, outcome.reference))
        if outcome.reference is not None:
            return self._end("completed", wording.submitted(self.claim, outcome.reference))
        if self._submissions >= SUBMISSIONS or not (outcome.open or outcome.unconfirmed):
            return self._end("completed", wording.NOT_SUBMITTED)
        for field in outcome.open:
            self._doubt(field)
        if Field.ADDRESS in outcome.open:
            self._progress = replace(self._progress, address_needed=True)
        self._to_read = outcome.unconfirmed
        return self._say(_Line(wording.STILL_NEEDED), *self._ask())

    def arguments(self, function: str, text: str) -> dict[str, object]:
        """What a function is to be called with for a text beside the conversation: none but `note_claim` is known."""
        return note_claim(text, self._today) if function == NOTE_CLAIM else {}

    def summary(self, said: Sequence[tuple[Role, str]]) -> str:
        """What these messages say of the claim."""
        return summarize(said, self._today)

    def interrupted(self, heard_text: str) -> None:
        """The caller cut the last reply short after ``heard_text``."""
        words = len(heard_text.split())
        unheard: list[_Line] = []
        self._focus = None
        self._cut_off = False
        for line in self._said:
            length = len(line.text.split())
            if words > 0 and line.field is not None:
                self._focus = line.field
            if words < length:
                unheard.append(line)
                self._notice_owed = self._notice_owed or line.notice
                # Half a question is enough to answer it.
                self._cut_off = self._cut_off or not line.asks or words * 2 < length
            words = max(words - length, 0)
        self._unheard = tuple(line for line in unheard if not line.notice)
        if self._question in _READ_BACKS:
            self._to_read = tuple(line.field for line in self._unheard if line.field is not None)

    def _context(self, *, question_heard: bool) -> Context:
        return Context(
            question=self._question,
            asked=still_asked(self._question, self.claim, self._progress),
            question_heard=question_heard,
            focus=self._focus,
            claim=self.claim,
            doubted=MappingProxyType(self._doubted),
            fragments=MappingProxyType(self._fragments),
            today=self._today,
        )

    def _act(self, action: Action, heard: Heard) -> Reply:
        lines = [_Line(wording.EMPATHY)] if heard.upset else []
        lines += self._take(heard)
        unheard, self._unheard = self._unheard, ()
        match action:
            case Action.FAREWELL:
                return self._leave()
            case Action.SUBMIT if not self._to_read:
                return self._submit()
            case Action.SKIP:
                return self._leave_open(lines)
            case Action.ASK_AGAIN if self._attempts[self._question] >= RETRIES:
                return self._leave_open(lines)
            case Action.CHECK if heard.fragment is not None:
                return self._check(lines, *heard.fragment)
            case _:
                person = heard.act is Act.PERSON
                tool = ToolCall("request_human", {"call_back_number": self.claim.phone}) if person else None
                return self._say(*lines, *self._answer(action, heard, unheard), tool=tool)

    def _answer(self, action: Action, heard: Heard, unheard: tuple[_Line, ...]) -> list[_Line]:
        match action:
            case Action.RESUME if unheard:
                self._to_read = ()
                answer = list(unheard)
            case Action.REOPEN | Action.DOUBT:
                answer = self._reopen(heard.wrong or (self._focus if action is Action.DOUBT else None))
            case Action.CONFIRM if not self._to_read:
                answer = self._confirm()
            case Action.WHICH:
                answer = self._which()
            case Action.WAIT:
                self._patience = SILENCES + 2
                answer = [_Line(wording.WAIT)]
            case Action.ASK_AGAIN:
                answer = self._ask_again(heard.act)
            case Action.EXPLAIN:
                answer = [_Line(wording.explanation(self._question)), *self._ask(self._question)]
            case Action.REDIRECT:
                answer = [_Line(wording.aside(heard.act)), *self._ask(self._question)]
            case Action.SAY_AGAIN:
                self._to_read = self._to_read or _READ_BACKS.get(self._question, ())
                answer = self._ask(self._question)
            case _:
                answer = self._ask()
        return answer

    def _ask_again(self, act: Act = Act.NOTHING) -> list[_Line]:
        opening = wording.SORRY
        if act is Act.STATEMENT and not self._attempts[self._question]:
            opening = wording.GO_ON
        self._attempts[self._question] += 1
        return [_Line(opening), *self._ask(self._question)]

    def _which(self) -> list[_Line]:
        self._question = Question.CHANGE
        self._attempts[Question.CHANGE] = 0
        return [_Line(wording.WHICH, asks=True)]

    def _take(self, heard: Heard) -> list[_Line]:
        """Writes the facts into the claim; returns their acknowledgement."""
        changed = {field for field, value in heard.facts.items() if self._changes(field, value)}
        for field, value in heard.facts.items():
            if value is None:
                self._progress = replace(self._progress, unknown=self._progress.unknown | {field})
            else:
                self._note(field, value)
        if any(field in heard.facts for field in ASKS[self._question]):
            self._attempts[self._question] = 0
        told = sorted(heard.facts, key=list(Field).index)
        lines = [line for field in told if (line := self._acknowledge(field, heard, changed)) is not None]
        return list(dict.fromkeys(lines))

    def _changes(self, field: Field, value: Value | None) -> bool:
        """Whether a value replaces one that was complete, or was called wrong."""
        old = self.claim.get(field)
        replaced = old not in (None, value) and not missing(field, self.claim, self._progress)
        return value is not None and (replaced or field in self._doubted)

    def _acknowledge(self, field: Field, heard: Heard, changed: Set[Field]) -> _Line | None:
        """Says a value back, unless what follows says it anyhow."""
        value = self.claim.get(field)
        if heard.facts[field] is None or value is None:
            return _Line(wording.UNKNOWN) if heard.facts[field] is None else None
        following = next_question(self.claim, self._progress)
        read_next = following is Question.BASICS and Question.BASICS not in self._read_once and field in BASICS
        with_number = field is Field.REPORT_FILED and Field.REPORT_NUMBER in heard.facts
        incomplete = field is Field.INCIDENT_AT and missing(field, self.claim, self._progress)
        if with_number or incomplete or (read_next and field not in changed):
            return None
        letters = heard.spelled and field is Field.POLICYHOLDER
        return _Line(wording.acknowledged(field, value, changed=field in changed, letters=letters), field)

    def _note(self, field: Field, value: Value) -> None:
        self.claim = self.claim.noting(field, value)
        self._progress = replace(self._progress, unknown=self._progress.unknown - {field})
        self._doubted.pop(field, None)
        self._fragments.pop(field, None)
        self._to_read = tuple(unread for unread in self._to_read if unread is not field)

    def _reopen(self, field: Field | None) -> list[_Line]:
        if field is None:
            if self._question in _READ_BACKS:
                return self._which()
            return self._ask_again()
        self._doubt(field)
        return [_Line(wording.SORRY_WRONG), *self._ask()]

    def _doubt(self, field: Field) -> None:
        value = self.claim.get(field)
        if value is not None:
            self._doubted[field] = value
        self.claim = self.claim.noting(field, None)
        self._progress = replace(self._progress, unknown=self._progress.unknown - {field})
        self._fragments.pop(field, None)
        self._to_read = tuple(unread for unread in self._to_read if unread is not field)
        for question, fields in ASKS.items():
            if field in fields:
                self._attempts[question] = 0

    def _check(self, lines: list[_Line], field: Field, characters: str) -> Reply:
        asking = next(question for question, fields in ASKS.items() if field in fields)
        if self.claim.get(field) is not None and field is not Field.INCIDENT_AT:
            self._doubt(field)
        self._attempts[asking] += 1
        if self._attempts[asking] > RETRIES:
            self._question = asking
            return self._leave_open(lines)
        self._fragments[field] = characters
        self._question = asking
        return self._say(*lines, _Line(wording.incomplete(field, characters), asks=True))

    def _leave_open(self, lines: list[_Line]) -> Reply:
        """Goes on without an answer."""
        if self._question is Question.RECAP:
            return self._submit()
        if self._question in {Question.BASICS, Question.CHANGE}:
            return self._say(*lines, *self._confirm())
        fields = still_asked(self._question, self.claim, self._progress)
        self._progress = replace(self._progress, unknown=self._progress.unknown | set(fields))
        for field in fields:
            self._fragments.pop(field, None)
        return self._say(*lines, _Line(wording.UNKNOWN), *self._ask())

    def _confirm(self) -> list[_Line]:
        self._progress = replace(self._progress, basics_confirmed=True)
        return [_Line(wording.THANKS), *self._ask()]

    # What is said

    def _ask(self, again: Question | None = None) -> list[_Line]:
        """Asks what comes next, or ``again`` while it is open; a read-back says what of it was not heard yet."""
        question = next_question(self.claim, self._progress)
        if again is Question.CHANGE:
            question = again
        self._question = question
        if question in _READ_BACKS:
            return self._read_back(question)
        fields = still_asked(question, self.claim, self._progress)
        text = wording.question(
            question,
            fields,
            self.claim,
            attempt=self._attempts[question],
            doubted=any(field in self._doubted for field in fields),
        )
        return [_Line(text, asks=True)]

    def _read_back(self, question: Question) -> list[_Line]:
        first = question not in self._read_once
        self._read_once.add(question)
        fields = _READ_BACKS[question] if first else self._to_read
        self._to_read = ()
        whole = len(fields) == len(_READ_BACKS[question])
        recap = question is Question.RECAP
        lines = [_Line(wording.RECAP_OPENING if recap else wording.READ_BACK)] if whole else []
        for field in fields:
            value = self.claim.get(field)
            said_with_number = field is Field.REPORT_FILED and self.claim.report_number is not None
            if (value is not None and not said_with_number) or not recap:
                lines.append(_Line(wording.read_back(field, value), field))
        asked = wording.RECAP_QUESTION if recap else wording.BASICS_QUESTION
        if not fields:
            asked = wording.RECAP_QUESTION_AGAIN if recap else wording.BASICS_QUESTION_AGAIN
        return [*lines, _Line(asked, asks=True)]

    def _submit(self) -> Reply:
        if SUBMIT_CLAIM not in self._functions:
            return self._end("completed", wording.submitted(self.claim))
        if self._submissions >= SUBMISSIONS:
            return self._end("completed", wording.NOT_SUBMITTED)
        self._submissions += 1
        self._awaiting = True
        return self._say(_Line(wording.SUBMITTING), tool=ToolCall(SUBMIT_CLAIM, {}))

    def _leave(self) -> Reply:
        if PAUSE_CLAIM not in self._functions or self._paused:
            return self._end("caller_request", wording.farewell(self.claim))
        self._paused = self._awaiting = True
        return self._say(_Line(wording.PAUSING), tool=ToolCall(PAUSE_CLAIM, {}))

    def _end(self, reason: Reason, text: str) -> Reply:
        self._question = Question.DONE
        return self._say(_Line(text), tool=ToolCall("end_call", {"reason": reason, "claim": self.claim.as_arguments()}))

    def _say(self, *lines: _Line, tool: ToolCall | None = None) -> Reply:
        if self._notice_owed:
            self._notice_owed = False
            lines = (_Line(wording.late_notice(recorded=self._recorded), notice=True), *lines)
        self._said = lines
        said_back = [line.field for line in lines if line.field is not None]
        # After a list of fields a bare correction may mean any of them.
        self._focus = said_back[-1] if 0 < len(said_back) <= len(ASKS[Question.PEOPLE]) else None
        return Reply(" ".join(line.text for line in lines), tool)
