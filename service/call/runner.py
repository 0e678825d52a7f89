"""One call from INVITE to its last webhook: the tasks and the I/O around a `Conversation`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec

from service.call import ending
from service.call.actions import Action, ClaimChanged, ClaimSubmitted, Failure, FindClaim, HangUp, Send, TurnTranscribed
from service.call.conversation import Conversation
from service.call.editing import Editing
from service.call.ending import Ending
from service.call.intake import ClaimIntake
from service.call.leg import Confirmed, Digit, Ended, Leg, LegEvent, MediaActive, MediaHeld, MediaLost
from service.call.recording import CallRecording
from service.call.report import CallReport
from service.call.services import CallServices
from service.call.sessions import EXPIRED, FATAL, Session, Sessions
from service.call.state import Event, State, after
from service.call.wrap_up import WrapUp, after_cost, after_time
from service.claim.reference import new_reference
from service.media.echo import EchoControl
from service.media.playout import Playout
from service.media.uplink import Uplink
from service.realtime.client import Received, SessionError
from service.realtime.event_log import EventLog
from service.realtime.events import (
    ItemAdded,
    Malformed,
    ResponseCreated,
    ResponseDone,
    TranscriptionCompleted,
    TranscriptionFailed,
    Unknown,
)
from service.transcript.sidecar import Sidecar

P = ParamSpec("P")

TIMER_S = 0.25
"""Time-outs are looked at this often while no media flows."""
EXCHANGE_RETRY_S = 5.0
"""After a session could not be exchanged in a pause."""
APOLOGY_LIMIT_S = 12.0
NOTED = ItemAdded | ResponseCreated | ResponseDone | TranscriptionCompleted | TranscriptionFailed
"""After these something is known of a turn, of a cost or of the claim that no message may have told yet."""
BYE_TIMEOUT_S = 5.0
"""How long a BYE of ours may stay unanswered before the call is written without it."""


class CallRunner:
    """Carries one call. `run` returns when all of it is written."""

    def __init__(self, call_id: str, leg: Leg, services: CallServices) -> None:
        realtime, transcription = services.realtime, services.transcription
        self._leg = leg
        self._services = services
        self._clock = services.clock
        self._report = CallReport(call_id, leg.invite, services)
        self._log = self._report.log
        self.record = self._report.record
        self._playout = Playout(leg.audio)
        self._echo = EchoControl(services.echo_tail_ms) if services.echo_tail_ms else None
        self._conversation = Conversation(
            uplink=Uplink(),
            playout=self._playout,
            sidecar=Sidecar(
                instructions=services.transcription_instructions,
                context=transcription.context,
                max_output_tokens=transcription.max_output_tokens,
                max_open=transcription.max_open,
                timeout_s=transcription.timeout_s,
                asr=bool(transcription.asr_model),
            ),
            interruptible=realtime.session.audio.input.turn_detection.interrupt_response,
            answering=realtime.session.audio.input.turn_detection.create_response,
            claims=ClaimIntake(
                extract=services.claim.extract,
                timeout_s=services.claim.timeout_s,
                instructions=services.claim_instructions,
                today=services.clock.today,
                new_reference=lambda: new_reference(secrets.choice),
            ),
            editing=Editing(services.summarize_above_tokens),
        )
        self.record.lines = self._conversation.lines
        self._recording = CallRecording(services.recordings, self.record, leg.audio)
        self._state = State.OPENING
        self._changed = asyncio.Event()
        self._sessions = Sessions(
            services.open_session,
            services.target,
            self._event_log(realtime.event_log),
            self._report.session_opened,
        )
        self._session: Session | None = None
        self._session_error: SessionError | None = None
        self._exchange_at_s = float("inf")
        self._resuming_since_s: float | None = None
        self._leg_ended: Ended | None = None
        self._ending: Ending | None = None
        self._held = False
        self._wrap_up: WrapUp | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Answer, talk, write. Whatever goes wrong ends in a record with a result and a reason."""
        self._report.invited()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._report.write())
                try:
                    await self._answer_and_talk(group)
                except Exception as broken:  # noqa: BLE001 -- one broken call must not take the worker with it
                    self._broke(broken)
                    self._guarded(self._give_up)(ending.INTERNAL.reason)
                finally:
                    await self._recording.finish()
                    self._finish()
        finally:
            self._report.left()

    def hang_up(self, why: Ending) -> None:
        """End the call from our side, as the drain does when its time is up; nothing, if the caller has ended it."""
        if self._leg_ended is None:
            self._ending = self._ending or why
            self._leg.hangup(why.reason)

    async def _answer_and_talk(self, background: asyncio.TaskGroup) -> None:
        self._leg.listen(self._guarded(self._on_leg_event), self._guarded(self._on_tick))
        self._leg.ring()
        session = await self._first_session()
        if session is None:
            return
        self._enter(Event.SESSION_READY)
        self._leg.answer()
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._time())
            try:
                while session is not None:
                    session = await self._carry(session, group, background)
                await self._part()
            finally:
                timer.cancel()

    async def _first_session(self) -> Session | None:
        """A configured session; None where the caller was refused, or gave up."""
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(self._sessions.open())
            gone = group.create_task(self._until(lambda: self._leg_ended is not None))
            await asyncio.wait({opening, gone}, return_when=asyncio.FIRST_COMPLETED)
            opening.cancel()
            gone.cancel()
        if opening.cancelled():
            return None
        session = opening.result()
        if isinstance(session, SessionError):
            self._session_error = session
            self._report.session_failed("session_not_opened", session)
            if self._leg_ended is None:
                self._enter(Event.SESSION_LOST)
                self._leg.refuse(503, "Service Unavailable", self._services.retry_after_s)
            return None
        if self._leg_ended is not None:
            await session.close()
            return None
        return session

    async def _carry(self, session: Session, group: asyncio.TaskGroup, background: asyncio.TaskGroup) -> Session | None:
        """Carry the call on one session. Gives the session that takes over, None when the call is over.

        The old one is closed in the `background`: a server that does not answer must hold up nothing.
        """
        self._session, self._session_error = session, None
        self._exchange_at_s = self._clock.monotonic() + self._services.realtime.session_max_s
        successor: Session | None = None
        carriers = [group.create_task(self._send(session)), group.create_task(self._receive(session))]
        try:
            while successor is None and not self._over():
                await self._until(lambda: self._over() or self._exchange_is_due())
                if self._exchange_is_due():
                    successor = await self._exchange()
            if successor is None and not self._broken():
                await self._flush()
        finally:
            for task in carriers:
                task.cancel()
            self.record.uplink_dropped += session.audio_dropped
            background.create_task(session.close())
        lost = self._lost()
        return successor if lost is None else await self._replace(lost)

    async def _replace(self, lost: SessionError) -> Session | None:
        """The session broke: open another and tell it the conversation. None where none is to be had, or needed."""
        self._session = None
        self._conversation.session_lost()
        self._enter(Event.SESSION_BROKE)
        if lost.reason in FATAL or not self._worth_reopening():
            self._enter(Event.SESSION_LOST)
            return None
        self._resuming_since_s = self._clock.monotonic()
        session = await self._sessions.reopen(self._worth_reopening)
        self._resuming_since_s = None
        if isinstance(session, SessionError):
            self._session_error = session
            self._report.session_failed("session_not_replaced", session)
            self._enter(Event.SESSION_LOST)
            return None
        self._report.session_changed("session_replaced", lost.reason)
        self._enter(Event.SESSION_READY)
        self._take_over(session)
        return session

    async def _exchange(self) -> Session | None:
        """Before the server ends the session: open another, and change over if the pause still lasts."""
        successor = await self._sessions.open()
        now_s = self._clock.monotonic()
        if isinstance(successor, SessionError) or not self._exchange_is_due():
            self._exchange_at_s = now_s + EXCHANGE_RETRY_S
            if not isinstance(successor, SessionError):
                await successor.close()
            return None
        self._report.session_changed("session_exchanged", "session_age")
        self._conversation.session_lost()
        self._take_over(successor)
        return successor

    def _take_over(self, session: Session) -> None:
        self._session = session
        self._report.session_taken_over()
        self._do(self._conversation.resume(self._clock.monotonic()))

    async def _flush(self) -> None:
        """The leg is gone: get what is still owed."""
        self._do(self._conversation.close())
        await self._until(lambda: self._conversation.settled or self._broken(), self._flush_left_s())

    async def _part(self) -> None:
        """No session any more: apologise if the caller is still there, and give up what has not come."""
        if self._leg_ended is None:
            self._log.warning("call_given_up", reason=self._session_error.reason if self._session_error else "unknown")
            self._conversation.agent.apologize()
            await self._until(lambda: self._conversation.agent.silent or self._leg_ended is not None, APOLOGY_LIMIT_S)
            self._leg.hangup("session lost")
        reason = "flush_timeout" if self._session_error is None else "session_lost"
        self._give_up(reason)
        await self._until(lambda: self._leg_ended is not None, BYE_TIMEOUT_S)
        self._enter(Event.FLUSHED)

    def _give_up(self, reason: str) -> None:
        self._do(self._conversation.abandon(reason, self._clock.monotonic()))

    def _lost(self) -> SessionError | None:
        return self._session_error

    def _broken(self) -> bool:
        return self._lost() is not None

    def _over(self) -> bool:
        """Whether this session has nothing more to carry: it broke, or the call is closing."""
        return self._broken() or self._state is State.CLOSING

    def _exchange_is_due(self) -> bool:
        late = self._clock.monotonic() >= self._exchange_at_s
        return late and self._state is State.LIVE and self._conversation.pausing

    def _worth_reopening(self) -> bool:
        """Whether another try may still help: the caller waits, or turns wait and there is time."""
        if self._leg_ended is not None:
            return not self._conversation.settled and self._flush_left_s() > 0
        since_s = self._resuming_since_s
        limit_s = self._services.realtime.reconnect_timeout_s
        return since_s is None or self._clock.monotonic() - since_s < limit_s

    def _flush_left_s(self) -> float:
        ended_s = self.record.ended_s if self.record.ended_s is not None else self._clock.monotonic()
        return ended_s + self._services.transcription.flush_timeout_s - self._clock.monotonic()

    def _finish(self) -> None:
        """Write the end of the call."""
        record = self.record
        record.underruns = self._playout.underruns
        record.uplink_dropped += self._leg.audio.uplink_dropped
        if self._leg_ended is not None:
            record.stats = self._leg_ended.stats
        self._report.ended(self._ending or self._why_ended())
        self._sessions.close()

    def _why_ended(self) -> Ending:
        if self._session_error is not None:
            return ending.by_session(self._session_error.reason)
        if self._leg_ended is not None:
            answered = self.record.answered_s is not None
            return ending.by_leg(
                self._leg_ended, answered=answered, greeting_heard=self._conversation.agent.greeting_heard
            )
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
            self._changed.set()

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
        if self._state is not State.ENDED:
            # A record shows ENDED together with how it ended: see `_finish`.
            self.record.state = self._state.name
        self._changed.set()

    def _session_lost(self, error: SessionError) -> None:
        if self._session_error is None:
            self._session_error = error
            self._report.session_failed("session_lost", error)
            self._changed.set()

    def _on_leg_event(self, event: LegEvent) -> None:
        match event:
            case Confirmed():
                self._confirmed()
            case MediaActive(codec=codec):
                self.record.codec = codec
                if self._held:
                    self._held = False
                    self._log.info("call_resumed")
            case MediaHeld():
                self._held = True
                self._log.info("call_held")
            case MediaLost():
                self.hang_up(ending.MEDIA_LOST)
            case Digit(digit=digit):
                self._report.digit(digit)
                self._conversation.key_pressed(digit, self._clock.monotonic())
            case Ended():
                self._leg_ended = event
                self.record.ended_s = self._clock.monotonic()
                if self._state is not State.OPENING:
                    self._enter(Event.LEG_ENDED)
                self._changed.set()

    def _confirmed(self) -> None:
        if self._state is State.ANSWERED:
            self._start()
            self._do(self._conversation.begin())
        self._enter(Event.CONFIRMED)

    def _start(self) -> None:
        """The caller is connected."""
        if self.record.answered_s is None:
            now_s = self._clock.monotonic()
            self._recording.begin(now_s)
            self._report.answered(now_s)

    def _on_tick(self) -> None:
        frames = self._leg.audio.take_uplink()
        if self._state in {State.OPENING, State.ENDED} or self._leg_ended is not None:
            return
        for frame in frames if not self._held else ():
            for cleaned in (frame,) if self._echo is None else self._echo.clean(frame):
                # Without a session the audio is kept for the next one.
                self._do([Send(self._conversation.caller_audio(cleaned))])
        now_s = self._clock.monotonic()
        if self._resuming_since_s is not None:
            self._conversation.agent.bridge(now_s - self._resuming_since_s)
        self._do(self._conversation.tick(now_s, held=self._held))
        self._mind_the_limits(now_s)

    def _mind_the_limits(self, now_s: float) -> None:
        """Of time and of cost: the agent is asked to end the call, and shortly after it is ended."""
        if self.record.answered_s is None or self._leg_ended is not None:
            return
        if self._report.held_too_much and self._ending is None:
            self.hang_up(ending.OUTBOX_FULL)
        reached = self._report.budget.reached(now_s)
        if reached == "turn_context":
            self._conversation.transcribe_turns_alone()
        if self._wrap_up is None:
            talked_s = now_s - self.record.answered_s
            self._wrap_up = after_time(talked_s, self._services.max_call_s, now_s) or after_cost(reached, now_s)
            if self._wrap_up is not None:
                self._log.info("call_at_its_limit", reason=self._wrap_up.ending.reason)
                self._do(self._conversation.wrap_up(self._wrap_up.told))
        elif now_s >= self._wrap_up.until_s and self._ending is None:
            self.hang_up(self._wrap_up.ending)

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
        priced = self._report.account(received)
        if isinstance(event, Unknown | Malformed):
            self._report.strange_event(event)
            return
        now_s = self._clock.monotonic()
        self._do(self._conversation.server_event(event, priced, now_s))
        if isinstance(event, NOTED):
            self._report.note(self._conversation.open_turns(ending.INTERRUPTED.reason, now_s))
        if self._state is State.CLOSING:
            self._changed.set()

    # -- what is to be done ----------------------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(event=event):
                    if self._session is not None:
                        self._session.send(event)
                        self._report.sent(event)
                case TurnTranscribed(turn=turn):
                    self._start()
                    self._report.turn(turn)
                case ClaimChanged() | ClaimSubmitted():
                    self._report.claim(action)
                case FindClaim(reference=reference):
                    self._find_claim(reference)
                case HangUp(reason=reason):
                    self.hang_up(ending.by_agent(reason))
                case _:
                    self._report.happened(action)
                    if isinstance(action, Failure) and (action.code in FATAL or action.code == EXPIRED):
                        self._session_lost(SessionError(action.code, action.message))

    def _find_claim(self, reference: str) -> None:
        def found(kept: Mapping[str, Any] | None) -> None:
            self._do(self._conversation.claim_found(reference, kept, self._clock.monotonic()))

        self._report.find_claim(reference, self._guarded(found))

    def _event_log(self, directory: Path | None) -> EventLog | None:
        if directory is None:
            return None
        try:
            redaction = self._services.redaction
            return EventLog(
                directory, self.record.call_id, self._clock.monotonic(), redaction if redaction.active else None
            )
        except OSError as error:
            self._log.error("event_log_unwritable", problem=str(error))
            return None
