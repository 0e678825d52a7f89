"""What is known of a call, live or ended: the source of `GET /calls/{call_id}` and of the webhooks' data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from service.billing.ledger import Ledger
from service.billing.prices import plain
from service.call.ending import INTERRUPTED, Ending
from service.call.leg import Invite, StreamStats
from service.call.lines import Lines, as_json
from service.call.quality import LineQuality, line_quality
from service.call.timeline import timed
from service.call.tools import NotedClaim
from service.claim.claim import Claim
from service.clock import Clock
from service.outbox.message import INLINE_TRANSCRIPT_BYTES, encode_data
from service.recording.wav import unfinished
from service.transcript.sidecar import TranscribedTurn

REDACTIONS_KEPT = 2048
"""More than most calls have lines. A line in which nothing is found is not kept twice."""
WATCHED_LINES = 40
"""Of a live call that is watched, its last lines: however long it is, looking at it costs the same."""


@dataclass(slots=True)
class CallRecord:
    """One call. Times are monotonic seconds; they leave as RFC 3339."""

    call_id: str
    invite: Invite
    clock: Clock
    model: str
    ledger: Ledger
    invited_s: float
    redact: Callable[[str], str]
    """Takes out of what was said what must not leave."""
    answered_s: float | None = None
    ended_s: float | None = None
    state: str = "OPENING"
    codec: str = ""
    ending: Ending | None = None
    turns: list[dict[str, Any]] = field(default_factory=list)
    lines: Lines = field(default_factory=Lines)
    noted_claim: NotedClaim = field(default_factory=dict)
    """What the agent gave with `end_call`."""
    claims: dict[int, Claim] = field(default_factory=dict)
    """By their number on this call."""
    digits: str = ""
    human_requested: bool = False
    call_back_number: str | None = None
    barge_ins: int = 0
    underruns: int = 0
    uplink_dropped: int = 0
    recording: str | None = None
    recording_complete: bool | None = None
    answer_latencies_s: list[float] = field(default_factory=list)
    stats: StreamStats | None = None

    def __post_init__(self) -> None:
        # Looking for card numbers takes a quarter of a millisecond a line, and who watches a call asks again and again.
        self.redact = lru_cache(REDACTIONS_KEPT)(self.redact)

    @property
    def duration_s(self) -> float:
        """From the answer to the end; 0 for a call that was never answered."""
        if self.answered_s is None:
            return 0.0
        return (self.ended_s if self.ended_s is not None else self.clock.monotonic()) - self.answered_s

    @property
    def line_quality(self) -> LineQuality | None:
        """How good the line was; None where nothing was measured, as before the end of the call."""
        return line_quality(self.stats) if self.stats is not None else None

    def started_data(self) -> dict[str, Any]:
        """Data of `call.started`."""
        invite = self.invite
        return {
            "line": invite.line,
            "from": invite.from_uri,
            "to": invite.to_uri,
            "sip_call_id": invite.sip_call_id,
            "started_at": self.clock.rfc3339(self.invited_s),
            "headers": invite.headers,
        }

    def turn_data(self, turn: TranscribedTurn) -> dict[str, Any]:
        """Data of `turn.transcribed`."""
        priced = turn.priced
        data: dict[str, Any] = {
            "turn": turn.turn,
            "item_id": turn.item_id,
            "transcript": self.redact(turn.transcript),
            "source": turn.source,
            "suspect": turn.suspect,
            "asr_transcript": self.redact(turn.asr_transcript) if turn.asr_transcript is not None else None,
            "asr_confidence": round(turn.asr_confidence, 3) if turn.asr_confidence is not None else None,
            "asr_difference": turn.asr_difference.as_json() if turn.asr_difference is not None else None,
            "spoken_at": self.clock.rfc3339(turn.spoken_s),
            "duration_ms": turn.duration_ms,
            "model": priced.model if priced else self.model,
            "usage": priced.usage if priced else None,
            "cost_usd": _usd(priced.cost_usd) if priced else None,
        }
        if turn.reason is not None:
            data["reason"] = turn.reason
        return data

    def ended_data(self) -> dict[str, Any]:
        """Data of `call.ended`."""
        ended = self.will_data(open_turns=0) | {
            **self._ending_data(),
            "recording": self.recording,
            "recording_complete": self.recording_complete,
            "quality": self._quality(),
            "transcript": as_json(self.lines.in_order(), self.clock.rfc3339, self.redact),
        }
        if len(encode_data(ended)) > INLINE_TRANSCRIPT_BYTES:
            ended |= {"transcript": None, "transcript_url": f"/calls/{self.call_id}"}
        return ended

    def will_data(self, open_turns: int) -> dict[str, Any]:
        """Data of `call.ended`, all but its transcript, should the worker die now, with so many turns open."""
        recording = self.recording
        return {
            "ended_at": self.clock.rfc3339(self.ended_s if self.ended_s is not None else self.clock.monotonic()),
            "duration_s": round(self.duration_s, 3),
            "result": INTERRUPTED.result,
            "reason": INTERRUPTED.reason,
            "turns": len(self.turns) + open_turns,
            **self._claims_data(),
            "human_requested": self.human_requested,
            "call_back_number": self.call_back_number,
            "recording": unfinished(recording) if recording is not None else None,
            "recording_complete": False if recording is not None else None,
            **self.ledger.as_json(),
            "quality": None,
        }

    def claim_data(self, number: int, claim: Claim, turn: int) -> dict[str, Any]:
        """Data of `claim.updated` and `claim.submitted`."""
        return {"claim": number, "turn": turn, **self.redacted(claim.as_json())}

    def redacted(self, data: Any) -> Any:
        """The same JSON with every string of it redacted."""
        match data:
            case str():
                return self.redact(data)
            case dict():
                return {name: self.redacted(value) for name, value in data.items()}
            case list():
                return [self.redacted(value) for value in data]
            case _:
                return data

    def summary(self) -> dict[str, Any]:
        """One entry of `GET /calls`."""
        return {
            "call_id": self.call_id,
            "state": self.state,
            "line": self.invite.line,
            "from": self.invite.from_uri,
            "started_at": self.clock.rfc3339(self.invited_s),
            "duration_s": round(self.duration_s, 3),
            "turns": len(self.turns),
            "cost_usd": _usd(self.ledger.cost_usd),
            **self._ending_data(),
        }

    def watched(self) -> dict[str, Any]:
        """What is shown of a live call while it grows. The same as long as nothing happens: no clock is in it."""
        lines = self.lines.in_order()
        shown = lines[-WATCHED_LINES:]
        return {
            "call_id": self.call_id,
            "state": self.state,
            "line": self.invite.line,
            "from": self.invite.from_uri,
            # To the second, since joining the two clocks wavers by microseconds.
            "started_at": self.clock.rfc3339(self.invited_s)[:19] + "Z",
            "turns": len(self.turns),
            "lines_before": len(lines) - len(shown),
            "lines": [
                {"speaker": line.speaker, "text": self.redact(line.text), "interrupted": line.interrupted}
                for line in shown
            ],
            "claims": self._claims_data()["claims"],
            "human_requested": self.human_requested,
            "cost_usd": _usd(self.ledger.cost_usd),
            "cost": {purpose: _usd(usd) for purpose, usd in self.ledger.by_purpose().items()},
            "cost_complete": self.ledger.complete,
            "quality": self._quality(),
        }

    def full(self) -> dict[str, Any]:
        """`GET /calls/{call_id}`."""
        return {
            **self.summary(),
            **self.started_data(),
            "answered_at": self.clock.rfc3339(self.answered_s) if self.answered_s is not None else None,
            "ended_at": self.clock.rfc3339(self.ended_s) if self.ended_s is not None else None,
            "model": self.model,
            "transcript": self._timed_transcript(),
            "turns": self.turns,
            **self._claims_data(),
            "human_requested": self.human_requested,
            "call_back_number": self.call_back_number,
            "recording": self.recording,
            "recording_complete": self.recording_complete,
            **self.ledger.as_json(),
            "quality": self._quality(),
        }

    def _timed_transcript(self) -> list[dict[str, Any]]:
        lines = self.lines.in_order()
        written = as_json(lines, self.clock.rfc3339, self.redact)
        if self.answered_s is None:
            return written
        times = timed(lines, self.turns, self.answered_s, self.ended_s)
        return [line | time for line, time in zip(written, times, strict=True)]

    def _claims_data(self) -> dict[str, Any]:
        """`claim`: field by field what is known of the first claim; `claims`: all of them with their evidence."""
        first = self.claims.get(1)
        return {
            "claim": self.redacted(self.noted_claim if first is None or first.empty else first.values()),
            "claims": self.redacted([one.as_json() for _, one in sorted(self.claims.items()) if not one.empty]),
        }

    def _ending_data(self) -> dict[str, Any]:
        if self.ending is None:
            return {"result": None, "reason": None}
        return {"result": self.ending.result, "reason": self.ending.reason}

    def _quality(self) -> dict[str, Any]:
        quality: dict[str, Any] = {
            "codec": self.codec,
            "interruptions": self.barge_ins,
            "playout_underruns": self.underruns,
            "uplink_frames_dropped": self.uplink_dropped,
            "response_latency_s": [round(latency, 3) for latency in self.answer_latencies_s],
            "digits": self.redact(self.digits),
        }
        if self.stats is not None:
            stats, line = self.stats, line_quality(self.stats)
            expected = stats.rx_packets + stats.rx_lost
            quality |= {
                "rx_packets": stats.rx_packets,
                "rx_loss_percent": round(100 * stats.rx_lost / expected, 3) if expected else 0.0,
                "rx_discarded": stats.rx_discarded,
                "rx_jitter_ms": round(stats.rx_jitter_ms, 2),
                "tx_packets": stats.tx_packets,
                "tx_lost": stats.tx_lost,
                "round_trip_ms": stats.round_trip_ms,
                "tx_jitter_ms": round(stats.tx_jitter_ms, 2) if stats.tx_jitter_ms is not None else None,
                "jitter_buffer_ms": stats.jitter_buffer_ms,
                "r_factor": round(line.uplink.r_factor, 1) if line.uplink is not None else None,
                "mos": round(line.uplink.mos, 2) if line.uplink is not None else None,
                "tx_mos": round(line.downlink.mos, 2) if line.downlink is not None else None,
            }
        return quality


def _usd(cost: Decimal | None) -> str | None:
    return plain(cost) if cost is not None else None
