"""Every metric of the service, in one place, with methods named for what happened.

One registry per worker, on its own port: Prometheus' multi-process mode would drop the exemplars. Values that come from
the far ends (models, codes, purposes) become labels only through `_Bounded`, so that nobody can make the set of time
series grow without end.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from service.billing.expected import AudioTokens
from service.billing.ledger import OTHER, Entry, Ledger
from service.billing.usage import DurationUsage
from service.call.quality import LineQuality
from service.claim.readback import READ_BACK
from service.outbox.backoff import Verdict
from service.outbox.message import EndpointState
from service.telemetry.line_metrics import LineMetrics
from service.telemetry.worker_metrics import WorkerMetrics
from service.transcript.difference import KINDS
from service.transcript.doubt import SUSPICIONS

CALL_DURATION_S = (5, 15, 30, 60, 120, 180, 240, 300, 420, 600, 900, 1800, 3600)
"""From hung up at once to the 60 minutes of a Realtime session; a claim takes two to ten minutes."""
CALL_COST_USD = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""From a greeting that was hung up on to an hour with the dearest model; about three steps per decade."""
RESPONSE_LATENCY_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 5, 10)
"""Finest where people notice (0.3 to 1 s); systems of this kind measure 1.1 to 1.9 s on the phone line."""
TRANSCRIPTION_LATENCY_S = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 15, 30)
"""Up to the default of transcription.timeout_s, and what comes after it."""
CLAIM_STATES = ("submitted", "paused", "open")
WORD_ERROR_RATE = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0)
"""From the same words to a second opinion that heard something else, or twice as much."""
LIMITS, LIMIT_EVENTS = ("call", "hour"), ("warned", "reached")
REALTIME_ERRORS = (
    "closed", "malformed_event", "protocol", "rate_limit_exceeded", "refused", "session_expired", "timeout",
    "unauthorized", "unknown_event", "unreachable",
)  # fmt: skip
"""Those of the service's own, and the server's that are met most. The others join them as they come."""
RECONNECTS = ("closed", "session_age", "session_expired", "timeout", "unreachable")
NO_ROOM = ("capacity", "rate")
SOURCES = ("out_of_band", "input_transcription", "none")
MAX_LABEL_VALUES = 40
MAX_MODELS = 10
MAX_PURPOSES = 10
"""Tokens have a series for each model, purpose and kind: 8 kinds of 11 times 11."""
MAX_LABEL_CHARS = 64


class Ended(Protocol):
    """How a call ended."""

    @property
    def result(self) -> str:
        """One of six."""

    @property
    def reason(self) -> str:
        """From a closed list."""


class CallFigures(Protocol):
    """What is counted of a call; `service.call.record.CallRecord` is one."""

    @property
    def call_id(self) -> str:
        """At most 100 characters: it becomes an exemplar."""

    @property
    def model(self) -> str:
        """The agent's."""

    @property
    def ending(self) -> Ended | None:
        """None is counted as indeterminate."""

    @property
    def answered_s(self) -> float | None:
        """None where the call was never answered."""

    @property
    def duration_s(self) -> float:
        """From the answer to the end."""

    @property
    def ledger(self) -> Ledger:
        """Its account."""

    @property
    def underruns(self) -> int:
        """Of playout."""

    @property
    def uplink_dropped(self) -> int:
        """Frames from the caller."""

    @property
    def recording_complete(self) -> bool | None:
        """None where the call was not recorded."""

    @property
    def line_quality(self) -> LineQuality | None:
        """None where nothing was measured."""


class Metrics:
    """The metrics of one worker, and its registry."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        self.worker = WorkerMetrics(registry)
        self._line = LineMetrics(registry)
        self._models, self._purposes, self._codes = _Bounded(MAX_MODELS), _Bounded(MAX_PURPOSES), _Bounded()
        self._reasons, self._reconnect_reasons = _Bounded(), _Bounded()
        self._live: set[str] = set()

        self._calls_active = Gauge("claimline_calls_active", "Calls that are answered and not over.", registry=registry)
        self._calls_max = Gauge("claimline_calls_max", "Calls this worker answers at once.", registry=registry)
        self._calls = Counter(
            "claimline_calls_total",
            "Calls that are over, refused ones too, by how they ended.",
            ["result", "reason"],
            registry=registry,
        )
        self._call_duration = Histogram(
            "claimline_call_duration_seconds",
            "Duration of answered calls.",
            buckets=CALL_DURATION_S,
            registry=registry,
        )
        self._call_cost = Histogram(
            "claimline_call_cost_usd",
            "Cost of whole answered calls, where every price is known, by the agent's model.",
            ["model"],
            buckets=CALL_COST_USD,
            registry=registry,
        )
        self._call_live_cost = Gauge(
            "claimline_call_live_cost_usd",
            "Cost so far of a call that is going on; gone when the call is over.",
            ["call_id"],
            registry=registry,
        )
        self._cost = Counter(
            "claimline_cost_usd_total", "Cost of all priced usage.", ["model", "purpose"], registry=registry
        )
        self._unpriced = Counter(
            "claimline_unpriced_total", "Usage reports whose model has no price.", ["model"], registry=registry
        )
        self._tokens = Counter(
            "claimline_tokens_total",
            'Tokens as billed. The label sets partition the usage: a cached token counts once, under cached="true".',
            ["model", "purpose", "direction", "modality", "cached"],
            registry=registry,
        )
        self._asr_seconds = Counter(
            "claimline_asr_seconds_total", "Audio transcribed by models priced by time.", ["model"], registry=registry
        )
        self._turns = Counter(
            "claimline_turns_total",
            "Caller turns stored, by where the transcript is from.",
            ["source"],
            registry=registry,
        )
        self._response_latency = Histogram(
            "claimline_response_latency_seconds",
            "From the end of the caller's speech (hang-over included) to the first agent audio copied out to RTP.",
            buckets=RESPONSE_LATENCY_S,
            registry=registry,
        )
        self._transcription_latency = Histogram(
            "claimline_transcription_latency_seconds",
            "From the caller's item in the conversation to its transcript in the outbox.",
            buckets=TRANSCRIPTION_LATENCY_S,
            registry=registry,
        )
        self._asr_word_error_rate = Histogram(
            "claimline_asr_word_error_rate",
            "Between a turn's out-of-band transcript and the server's own transcription of it.",
            buckets=WORD_ERROR_RATE,
            registry=registry,
        )
        self._asr_differs = Counter(
            "claimline_asr_differs_total",
            "Turns whose two transcripts differ in something that a claim depends on.",
            ["kind"],
            registry=registry,
        )
        self._suspect = Counter(
            "claimline_transcripts_suspect_total",
            "Out-of-band transcripts that can hardly be one, by why.",
            ["reason"],
            registry=registry,
        )
        self._barge_in = Counter("claimline_barge_in_total", "Times a caller interrupted the agent.", registry=registry)
        self._underruns = Counter(
            "claimline_playout_underruns_total", "Times playout ran dry in the middle of speech.", registry=registry
        )
        self._uplink_dropped = Counter(
            "claimline_uplink_frames_dropped_total", "20 ms frames from callers that were dropped.", registry=registry
        )
        self._recordings = Counter(
            "claimline_recordings_total",
            "Calls that were recorded, by whether all of the call is in the file.",
            ["complete"],
            registry=registry,
        )
        self._webhook_attempts = Counter(
            "claimline_webhook_attempts_total",
            "Tries to deliver a message, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._outbox_pending = Gauge(
            "claimline_outbox_pending", "Messages of this host not delivered yet.", registry=registry
        )
        self._outbox_oldest_age = Gauge(
            "claimline_outbox_oldest_age_seconds", "Age of the oldest message not delivered yet.", registry=registry
        )
        self._outbox_dead = Gauge("claimline_outbox_dead", "Messages that were given up.", registry=registry)
        self._webhook_endpoint = Gauge(
            "claimline_webhook_endpoint_state",
            "1 for the state that the webhook endpoint is in, 0 for the others.",
            ["state"],
            registry=registry,
        )
        self.webhook_endpoint("ok")
        self._outbox_writable = Gauge(
            "claimline_outbox_writable", "1 where the outbox takes what calls write, 0 where not.", registry=registry
        )
        self._journal_held = Gauge(
            "claimline_journal_held",
            "Messages held in memory until the outbox takes them.",
            registry=registry,
        )
        self._reconnects = Counter(
            "claimline_realtime_reconnects_total",
            "Realtime sessions reopened in a call.",
            ["reason"],
            registry=registry,
        )
        self._errors = Counter(
            "claimline_realtime_errors_total", "Errors of or with the Realtime server.", ["code"], registry=registry
        )
        self._claims = Counter(
            "claimline_claims_total", "Claims at the end of their call, by state.", ["state"], registry=registry
        )
        self._claim_conflicts = Counter(
            "claimline_claim_conflicts_total",
            "Times the agent read back what no transcript of the caller holds.",
            ["field"],
            registry=registry,
        )
        self._audio_token_difference = Counter(
            "claimline_audio_token_difference_total",
            "Audio tokens reported over, or under, what the audio should have been counted as.",
            ["model", "purpose", "direction", "sign"],
            registry=registry,
        )
        self._cost_limit = Counter(
            "claimline_cost_limit_total",
            "Times that a limit of cost was nearly reached (warned), and reached.",
            ["limit", "event"],
            registry=registry,
        )
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Without a zero before it, `increase` does not see the first of a kind."""
        for limit in LIMITS:
            for event in LIMIT_EVENTS:
                self._cost_limit.labels(limit, event)
        for code in REALTIME_ERRORS:
            self._errors.labels(self._codes(code))
        for reason in RECONNECTS:
            self._reconnects.labels(self._reconnect_reasons(reason))
        for reason in NO_ROOM:
            self._calls.labels("rejected", self._reasons(reason))
        for verdict in Verdict:
            self._webhook_attempts.labels(verdict.value)
        for field in READ_BACK:
            self._claim_conflicts.labels(field)
        for complete in ("true", "false"):
            self._recordings.labels(complete)
        for state in CLAIM_STATES:
            self._claims.labels(state)
        for source in SOURCES:
            self._turns.labels(source)
        for kind in KINDS:
            self._asr_differs.labels(kind)
        for reason in SUSPICIONS:
            self._suspect.labels(reason)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition for an Accept header, and its content type; exemplars appear in OpenMetrics only."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    # -- calls -----------------------------------------------------------------------------------------------------

    def slots(self, max_calls: int) -> None:
        """How many calls the worker answers at once."""
        self._calls_max.set(max_calls)

    def call_refused(self, reason: str, result: str = "rejected") -> None:
        """A call was refused before it became one of ours."""
        self._calls.labels(result, self._reasons(reason)).inc()

    def call_taken_over(self, ending: Ended) -> None:
        """A call was closed for a worker that died; it had been counted nowhere."""
        self._calls.labels(ending.result, self._reasons(ending.reason)).inc()

    def call_answered(self, call: CallFigures) -> None:
        """A caller is connected."""
        self._live.add(call.call_id)
        self._calls_active.set(len(self._live))
        self._call_live_cost.labels(call.call_id).set(float(call.ledger.priced_usd))

    def call_ended(self, call: CallFigures) -> None:
        """A call is over, answered or not."""
        if call.call_id in self._live:
            self._live.remove(call.call_id)
            self._call_live_cost.remove(call.call_id)
            self._calls_active.set(len(self._live))
        result, reason = (call.ending.result, call.ending.reason) if call.ending else ("indeterminate", "unknown")
        self._calls.labels(result, self._reasons(reason)).inc()
        self._underruns.inc(call.underruns)
        self._uplink_dropped.inc(call.uplink_dropped)
        if call.recording_complete is not None:
            self._recordings.labels("true" if call.recording_complete else "false").inc()
        if call.answered_s is None:
            return
        self._call_duration.observe(call.duration_s)
        if call.line_quality is not None:
            self._line.observe(call.call_id, call.line_quality)
        cost_usd = call.ledger.cost_usd
        if cost_usd is not None:
            self._call_cost.labels(self._models(call.model)).observe(float(cost_usd), {"call_id": call.call_id})

    # -- money -----------------------------------------------------------------------------------------------------

    def usage(self, call_id: str, entry: Entry, call_usd: Decimal) -> None:
        """A usage was entered into a call's account, which stands at `call_usd` now."""
        model, purpose = self._models(entry.model), self._purposes(entry.purpose)
        if isinstance(entry.usage, DurationUsage):
            self._asr_seconds.labels(model).inc(float(entry.usage.seconds))
        else:
            for kind, count in entry.usage.counts():
                if count:
                    cached = "true" if kind.cached else "false"
                    self._tokens.labels(model, purpose, kind.direction, kind.modality, cached).inc(count)
        if entry.cost is None:
            self._unpriced.labels(model).inc()
        else:
            self._cost.labels(model, purpose).inc(float(entry.cost.usd))
        if call_id in self._live:
            self._call_live_cost.labels(call_id).set(float(call_usd))

    def audio_tokens(self, entry: Entry, difference: AudioTokens) -> None:
        """A usage named so many audio tokens more, or less, than it should have."""
        model, purpose = self._models(entry.model), self._purposes(entry.purpose)
        for direction, count in (("input", difference.input), ("output", difference.output)):
            if count:
                sign = "over" if count > 0 else "under"
                self._audio_token_difference.labels(model, purpose, direction, sign).inc(abs(count))

    def cost_limit(self, limit: str, event: str) -> None:
        """`limits.call_usd` or `limits.hour_usd`: warned of, or reached."""
        self._cost_limit.labels(limit, event).inc()

    # -- conversation ----------------------------------------------------------------------------------------------

    def turn_stored(self, source: str, latency_s: float) -> None:
        """A caller turn is in the outbox, `latency_s` after its item was in the conversation."""
        self._turns.labels(source).inc()
        self._transcription_latency.observe(max(0.0, latency_s))

    def claim_left(self, state: str) -> None:
        """A call is over, and left a claim in this state."""
        self._claims.labels(state).inc()

    def claim_conflict(self, field: str) -> None:
        """What the agent read back and what the transcripts say came apart on a field of a claim."""
        self._claim_conflicts.labels(field).inc()

    def second_opinion(self, word_error_rate: float, differs: Iterable[str]) -> None:
        """A turn has two transcripts, which differ in these kinds of codes."""
        self._asr_word_error_rate.observe(word_error_rate)
        for kind in differs:
            self._asr_differs.labels(kind).inc()

    def transcript_suspect(self, reason: str) -> None:
        """A turn's out-of-band transcript can hardly be one."""
        self._suspect.labels(reason).inc()

    def responded(self, call_id: str, latency_s: float) -> None:
        """The agent's first audio went out, `latency_s` after the caller's speech had ended."""
        self._response_latency.observe(max(0.0, latency_s), {"call_id": call_id})

    def barge_in(self) -> None:
        """A caller interrupted the agent."""
        self._barge_in.inc()

    def realtime_error(self, code: str) -> None:
        """The Realtime server sent an error, or broke the protocol, or was not to be reached."""
        self._errors.labels(self._codes(code)).inc()

    def realtime_reconnected(self, reason: str) -> None:
        """A call's Realtime session was reopened."""
        self._reconnects.labels(self._reconnect_reasons(reason)).inc()

    # -- delivery --------------------------------------------------------------------------------------------------

    def webhook_attempt(self, outcome: str) -> None:
        """A message was tried."""
        self._webhook_attempts.labels(outcome).inc()

    def outbox(self, pending: int, oldest_age_s: float, dead: int) -> None:
        """The state of the host's outbox."""
        self._outbox_pending.set(pending)
        self._outbox_oldest_age.set(oldest_age_s)
        self._outbox_dead.set(dead)

    def webhook_endpoint(self, state: EndpointState) -> None:
        """Whether messages are delivered; `disabled` lasts until an operator resumes."""
        for one in get_args(EndpointState):
            self._webhook_endpoint.labels(one).set(one == state)

    def journal(self, held: int, *, writable: bool) -> None:
        """So many messages wait for the disk, and whether it takes them."""
        self._journal_held.set(held)
        self._outbox_writable.set(writable)


class _Bounded:
    """Lets the first `most` values through, cut to a length; all others are ``other``."""

    def __init__(self, most: int = MAX_LABEL_VALUES) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        value = value[:MAX_LABEL_CHARS]
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(value)
        return value
