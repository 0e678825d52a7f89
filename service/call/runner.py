"""One call from INVITE to its last webhook: the tasks and the I/O around a `Conversation`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol

import structlog

from service.billing.meter import Meter
from service.billing.prices import PriceTable
from service.call import ending
from service.call.actions import Action, Answered, BargeIn, Failure, HangUp, Send, ToolCalled, TurnTranscribed
from service.call.conversation import Conversation
from service.call.ending import Ending
from service.call.journal import Journal
from service.call.leg import Confirmed, Digit, Ended, Leg, LegEvent, MediaActive, MediaHeld
from service.call.record import CallRecord
from service.call.registry import Registry
from service.call.state import Event, State, after
from service.call.tools import END_CALL, TOOLS, claim_of
from service.clock import Clock
from service.config import Realtime, Transcription
from service.media.playout import Playout
from service.media.uplink import Uplink
from service.outbox.outbox import Outbox
from service.realtime.client import Received, SessionError, open_session
from service.realtime.commands import ClientEvent
from service.realtime.event_log import EventLog
from service.realtime.events import Malformed, Unknown
from service.realtime.payload import session_payload
from service.telemetry.metrics import Metrics
from service.transcript.sidecar import Priced, Sidecar, TranscribedTurn

P = ParamSpec("P")

TIMER_S = 0.25
"""Time-outs are looked at this often while no media flows."""
BYE_TIMEOUT_S = 5.0
"""How long a BYE of ours may stay unanswered before the call is written without it."""
STRANGE_EVENTS_LOGGED = 20
"""Event types named in the log per call, so that a strange server cannot fill it."""


class Session(Protocol):
    """What the runner needs of `service.realtime.client.RealtimeClient`."""

    audio_dropped: int

    def send(self, event: ClientEvent) -> None:
        """Queue an event; order is kept."""

    async def pump(self) -> None:
        """Send what is queued, until `SessionError`."""

    def events(self) -> AsyncIterator[Received]:
        """Server events, until `SessionError`."""

    async def close(self) -> None:
        """End the session."""


class OpenSession(Protocol):
    """`service.realtime.client.open_session`."""

    def __call__(
        self, url: str, model: str, api_key: str | None, session: dict[str, Any], log: EventLog | None
    ) -> Awaitable[tuple[Session, list[Received]]]:
        """Connect and configure; raises `SessionError`."""


@dataclass(frozen=True, slots=True)
class CallServices:
    """What every call of the worker shares."""

    realtime: Realtime
    realtime_url: str
    transcription: Transcription
    agent_instructions: str
    transcription_instructions: str
    worker_id: str
    retry_after_s: int
    prices: PriceTable
    outbox: Outbox
    metrics: Metrics
    registry: Registry
    clock: Clock
    open_session: OpenSession = open_session


class CallRunner:
    """Carries one call. `run` returns when all of it is written."""

    def __init__(self, call_id: str, leg: Leg, services: CallServices) -> None:
        realtime, transcription, clock = services.realtime, services.transcription, services.clock
        self._leg = leg
        self._services = services
        self._meter = Meter(services.prices, realtime.model, transcription.asr_model or None)
        self._playout = Playout(leg.audio)
        self._conversation = Conversation(
            uplink=Uplink(),
            playout=self._playout,
            sidecar=Sidecar(
                instructions=services.transcription_instructions,
                context=transcription.context,
                max_output_tokens=transcription.max_output_tokens,
                timeout_s=transcription.timeout_s,
                asr=bool(transcription.asr_model),
            ),
            interruptible=realtime.session.audio.input.turn_detection.interrupt_response,
        )
        self.record = CallRecord(call_id, leg.invite, clock, realtime.model, self._meter.ledger, clock.monotonic())
        self.record.lines = self._conversation.lines
        self._journal = Journal(services.outbox, call_id, services.worker_id)
        self._state = State.OPENING
        self._changed = asyncio.Event()
        self._session: Session | None = None
        self._session_error: SessionError | None = None
        self._leg_ended: Ended | None = None
        self._ending: Ending | None = None
        self._strange: set[str] = set()
        self._log = structlog.get_logger().bind(call_id=call_id)

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Answer, talk, write. Whatever goes wrong ends in a record with a result and a reason."""
        invite = self.record.invite
        self._services.registry.enter(self.record)
        self._log.info("call_invited", line=invite.line, caller=invite.from_uri, peer=invite.peer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._journal.run())
                try:
                    await self._answer_and_talk()
                except Exception as broken:  # noqa: BLE001 -- one broken call must not take the worker with it
                    self._broke(broken)
                finally:
                    self._finish()
        finally:
            self._services.registry.leave(self.record)

    def hang_up(self, why: Ending) -> None:
        """End the call from our side, as the drain does when its time is up."""
        self._ending = self._ending or why
        self._leg.hangup(why.reason)

    async def _answer_and_talk(self) -> None:
        self._leg.listen(self._guarded(self._on_leg_event), self._guarded(self._on_tick))
        self._leg.ring()
        session = await self._open()
        if session is None:
            return
        self._session = session
        try:
            async with asyncio.TaskGroup() as group:
                carriers = [
                    group.create_task(self._send(session)),
                    group.create_task(self._receive(session)),
                    group.create_task(self._time()),
                ]
                self._enter(Event.SESSION_READY)
                self._leg.answer()
                await self._until(lambda: self._state is State.CLOSING)
                await self._close()
                for task in carriers:
                    task.cancel()
        finally:
            self.record.uplink_dropped += session.audio_dropped
            await session.close()

    async def _open(self) -> Session | None:
        """A configured session; None where the caller was refused, or gave up."""
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(self._try_open())
            gone = group.create_task(self._until(lambda: self._leg_ended is not None))
            await asyncio.wait({opening, gone}, return_when=asyncio.FIRST_COMPLETED)
            opening.cancel()
            gone.cancel()
        if opening.cancelled():
            return None
        session = opening.result()
        if isinstance(session, SessionError):
            self._session_error = session
            self._log.warning("session_not_opened", reason=session.reason, problem=str(session))
            self._services.metrics.realtime_error(session.reason)
            if self._leg_ended is None:
                self._enter(Event.SESSION_LOST)
                self._leg.refuse(503, "Service Unavailable", self._services.retry_after_s)
            return None
        if self._leg_ended is not None:
            await session.close()
            return None
        return session

    async def _try_open(self) -> Session | SessionError:
        services = self._services
        realtime = services.realtime
        payload = session_payload(
            realtime, services.transcription, instructions=services.agent_instructions, tools=TOOLS
        )
        key = realtime.api_key.get_secret_value() if realtime.api_key else None
        try:
            async with asyncio.timeout(realtime.connect_timeout_s):
                session, seen = await services.open_session(
                    services.realtime_url, realtime.model, key, payload, self._event_log(realtime.event_log)
                )
        except SessionError as error:
            return error
        except TimeoutError:
            return SessionError("timeout", f"no session within {realtime.connect_timeout_s:g} s")
        for received in seen:
            self._meter.observe(received.as_dict())
        self.record.model = self._meter.model
        return session

    async def _close(self) -> None:
        """The call is over on one side or the other: get what is still owed, and give up what does not come."""
        timeout_s = self._services.transcription.flush_timeout_s
        if self._session_error is None:
            self._do(self._conversation.close())
            await self._until(lambda: self._conversation.settled or self._session_error is not None, timeout_s)
        else:
            self._leg.hangup("session lost")
        now_s = self._services.clock.monotonic()
        reason = "flush_timeout" if self._session_error is None else "session_lost"
        self._do(self._conversation.abandon(reason, now_s))
        await self._until(lambda: self._leg_ended is not None, BYE_TIMEOUT_S)
        self._enter(Event.FLUSHED)

    def _finish(self) -> None:
        """Write the end of the call."""
        record, clock = self.record, self._services.clock
        self._meter.finish()
        record.ended_s = record.ended_s or clock.monotonic()
        record.state = State.ENDED.name
        record.underruns = self._playout.underruns
        record.uplink_dropped += self._leg.audio.uplink_dropped
        record.ending = self._ending or self._why_ended()
        if self._leg_ended is not None:
            record.stats = self._leg_ended.stats
        if self._journal.opened:
            self._journal.put("call.ended", record.ended_data(), clock.wall())
        self._journal.finish()
        self._services.metrics.call_ended(record)
        self._log.info(
            "call_ended",
            result=record.ending.result,
            reason=record.ending.reason,
            duration_s=round(record.duration_s, 3),
            turns=len(record.turns),
            cost_usd=str(record.ledger.cost_usd),
        )

    def _why_ended(self) -> Ending:
        if self._session_error is not None:
            return ending.by_session(self._session_error.reason)
        if self._leg_ended is not None:
            answered = self.record.answered_s is not None
            return ending.by_leg(self._leg_ended, answered=answered, greeting_heard=self._conversation.greeting_heard)
        return ending.INTERNAL

    def _broke(self, broken: BaseException) -> None:
        self._log.error("call_broke", exc_info=broken)
        self._ending = ending.INTERNAL
        self._leg.hangup("internal error")

    # -- carriers --------------------------------------------------------------------------------------------------

    async def _send(self, session: Session) -> None:
        try:
            await session.pump()
        except SessionError as error:
            self._session_lost(error)

    async def _receive(self, session: Session) -> None:
        try:
            async for received in session.events():
                self._on_server_event(received)
        except SessionError as error:
            self._session_lost(error)

    async def _time(self) -> None:
        while True:
            await asyncio.sleep(TIMER_S)
            self._on_tick()

    async def _until(self, reached: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait for a condition that events bring about; after `timeout_s` stop waiting."""
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass

    # -- what happens ----------------------------------------------------------------------------------------------

    def _enter(self, event: Event) -> None:
        self._state = after(self._state, event)
        self.record.state = self._state.name
        self._changed.set()

    def _session_lost(self, error: SessionError) -> None:
        if self._session_error is None:
            self._session_error = error
            if self._state is not State.CLOSING:
                self._log.warning("session_lost", reason=error.reason, problem=str(error))
                self._services.metrics.realtime_error(error.reason)
            self._enter(Event.SESSION_LOST)

    def _on_leg_event(self, event: LegEvent) -> None:
        match event:
            case Confirmed():
                self._confirmed()
            case MediaActive(codec=codec):
                self.record.codec = codec
            case MediaHeld():
                self._log.info("call_held")
            case Digit(digit=digit):
                self.record.digits += digit
            case Ended():
                self._leg_ended = event
                self.record.ended_s = self._services.clock.monotonic()
                if self._state is not State.OPENING:
                    self._enter(Event.LEG_ENDED)
                self._changed.set()

    def _confirmed(self) -> None:
        if self._state is State.ANSWERED:
            self._start()
            self._do(self._conversation.begin())
        self._enter(Event.CONFIRMED)

    def _start(self) -> None:
        """The caller is connected: from here on the receiver is told."""
        if self.record.answered_s is None:
            self.record.answered_s = self._services.clock.monotonic()
            self._journal.put("call.started", self.record.started_data(), self._services.clock.wall())
            self._services.metrics.call_answered(self.record)
            self._log.info("call_answered", codec=self.record.codec)

    def _on_tick(self) -> None:
        frames = self._leg.audio.take_uplink()
        session = self._session
        if session is None or self._state not in {State.ANSWERED, State.LIVE}:
            return
        for frame in frames:
            session.send(self._conversation.caller_audio(frame))
        self._do(self._conversation.tick(self._services.clock.monotonic()))

    def _guarded(self, react: Callable[P, None]) -> Callable[P, None]:
        """For what the loop calls: nobody above would end the call."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                react(*args, **kwargs)
            except Exception as broken:  # noqa: BLE001 -- one broken call must not take the worker with it
                self._broke(broken)

        return guarded

    def _on_server_event(self, received: Received) -> None:
        event = received.event
        priced = self._account(received)
        if isinstance(event, Unknown | Malformed):
            self._strange_event(event)
            return
        self._do(self._conversation.server_event(event, priced, self._services.clock.monotonic()))
        if self._state is State.CLOSING:
            self._changed.set()

    def _account(self, received: Received) -> Priced | None:
        if not received.metered:
            return None
        entry = self._meter.observe(received.as_dict())
        if entry is None:
            return None
        self._services.metrics.usage(self.record.call_id, entry, self.record.ledger.priced_usd)
        return Priced(entry.model, entry.usage.as_json(), entry.cost.usd if entry.cost else None)

    def _strange_event(self, event: Unknown | Malformed) -> None:
        kind = "unknown_event" if isinstance(event, Unknown) else "malformed_event"
        self._services.metrics.realtime_error(kind)
        if event.type not in self._strange and len(self._strange) < STRANGE_EVENTS_LOGGED:
            self._strange.add(event.type)
            self._log.warning(f"realtime_{kind}", type=event.type, problem=getattr(event, "problem", None))

    # -- what is to be done ----------------------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(event=event):
                    if self._session is not None:
                        self._session.send(event)
                case TurnTranscribed(turn=turn):
                    self._turn_transcribed(turn)
                case HangUp(reason=reason):
                    self.hang_up(ending.by_agent(reason))
                case BargeIn(heard_ms=heard_ms):
                    self.record.barge_ins += 1
                    self._services.metrics.barge_in()
                    self._log.info("agent_interrupted", heard_ms=heard_ms)
                case Answered(latency_s=latency_s):
                    self.record.answer_latencies_s.append(latency_s)
                    self._services.metrics.responded(self.record.call_id, latency_s)
                case Failure(code=code, message=message):
                    self._services.metrics.realtime_error(code)
                    self._log.warning("realtime_error", code=code, message=message)
                case ToolCalled(name=name, arguments=arguments):
                    self._log.info("tool_called", tool=name)
                    if name == END_CALL:
                        self.record.claim = claim_of(arguments)

    def _turn_transcribed(self, turn: TranscribedTurn) -> None:
        self._start()
        data = self.record.turn_data(turn)
        self.record.turns.append(data)
        asked_s = self._services.clock.monotonic() - turn.latency_s
        metrics, clock = self._services.metrics, self._services.clock

        def stored() -> None:
            metrics.turn_stored(turn.source, clock.monotonic() - asked_s)

        self._journal.put("turn.transcribed", data, clock.wall(), stored)
        self._log.info("turn_transcribed", turn=turn.turn, source=turn.source, transcript=turn.transcript)

    def _event_log(self, directory: Path | None) -> EventLog | None:
        if directory is None:
            return None
        try:
            return EventLog(directory, self.record.call_id, self._services.clock.monotonic())
        except OSError as error:
            self._log.error("event_log_unwritable", problem=str(error))
            return None
