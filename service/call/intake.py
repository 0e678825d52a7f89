"""The claims of one call, in time: when they are asked for, when the agent's tool calls about them are answered.

Pure: turns, responses and tool calls in, actions and answers to tool calls out. `now_s` is monotonic. Whatever fails
here costs the call nothing but the claim: no turn waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from service.call import tools
from service.call.actions import Action, ClaimChanged, ClaimSubmitted, FindClaim, Send
from service.call.lines import Lines
from service.claim import answers
from service.claim.asking import Asking, Mode
from service.claim.desk import Desk
from service.claim.extraction import EVENT_ID_PREFIX, Said, claim_request, noted
from service.claim.reference import parsed
from service.realtime.commands import ResponseCreate
from service.realtime.events import Response

DECISION_LIMIT_S = 8.0
"""How long a tool call waits for the turns said before it to be taken in, or for the store."""
MAX_LOOKUPS = 5
"""References that may be tried on one call."""
MAX_WAITING = 8
"""Tool calls without an answer; a model that makes more is told so."""


@dataclass(slots=True)
class _Waiting:
    """A tool call without an answer. `call_id` is empty where no session knows it any more."""

    call_id: str
    arguments: Mapping[str, Any]
    since_s: float
    reference: str | None = None
    """Of a claim that is looked up; None for a submission."""


class ClaimIntake:
    """The claims of one call. `lines`, where it is asked for, are those of the call so far."""

    def __init__(
        self,
        *,
        extract: Mode,
        timeout_s: float,
        instructions: str,
        today: Callable[[], date],
        new_reference: Callable[[], str],
    ) -> None:
        self._off = extract == "off"
        self._instructions = instructions
        self._today = today
        self._asking = Asking(extract, timeout_s)
        self._desk = Desk(today, new_reference)
        self._turns: dict[str, int] = {}
        """Numbers of the caller turns that have left, by item."""
        self._latest = 0
        self._noted_by_agent: Mapping[str, object] = {}
        self._waiting: list[_Waiting] = []
        self._answers: list[tuple[str, str]] = []
        self._lookups = 0
        self._connected = True
        self._closing = False
        self._to_review = False
        self._judged_to = ""
        """Item of the last line that was held against the transcripts."""

    # -- what the conversation tells -------------------------------------------------------------------------------

    def turn_transcribed(self, turn: int, item_id: str, transcript: str) -> None:
        """A caller turn has left, with or without words."""
        self._turns[item_id] = self._latest = turn
        self._to_review = True
        if transcript:
            self._asking.turn_came(turn)

    def agent_said(self) -> None:
        """A response of the agent has ended: its words are whole."""
        self._to_review = True

    def response_done(self, response: Response) -> None:
        """A response of ours has ended."""
        number = response.tag("number")
        if not self._asking.awaits(number):
            return
        if self._desk.take_in(noted(response), self._latest):
            self._asking.answered(number)
            self._to_review = True
        else:
            self._asking.failed(number)

    def request_failed(self, event_id: str) -> bool:
        """An `error` event names one of our requests. Says whether it was ours."""
        return event_id.startswith(EVENT_ID_PREFIX) and self._asking.failed(event_id.removeprefix(EVENT_ID_PREFIX))

    def tool_called(self, name: str, arguments: Mapping[str, Any], call_id: str, now_s: float) -> list[Action] | None:
        """A tool of the claim's was called; None for another tool. `take_answers` has the answer, now or later."""
        if self._off or name not in tools.ABOUT_CLAIM:
            return None
        if len(self._waiting) >= MAX_WAITING:
            self._answers.append((call_id, answers.BE_PATIENT))
        elif name == tools.SUBMIT_CLAIM:
            self._waiting.append(_Waiting(call_id, arguments, now_s))
        elif name == tools.PAUSE_CLAIM:
            self._answers.append((call_id, self._desk.pause(arguments.get("claim"))))
            self._to_review = True
        else:
            return self._look_up(arguments, call_id, now_s)
        return []

    def noted_by_agent(self, noted_fields: Mapping[str, object]) -> None:
        """What the agent gave with `end_call`: stands in at the end for what the transcripts did not yield."""
        self._noted_by_agent = noted_fields

    def found(self, reference: str, kept: Mapping[str, Any] | None) -> None:
        """What is kept under a reference that was looked up; None: nothing, or it cannot be read."""
        waiting = next((one for one in self._waiting if one.reference == reference), None)
        if waiting is not None:
            self._waiting.remove(waiting)
            self._answers.append((waiting.call_id, self._desk.resume(kept, waiting.arguments.get("policyholder"))))
            self._to_review = True

    def session_lost(self) -> None:
        """The session is gone, and with it the open request; tool calls are unknown to the next."""
        self._connected = False
        self._asking.session_lost()
        for one in self._waiting:
            one.call_id = ""

    def resumed(self) -> None:
        """A new session knows the conversation."""
        self._connected = True

    def closing(self) -> None:
        """The leg is gone: what is still to come is asked for once."""
        self._closing = True

    # -- what comes of it ------------------------------------------------------------------------------------------

    def proceed(self, now_s: float, lines: Lines, *, turns_open: bool, agent_speaks: bool) -> list[Action]:
        """To be called after whatever happened, and every 20 ms. `turns_open`: caller turns without a transcript."""
        if self._off:
            return []
        self._asking.expired(now_s)
        actions: list[Action] = []
        if self._to_review:
            self._to_review = False
            # While the agent speaks, or a turn has no transcript, what was said since cannot be judged yet.
            self._review(lines, whole=not (turns_open or agent_speaks))
            actions += self._changed()
        urged = (self._closing or self._submitting) and not turns_open
        # After the call has ended one request takes in all of its last turns.
        if self._connected and (urged or not self._closing) and self._asking.due(urged=urged):
            actions.append(Send(self._request(now_s, lines, urged=urged)))
        if self._waiting:
            actions += self._decided(now_s, up_to_date=not turns_open and self.settled)
        return actions

    def take_answers(self) -> list[tuple[str, str]]:
        """(call id of the tool, output for the model), oldest first; an empty id where no session knows the call."""
        taken, self._answers = self._answers, []
        return taken

    @property
    def busy(self) -> bool:
        """Whether an answer of the server's or to a tool call is awaited."""
        return self._asking.open or self.waiting

    @property
    def waiting(self) -> bool:
        """Whether a tool call of the agent's is without an answer."""
        return bool(self._waiting)

    @property
    def settled(self) -> bool:
        """Whether nothing is asked for, or is to be."""
        return not self._asking.open and not self._asking.due(urged=True)

    def finish(self, lines: Lines) -> list[Action]:
        """The call is over: decide what waits, and let what the agent noted fill the gaps."""
        if self._off:
            return []
        self._review(lines, whole=True)
        actions = self._changed()
        for one in self._waiting:
            if one.reference is None:
                actions += self._submit(one)
        self._waiting.clear()
        self._desk.fill_up(self._noted_by_agent)
        return actions + self._changed()

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _submitting(self) -> bool:
        return any(one.reference is None for one in self._waiting)

    def _review(self, lines: Lines, *, whole: bool) -> None:
        if whole:
            self._judged_to = next((line.item_id for line in reversed(lines.in_order())), "")
        self._desk.review(self._talk(lines, to=self._judged_to))

    def _talk(self, lines: Lines, *, to: str = "") -> list[Said]:
        """The lines up to the last caller turn that has left, or up to the item `to` where that stands behind it."""
        talk: list[Said] = []
        upto = 0
        for line in lines.in_order():
            turn = self._turns.get(line.item_id)
            talk.append(Said(line.speaker, line.text, turn))
            if turn is not None or line.item_id == to:
                upto = len(talk)
        return talk[:upto]

    def _request(self, now_s: float, lines: Lines, *, urged: bool) -> ResponseCreate:
        return claim_request(
            self._asking.ask(now_s, urged=urged),
            instructions=self._instructions,
            talk=self._talk(lines),
            claims=self._desk.as_noted(),
            today=self._today().isoformat(),
        )

    def _changed(self) -> list[Action]:
        return [ClaimChanged(one, self._latest) for one in self._desk.changes()]

    def _decided(self, now_s: float, *, up_to_date: bool) -> list[Action]:
        actions: list[Action] = []
        for one in list(self._waiting):
            late = now_s - one.since_s >= DECISION_LIMIT_S
            if one.reference is not None and late:
                self._waiting.remove(one)
                self._answers.append((one.call_id, answers.NOT_NOW))
            elif one.reference is None and (up_to_date or late):
                self._waiting.remove(one)
                actions += self._submit(one)
        return actions

    def _submit(self, waiting: _Waiting) -> list[Action]:
        answer, submission = self._desk.submit(waiting.arguments.get("claim"))
        self._answers.append((waiting.call_id, answer))
        return [ClaimSubmitted(submission, self._latest)] if submission is not None else []

    def _look_up(self, arguments: Mapping[str, Any], call_id: str, now_s: float) -> list[Action]:
        self._lookups += 1
        reference = parsed(arguments.get("reference"))
        if self._lookups > MAX_LOOKUPS:
            self._answers.append((call_id, answers.TOO_MANY_TRIES))
        elif reference is None or any(one.reference == reference for one in self._waiting):
            self._answers.append((call_id, answers.NOTHING_FOUND))
        else:
            self._waiting.append(_Waiting(call_id, arguments, now_s, reference))
            return [FindClaim(reference)]
        return []


def claims_off() -> ClaimIntake:
    """For calls whose claim is not extracted: does nothing."""
    return ClaimIntake(extract="off", timeout_s=0.0, instructions="", today=lambda: date.min, new_reference=str)
