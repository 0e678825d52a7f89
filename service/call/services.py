"""What every call of a worker shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from service.billing.limits import Budget
from service.billing.prices import PriceTable
from service.billing.unpriced import Unpriced
from service.call.journal import Backlog
from service.call.registry import Registry
from service.call.sessions import OpenSession, Target
from service.clock import Clock
from service.config import Claim, Realtime, Transcription
from service.outbox.outbox import Outbox
from service.realtime.client import open_session
from service.telemetry.metrics import Metrics
from service.transcript.redaction import Redaction


@dataclass(frozen=True, slots=True)
class CallServices:
    """What every call of the worker shares."""

    realtime: Realtime
    target: Target
    transcription: Transcription
    transcription_instructions: str
    claim: Claim
    claim_instructions: str
    redaction: Redaction
    worker_id: str
    retry_after_s: int
    max_call_s: float
    echo_tail_ms: int
    prices: PriceTable
    outbox: Outbox
    metrics: Metrics
    registry: Registry
    clock: Clock
    budget: Budget = field(default_factory=Budget)
    unpriced: Unpriced = field(default_factory=Unpriced)
    backlog: Backlog = field(default_factory=Backlog)
    summarize_above_tokens: int | None = None
    open_session: OpenSession = open_session
    recordings: Path | None = None
    """Directory; None: calls are not recorded."""
