"""What a call tells the outside: its record, its webhooks, its metrics and its log lines. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import structlog

from service.billing import expected
from service.billing.ledger import Entry
from service.billing.meter import Meter
from service.billing.usage import TokenUsage
from service.call.actions import Answered, BargeIn, ClaimChanged, ClaimSubmitted, Failure, Summarized, ToolCalled
from service.call.context_audio import ContextAudio
from service.call.ending import Ending
from service.call.journal import Journal
from service.call.leg import Invite
from service.call.record import CallRecord
from service.call.services import CallServices
from service.call.state import State
from service.call.tools import END_CALL, REQUEST_HUMAN, call_back_of, claim_of
from service.outbox.message import KeptClaim
from service.realtime.client import Received, SessionError
from service.realtime.commands import ClientEvent
from service.realtime.events import Malformed, Unknown
from service.transcript.sidecar import Priced, TranscribedTurn

MAX_DIGITS_KEPT = 256
STRANGE_EVENTS_LOGGED = 20
"""Event types named in the log per call, so that a strange server cannot fill it."""


class CallReport:
    """One call, told as it happens."""

    def __init__(self, call_id: str, invite: Invite, services: CallServices) -> None:
        clock = services.clock
        self._services = services
        self._clock = clock
        self._metrics = services.metrics
        self._meter = Meter(services.prices, services.realtime.model, services.transcription.asr_model or None)
        self._journal = Journal(services.outbox, call_id, services.worker_id, services.backlog)
        self._open_turns: dict[str, dict[str, Any]] = {}
        """By item id, in the order of the conversation: what was noted of them last."""
        self._audio = ContextAudio()
        self.budget = services.budget.open_call()
        self._strange: set[str] = set()
        self.log = structlog.get_logger().bind(call_id=call_id)
        self.record = CallRecord(
            call_id,
            invite,
            clock,
            services.realtime.model,
            self._meter.ledger,
            clock.monotonic(),
            services.redaction,
        )

    async def write(self) -> None:
        """Write the webhooks to the outbox, until `ended`."""
        await self._journal.run()

    # -- the call --------------------------------------------------------------------------------------------------

    def invited(self) -> None:
        """The INVITE has come."""
        invite = self.record.invite
        self._services.registry.enter(self.record)
        self.log.info("call_invited", line=invite.line, caller=invite.from_uri, peer=invite.peer)

    def answered(self, now_s: float) -> None:
        """The caller is connected: from here on the receiver is told."""
        self.record.answered_s = now_s
        self._journal.put("call.started", self.record.started_data(), self._clock.wall(), will=self._will())
        self._metrics.call_answered(self.record)
        self.log.info("call_answered", codec=self.record.codec)

    def note(self, open_turns: Sequence[TranscribedTurn]) -> None:
        """Keep what no message has told yet, should this worker die: turns as they stand, the account, the claims."""
        if self._journal.opened:
            self._open_turns = {turn.item_id: self.record.turn_data(turn) for turn in open_turns}
            self._journal.note(self._will())

    @property
    def held_too_much(self) -> bool:
        """Whether so much waits for the disk that the call must end."""
        return self._journal.full

    def digit(self, digit: str) -> None:
        """A key of the caller's telephone."""
        self.record.digits = (self.record.digits + digit)[:MAX_DIGITS_KEPT]
        self.log.info("key_pressed")

    def ended(self, ending: Ending) -> None:
        """All that was to be told was told."""
        record = self.record
        self._meter.finish()
        record.ended_s = record.ended_s or self._clock.monotonic()
        record.state = State.ENDED.name
        record.ending = ending
        if self._journal.opened:
            self._journal.put("call.ended", record.ended_data(), self._clock.wall())
        self._journal.finish()
        self._metrics.call_ended(record)
        for claim in record.claims.values():
            if not claim.empty:
                self._metrics.claim_left(claim.state)
        self.log.info(
            "call_ended",
            result=ending.result,
            reason=ending.reason,
            duration_s=round(record.duration_s, 3),
            turns=len(record.turns),
            cost_usd=str(record.ledger.cost_usd),
        )

    def left(self) -> None:
        """All of it is written."""
        self._services.registry.leave(self.record)

    # -- its sessions ----------------------------------------------------------------------------------------------

    def session_opened(self, seen: list[Received]) -> None:
        """`seen` came while it was opened."""
        for received in seen:
            self._meter.observe(received.as_dict())
        self.record.model = self._meter.model
        self.log.info("session_opened", model=self.record.model)

    def session_failed(
        self, what: Literal["session_lost", "session_not_opened", "session_not_replaced"], error: SessionError
    ) -> None:
        """`what` is the log line: a session was lost, or not to be had."""
        self.log.warning(what, reason=error.reason, problem=str(error))
        self._metrics.realtime_error(error.reason)

    def session_changed(self, what: Literal["session_replaced", "session_exchanged"], reason: str) -> None:
        """`what` is the log line: another session has taken over."""
        self._metrics.realtime_reconnected(reason)
        self.log.info(what, reason=reason)

    def session_taken_over(self) -> None:
        """What is sent from now on goes to another session, whose conversation is empty."""
        self._audio = ContextAudio()

    def sent(self, event: ClientEvent) -> None:
        """This went to the session."""
        self._audio.sent(event)

    def account(self, received: Received) -> Priced | None:
        """Enter the usage of an event, where it reports any."""
        should_be = self._audio.received(received.event)
        if not received.metered:
            return None
        entry = self._meter.observe(received.as_dict())
        if entry is None:
            return None
        self._metrics.usage(self.record.call_id, entry, self.record.ledger.priced_usd)
        if should_be is not None and isinstance(entry.usage, TokenUsage):
            self.record.ledger.expect(entry.purpose, should_be)
            self._metrics.audio_tokens(entry, expected.reported(entry.usage) - should_be)
        self._spent(entry)
        return Priced(entry.model, entry.usage.as_json(), entry.cost.usd if entry.cost else None)

    def _spent(self, entry: Entry) -> None:
        """Mind the limits."""
        if entry.cost is None:
            if self._services.unpriced.is_new(entry.model):
                self.log.warning("model_unpriced", model=entry.model, hint="add it to prices.overrides")
            return
        for crossing in self.budget.spend(entry.cost.usd, self._clock.monotonic()):
            self._metrics.cost_limit(crossing.limit, crossing.event)
            self.log.warning(
                "cost_limit_reached" if crossing.event == "reached" else "cost_limit_near",
                limit=crossing.limit,
                limit_usd=str(crossing.limit_usd),
                spent_usd=str(crossing.spent_usd),
                then=self._services.budget.then,
            )

    def strange_event(self, event: Unknown | Malformed) -> None:
        """The server sent what the protocol does not know."""
        malformed = isinstance(event, Malformed)
        self._metrics.realtime_error("malformed_event" if malformed else "unknown_event")
        if event.type not in self._strange and len(self._strange) < STRANGE_EVENTS_LOGGED:
            self._strange.add(event.type)
            self.log.warning(
                "realtime_event_malformed" if malformed else "realtime_event_unknown",
                type=event.type,
                problem=getattr(event, "problem", None),
            )

    # -- the conversation ------------------------------------------------------------------------------------------

    def turn(self, turn: TranscribedTurn) -> None:
        """A caller turn has its transcript."""
        data = self.record.turn_data(turn)
        self.record.turns.append(data)
        asked_s = self._clock.monotonic() - turn.latency_s

        def stored() -> None:
            self._metrics.turn_stored(turn.source, self._clock.monotonic() - asked_s)

        # Of turns that leave together each is open until its own message stands before the will.
        self._open_turns.pop(turn.item_id, None)
        self._journal.put("turn.transcribed", data, self._clock.wall(), stored, will=self._will())
        if turn.asr_difference is not None:
            self._metrics.second_opinion(turn.asr_difference.word_error_rate, turn.asr_difference.differs)
        if turn.suspect is not None:
            self._metrics.transcript_suspect(turn.suspect)
        self.log.info("turn_transcribed", turn=turn.turn, source=turn.source, transcript=data["transcript"])

    def claim(self, what: ClaimChanged | ClaimSubmitted) -> None:
        """A claim is known better, or was submitted. It is kept together with the message that says so."""
        type_ = "claim.submitted" if isinstance(what, ClaimSubmitted) else "claim.updated"
        number, claim, conflicts = what.change.number, what.change.claim, what.change.new_conflicts()
        self.record.claims[number] = claim
        data = self.record.claim_data(number, claim, what.turn)
        kept = KeptClaim(claim.reference, self.record.redacted(claim.as_json()))
        self._journal.put(type_, data, self._clock.wall(), kept=kept, will=self._will())
        for name in conflicts:
            self._metrics.claim_conflict(name)
        self.log.info(
            "claim_submitted" if isinstance(what, ClaimSubmitted) else "claim_updated",
            claim=number,
            state=claim.state,
            missing=claim.missing(),
            conflicts=conflicts,
        )

    def find_claim(self, reference: str, found: Callable[[Mapping[str, Any] | None], None]) -> None:
        """Look up a claim that is kept, behind everything that is still to be written."""
        self._journal.find_claim(reference, found)

    def _will(self) -> dict[str, Any]:
        """See `service.outbox.last_words`."""
        told, open_turns = len(self.record.turns), self._open_turns.values()
        ended = self.record.will_data(len(open_turns))
        ended["cost_complete"] = ended["cost_complete"] and self._meter.settled
        return {"turns": [{**turn, "turn": number} for number, turn in enumerate(open_turns, told + 1)], "ended": ended}

    def happened(self, what: BargeIn | Answered | Failure | ToolCalled | Summarized) -> None:
        """Something worth counting."""
        record = self.record
        match what:
            case BargeIn(heard_ms=heard_ms):
                record.barge_ins += 1
                self._metrics.barge_in()
                self.log.info("agent_interrupted", heard_ms=heard_ms)
            case Answered(latency_s=latency_s):
                record.answer_latencies_s.append(latency_s)
                self._metrics.responded(record.call_id, latency_s)
                self.log.info("agent_answered", latency_ms=round(latency_s * 1000))
            case Failure(code=code, message=message):
                self._metrics.realtime_error(code)
                self.log.warning("realtime_error", code=code, message=message)
            case Summarized(items=items):
                self.log.info("conversation_summarized", items=items)
            case ToolCalled(name=name, arguments=arguments):
                self.log.info("tool_called", tool=name)
                if name == END_CALL:
                    record.noted_claim = claim_of(arguments)
                elif name == REQUEST_HUMAN:
                    record.human_requested = True
                    record.call_back_number = call_back_of(arguments)
