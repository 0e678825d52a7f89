"""Runs a comparison in one Realtime session: each turn spoken, transcribed by each method in turn, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import msgspec

from service.call.sessions import Session
from service.compare.methods import BUILT_IN, Method
from service.compare.observed import METHOD_KEY, Observed
from service.compare.results import Outcome, TurnResult
from service.compare.sources import RecordedTurn
from service.errors import RemoteProtocolError
from service.media.resample import HIGH_HZ
from service.realtime.client import SessionError
from service.realtime.commands import AudioAppend, AudioClear, AudioCommit, ResponseCancel, ResponseCreate
from service.transcript.request import transcript_request

APPEND_BYTES = 2 * HIGH_HZ
"""One second of audio in an event."""
ITEM_TIMEOUT_S = 15.0
AGENT_TIMEOUT_S = 60.0
CANCEL_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How every turn is treated."""

    contexts: tuple[Method, ...]
    """Asked for out of band, in this order."""
    instructions: str
    """Of the out-of-band requests: the sidecar's."""
    max_output_tokens: int
    timeout_s: float
    """Of one transcript."""
    agent: bool
    """Whether the agent answers each turn, as in a call."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """All that is compared, the built-in transcription first."""
        return (BUILT_IN, *self.contexts)


class Run:
    """The turns of one session. `report` is told a line about each."""

    def __init__(
        self, turns: Sequence[RecordedTurn], plan: Plan, observed: Observed, report: Callable[[str], None]
    ) -> None:
        self._turns = turns
        self._plan = plan
        self._observed = observed
        self._report = report
        self._news = asyncio.Event()
        self._begun: list[tuple[RecordedTurn, str | None, str]] = []
        """Turn, item id, and why there is no item."""

    @property
    def planned(self) -> str:
        """What there is to do, in words."""
        spoken_s = sum(turn.duration_ms for turn in self._turns) / 1000
        labels = ", ".join(method.label for method in self._plan.methods)
        return f"{len(self._turns)} turns, {spoken_s:.0f} s of speech, each {labels}"

    async def carry_out(self, session: Session) -> None:
        """All turns, one after the other. Raises `SessionError` or `RemoteProtocolError` where it cannot go on."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(session.pump()), group.create_task(self._listen(session))]
                for number, turn in enumerate(self._turns, start=1):
                    await self._take(session, number, turn)
                for task in beside:
                    task.cancel()
        except ExceptionGroup as errors:
            expected, unexpected = errors.split((SessionError, RemoteProtocolError))
            if expected is None or unexpected is not None:
                raise
            raise _first(expected) from None

    def results(self) -> tuple[TurnResult, ...]:
        """The turns that were begun, with what is known of them."""
        return tuple(
            TurnResult(number, turn.name, turn.duration_ms, turn.reference, self._outcomes(item_id, problem))
            for number, (turn, item_id, problem) in enumerate(self._begun, start=1)
        )

    async def _listen(self, session: Session) -> None:
        async for received in session.events():
            self._observed.observe(received, monotonic())
            self._news.set()

    async def _take(self, session: Session, number: int, turn: RecordedTurn) -> None:
        item_id = await self._speak(session, number, turn)
        if item_id is None:
            return
        earlier = self._observed.caller_items[:-1]
        if not await self._until(lambda: self._observed.settled(item_id, BUILT_IN), self._plan.timeout_s):
            self._observed.give_up(item_id, BUILT_IN)
        for method in self._plan.contexts:
            await self._transcribe(session, item_id, earlier, method)
        self._report(self._line(number, turn, self._outcomes(item_id, "")))
        if self._plan.agent and number < len(self._turns):
            await self._answer(session, number)

    async def _speak(self, session: Session, number: int, turn: RecordedTurn) -> str | None:
        """The turn as an item of the conversation; gives its id, or None where the server refuses it."""
        observed, before = self._observed, len(self._observed.caller_items)
        self._begun.append((turn, None, "no item"))
        observed.begin(event_id := f"commit_{number}")
        for first in range(0, len(turn.pcm24k), APPEND_BYTES):
            session.send(AudioAppend(audio=turn.pcm24k[first : first + APPEND_BYTES], event_id=event_id))
        session.send(AudioCommit(event_id=event_id))
        known = await self._until(
            lambda: len(observed.caller_items) > before or observed.refusal(event_id) is not None, ITEM_TIMEOUT_S
        )
        if not known:
            raise RemoteProtocolError(f"the server made no item of turn {number} within {ITEM_TIMEOUT_S:g} s")
        if (refusal := observed.refusal(event_id)) is not None:
            session.send(AudioClear(event_id=event_id))
            self._begun[-1] = (turn, None, refusal)
            self._report(f"turn {number} of {len(self._turns)}, {turn.name}: refused ({refusal})")
            return None
        item_id = observed.caller_items[-1]
        self._begun[-1] = (turn, item_id, "")
        return item_id

    async def _transcribe(self, session: Session, item_id: str, earlier: Sequence[str], method: Method) -> None:
        assert method.context is not None  # noqa: S101 -- contexts only
        request = _marked(
            transcript_request(
                item_id,
                earlier_item_ids=earlier,
                context=method.context,
                instructions=self._plan.instructions,
                max_output_tokens=self._plan.max_output_tokens,
            ),
            method,
        )
        self._observed.ask(item_id, method, str(request.event_id), monotonic())
        session.send(request)
        if not await self._until(lambda: self._observed.settled(item_id, method), self._plan.timeout_s):
            _cancel(session, self._observed.give_up(item_id, method))

    async def _answer(self, session: Session, number: int) -> None:
        """The agent's own response: later turns are understood, and priced, in its light."""
        self._observed.begin(event_id := f"agent_{number}")
        session.send(ResponseCreate(event_id=event_id))
        if await self._until(lambda: self._observed.agent_done(event_id), AGENT_TIMEOUT_S):
            if (refusal := self._observed.refusal(event_id)) is not None:
                self._report(f"the agent did not answer turn {number}: {refusal}")
            return
        self._report(f"the agent did not answer turn {number} within {AGENT_TIMEOUT_S:g} s")
        _cancel(session, self._observed.agent_response(event_id))
        await self._until(lambda: self._observed.agent_done(event_id), CANCEL_TIMEOUT_S)

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it came true in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _outcomes(self, item_id: str | None, problem: str) -> tuple[Outcome, ...]:
        if item_id is None:
            return tuple(Outcome(problem=problem) for _ in self._plan.methods)
        return tuple(self._observed.outcome(item_id, method) for method in self._plan.methods)

    def _line(self, number: int, turn: RecordedTurn, outcomes: Sequence[Outcome]) -> str:
        parts = [
            f"{method.label} {outcome.problem or f'{outcome.latency_s or 0:.2f} s'}"
            for method, outcome in zip(self._plan.methods, outcomes, strict=True)
        ]
        return f"turn {number} of {len(self._turns)}, {turn.name}: {', '.join(parts)}"


def _marked(request: ResponseCreate, method: Method) -> ResponseCreate:
    """The sidecar's request, told apart from those of the same turn with another context."""
    response = dict(request.response or {})
    response["metadata"] = {**response.get("metadata", {}), METHOD_KEY: method.label}
    label = method.label.replace(" ", "_")
    return msgspec.structs.replace(request, event_id=f"{request.event_id}_{label}", response=response)


def _cancel(session: Session, response_id: str | None) -> None:
    if response_id is not None:
        session.send(ResponseCancel(event_id=f"cancel_{response_id}", response_id=response_id))


def _first(group: ExceptionGroup[Exception]) -> Exception:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, ExceptionGroup) else inner
