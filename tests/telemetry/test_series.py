"""What there is to scrape does not grow with the calls, whoever calls and whatever the far ends say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.call import ending
from service.call.actions import Answered, BargeIn, Failure
from service.call.leg import Ended, Invite, StreamStats
from service.call.report import CallReport
from service.outbox.outbox import Outbox
from service.realtime import wire
from service.realtime.client import Received, SessionError
from service.realtime.events import Malformed, Unknown
from service.telemetry.metrics import MAX_LABEL_CHARS, MAX_LABEL_VALUES, Metrics
from service.transcript.difference import Difference
from service.transcript.sidecar import TranscribedTurn
from tests.call.test_runner import USAGE, MemorySession, World, opens

SATURATED = MAX_LABEL_VALUES + 10
"""Calls after which every label has seen more values than it keeps."""
TURN = TranscribedTurn(
    turn=1,
    item_id="item",
    transcript="As an AI I cannot.",
    source="out_of_band",
    reason=None,
    asr_transcript="No.",
    asr_confidence=None,
    spoken_s=0.0,
    duration_ms=900,
    latency_s=0.5,
    priced=None,
    suspect="refusal",
    asr_difference=Difference(0.5, ("number",)),
)


def received(kind: str, **fields: Any) -> Received:
    raw = json.dumps({"type": kind, "event_id": "e", **fields})
    return Received(wire.decode(raw), raw)


class Strangers:
    """Calls of which everything that comes from outside is new each time."""

    def __init__(self, outbox: Outbox) -> None:
        world = World(outbox, opens(MemorySession()))
        self.metrics: Metrics = world.metrics
        self._services = world.services

    def begin(self, n: int) -> CallReport:
        long = f"{n}-" * 100
        invite = Invite(f"sip-{long}", f"sip:+49{n}@h", f"sip:{n}@h", str(n), f"10.0.0.{n % 250}", "udp", {"X-A": long})
        call = CallReport(f"call_{n}", invite, self._services)
        call.invited()
        call.session_opened([received("session.created", session={"model": f"model-{n}"})])
        call.answered(float(n))
        response = {"id": f"r{n}", "status": "completed", "usage": USAGE, "metadata": {"purpose": f"purpose-{long}"}}
        call.account(received("response.done", response=response))
        usage = {"type": "duration", "seconds": 3}
        name = "conversation.item.input_audio_transcription.completed"
        call.account(received(name, item_id=f"i{n}", transcript=long, usage=usage))
        call.strange_event(Unknown(f"type.{long}"))
        call.strange_event(Malformed(f"type.{long}", "no JSON"))
        call.session_failed("session_lost", SessionError(f"reason-{long}", "gone"))
        call.session_changed("session_replaced", f"reason-{long}")
        call.happened(Failure(f"code-{long}", "no"))
        call.happened(Answered(0.4))
        call.happened(BargeIn(f"item_{n}", 100))
        call.digit(str(n % 10))
        call.turn(replace(TURN, item_id=f"item_{n}"))
        return call

    def end(self, call: CallReport, n: int) -> None:
        record = call.record
        record.stats = StreamStats(rx_packets=100, tx_packets=100, tx_jitter_ms=1.0, round_trip_ms=20.0)
        record.recording_complete = bool(n % 2)
        ends = (
            ending.by_session(f"reason-{n}"),
            ending.by_agent(f"reason-{n}"),
            ending.by_leg(Ended(300 + n % 400, f"reason-{n}", "caller"), answered=True, greeting_heard=False),
        )
        call.ended(ends[n % len(ends)])
        self.metrics.call_refused(ending.sip_reason(300 + n, f"reason-{n}"), "client_error")

    def live(self, first: int, count: int) -> None:
        for n in range(first, first + count):
            self.end(self.begin(n), n)

    @property
    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        return {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in self.metrics.registry.collect()
            for sample in family.samples
        }


@pytest.fixture
async def strangers(tmp_path: Path) -> AsyncIterator[Strangers]:
    async with await Outbox.open(tmp_path / "outbox.db") as outbox:
        yield Strangers(outbox)


async def test_after_a_while_calls_add_nothing_to_scrape(strangers: Strangers) -> None:
    strangers.live(0, SATURATED)
    before = strangers.series
    strangers.live(SATURATED, 150)
    assert strangers.series - before == set()
    assert len(before) < 3000


async def test_a_live_call_adds_its_cost_and_takes_it_along(strangers: Strangers) -> None:
    strangers.live(0, SATURATED)
    before = strangers.series
    live = [strangers.begin(n) for n in (1000, 1001)]
    assert strangers.series - before == {
        ("claimline_call_live_cost_usd", (("call_id", f"call_{n}"),)) for n in (1000, 1001)
    }
    for call, n in zip(live, (1000, 1001), strict=True):
        strangers.end(call, n)
    assert strangers.series == before


async def test_what_strangers_say_is_counted_though_not_by_name(strangers: Strangers) -> None:
    strangers.live(0, 200)
    value = strangers.metrics.registry.get_sample_value
    assert value("claimline_realtime_errors_total", {"code": "malformed_event"}) == 200
    labels = [dict(pairs) for name, pairs in strangers.series if name == "claimline_realtime_errors_total"]
    assert sum(value("claimline_realtime_errors_total", one) or 0 for one in labels) == 4 * 200
    assert all(len(text) <= MAX_LABEL_CHARS for _, pairs in strangers.series for _, text in pairs)
