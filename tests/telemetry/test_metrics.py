"""The metrics of the contract: their names, their labels, and that no stranger can make them grow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import get_args

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from service.billing.expected import AudioTokens
from service.billing.ledger import Entry, Ledger
from service.billing.prices import PriceTable
from service.billing.usage import DurationUsage, TokenUsage
from service.call.quality import LineQuality, Way
from service.outbox.message import EndpointState
from service.telemetry.metrics import Metrics

CONTRACT = {
    "claimline_calls_active": ("gauge", []),
    "claimline_calls": ("counter", ["result", "reason"]),
    "claimline_call_duration_seconds": ("histogram", []),
    "claimline_call_cost_usd": ("histogram", ["model"]),
    "claimline_call_live_cost_usd": ("gauge", ["call_id"]),
    "claimline_cost_usd": ("counter", ["model", "purpose"]),
    "claimline_unpriced": ("counter", ["model"]),
    "claimline_tokens": ("counter", ["model", "purpose", "direction", "modality", "cached"]),
    "claimline_asr_seconds": ("counter", ["model"]),
    "claimline_audio_token_difference": ("counter", ["model", "purpose", "direction", "sign"]),
    "claimline_cost_limit": ("counter", ["limit", "event"]),
    "claimline_turns": ("counter", ["source"]),
    "claimline_response_latency_seconds": ("histogram", []),
    "claimline_transcription_latency_seconds": ("histogram", []),
    "claimline_asr_word_error_rate": ("histogram", []),
    "claimline_asr_differs": ("counter", ["kind"]),
    "claimline_transcripts_suspect": ("counter", ["reason"]),
    "claimline_barge_in": ("counter", []),
    "claimline_playout_underruns": ("counter", []),
    "claimline_uplink_frames_dropped": ("counter", []),
    "claimline_recordings": ("counter", ["complete"]),
    "claimline_webhook_attempts": ("counter", ["outcome"]),
    "claimline_outbox_pending": ("gauge", []),
    "claimline_outbox_oldest_age_seconds": ("gauge", []),
    "claimline_outbox_dead": ("gauge", []),
    "claimline_webhook_endpoint_state": ("gauge", ["state"]),
    "claimline_outbox_writable": ("gauge", []),
    "claimline_journal_held": ("gauge", []),
    "claimline_realtime_reconnects": ("counter", ["reason"]),
    "claimline_realtime_errors": ("counter", ["code"]),
    "claimline_call_mos": ("histogram", ["direction"]),
    "claimline_call_loss_ratio": ("histogram", ["direction"]),
    "claimline_call_jitter_seconds": ("histogram", ["direction"]),
    "claimline_call_round_trip_seconds": ("histogram", []),
    "claimline_ready": ("gauge", []),
    "claimline_event_loop_lag_seconds": ("histogram", []),
    "claimline_media_deadline_misses": ("counter", []),
    "claimline_sip_slots": ("gauge", ["state"]),
    "claimline_claims": ("counter", ["state"]),
    "claimline_claim_conflicts": ("counter", ["field"]),
}
MODEL = "gpt-realtime-2.1"
USAGE = TokenUsage(text_in=43, audio_in=32, audio_cached=64, text_out=18, audio_out=43)

LINE = LineQuality(Way(0.01, 0.002, 88.4, 4.3), Way(0.0, 0.001, 91.0, 4.35), 0.05)


@dataclass
class Ending:
    result: str = "success"
    reason: str = "caller_hung_up"


@dataclass
class Call:
    call_id: str
    ledger: Ledger
    model: str = MODEL
    ending: Ending | None = None
    answered_s: float | None = 10.0
    duration_s: float = 42.0
    underruns: int = 2
    uplink_dropped: int = 3
    recording_complete: bool | None = True
    line_quality: LineQuality | None = LINE


def call(call_id: str = "call_1") -> Call:
    return Call(call_id, Ledger(PriceTable.load()), ending=Ending())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def exercise(metrics: Metrics, call_id: str = "call_1") -> Call:
    """One call with everything in it."""
    one = call(call_id)
    metrics.slots(3)
    metrics.call_answered(one)
    metrics.usage(call_id, one.ledger.add("agent", MODEL, USAGE), one.ledger.priced_usd)
    metrics.usage(call_id, one.ledger.add("asr", "gpt-transcribe", DurationUsage(Decimal(3))), one.ledger.priced_usd)
    metrics.audio_tokens(Entry("agent", MODEL, USAGE, None), AudioTokens(2, -3))
    metrics.cost_limit("call", "warned")
    metrics.responded(call_id, 0.42)
    metrics.turn_stored("out_of_band", 0.7)
    metrics.barge_in()
    metrics.realtime_error("session_expired")
    metrics.claim_left("submitted")
    metrics.claim_conflict("policy_number")
    metrics.realtime_reconnected("closed")
    metrics.webhook_attempt("delivered")
    metrics.outbox(4, 1.5, 1)
    metrics.worker.ready(True)
    metrics.worker.loop_lag(0.001)
    metrics.worker.deadlines_missed(1)
    metrics.worker.sip_slots(1, 4)
    return one


def test_every_metric_of_the_contract_with_its_kind_and_labels() -> None:
    metrics = Metrics()
    one = exercise(metrics)
    metrics.usage("call_1", one.ledger.add("agent", "house-model", USAGE), one.ledger.priced_usd)
    metrics.call_ended(call("call_2"))
    families = {family.name: family for family in prometheus(metrics.render("")[0].decode())}
    for name, (kind, labels) in CONTRACT.items():
        family = families[name]
        assert family.type == kind, name
        assert family.documentation.endswith((".", '".')), name
        samples = [s for s in family.samples if not s.name.endswith("_created")]
        assert samples, name
        for sample in samples:
            assert sorted(set(sample.labels) - {"le"}) == sorted(labels), name
    ours = {name for name in families if name.startswith("claimline_") and not name.endswith("_created")}
    assert ours - set(CONTRACT) == {"claimline_calls_max"}
    assert "process_resident_memory_bytes" in families


def test_token_labels_partition_the_usage() -> None:
    metrics = Metrics()
    exercise(metrics)
    counted = {
        (s.labels["direction"], s.labels["modality"], s.labels["cached"]): s.value
        for family in metrics.registry.collect()
        for s in family.samples
        if s.name == "claimline_tokens_total"
    }
    assert counted == {
        ("input", "text", "false"): 43,
        ("input", "audio", "false"): 32,
        ("input", "audio", "true"): 64,
        ("output", "text", "false"): 18,
        ("output", "audio", "false"): 43,
    }
    assert sum(counted.values()) == USAGE.input_tokens + USAGE.output_tokens


def test_money_reaches_counters_live_gauge_and_histogram() -> None:
    metrics = Metrics()
    one = exercise(metrics)
    total = float(one.ledger.priced_usd)
    agent_usd = 0.0044056  # 43·4 + 32·32 + 64·0.40 + 18·24 + 43·64 per million
    assert value(metrics, "claimline_cost_usd_total", model=MODEL, purpose="agent") == pytest.approx(agent_usd)
    assert value(metrics, "claimline_asr_seconds_total", model="gpt-transcribe") == 3
    assert value(metrics, "claimline_call_live_cost_usd", call_id="call_1") == pytest.approx(total)
    metrics.call_ended(one)
    assert value(metrics, "claimline_call_cost_usd_sum", model=MODEL) == pytest.approx(total, abs=1e-12)
    assert value(metrics, "claimline_call_cost_usd_count", model=MODEL) == 1


def test_the_live_gauge_goes_with_the_call_and_does_not_come_back() -> None:
    metrics = Metrics()
    one = exercise(metrics)
    assert value(metrics, "claimline_calls_active") == 1
    metrics.call_ended(one)
    metrics.usage("call_1", one.ledger.add("agent", MODEL, USAGE), one.ledger.priced_usd)
    assert value(metrics, "claimline_call_live_cost_usd", call_id="call_1") is None
    assert value(metrics, "claimline_calls_active") == 0
    metrics.call_ended(one)
    assert value(metrics, "claimline_calls_active") == 0


def test_an_unpriced_usage_is_counted_and_adds_no_cost() -> None:
    metrics = Metrics()
    one = call()
    metrics.call_answered(one)
    metrics.usage("call_1", one.ledger.add("agent", "house-model", USAGE), one.ledger.priced_usd)
    metrics.call_ended(one)
    assert value(metrics, "claimline_unpriced_total", model="house-model") == 1
    assert value(metrics, "claimline_cost_usd_total", model="house-model", purpose="agent") is None
    assert value(metrics, "claimline_call_cost_usd_count", model=MODEL) is None


def test_calls_that_were_never_answered_count_without_duration_or_cost() -> None:
    metrics = Metrics()
    one = call()
    one.answered_s = None
    one.ending = Ending("client_error", "cancelled")
    metrics.call_ended(one)
    metrics.call_refused("capacity")
    assert value(metrics, "claimline_calls_total", result="client_error", reason="cancelled") == 1
    assert value(metrics, "claimline_calls_total", result="rejected", reason="capacity") == 1
    assert value(metrics, "claimline_call_duration_seconds_count") == 0


def test_what_went_wrong_with_audio_is_summed() -> None:
    metrics = Metrics()
    metrics.call_ended(exercise(metrics))
    assert value(metrics, "claimline_playout_underruns_total") == 2
    assert value(metrics, "claimline_uplink_frames_dropped_total") == 3


def test_the_quality_of_a_line_is_told_each_way() -> None:
    metrics = Metrics()
    metrics.call_ended(exercise(metrics))
    assert value(metrics, "claimline_call_mos_bucket", direction="uplink", le="4.34") == 1
    assert value(metrics, "claimline_call_mos_bucket", direction="downlink", le="4.34") == 0
    assert value(metrics, "claimline_call_loss_ratio_sum", direction="uplink") == 0.01
    assert value(metrics, "claimline_call_round_trip_seconds_count") == 1
    deaf = call("call_2")
    deaf.line_quality = LineQuality(None, None, None)
    metrics.call_ended(deaf)
    assert value(metrics, "claimline_call_mos_count", direction="uplink") == 1
    assert value(metrics, "claimline_call_round_trip_seconds_count") == 1


def test_the_endpoint_is_in_one_state() -> None:
    metrics = Metrics()
    for state in get_args(EndpointState):
        metrics.webhook_endpoint(state)
        shown = {one: value(metrics, "claimline_webhook_endpoint_state", state=one) for one in get_args(EndpointState)}
        assert shown == {"ok": 0, "failing": 0, "disabled": 0} | {state: 1}


def test_exemplars_lead_to_the_call_in_openmetrics_only() -> None:
    metrics = Metrics()
    metrics.call_ended(exercise(metrics, "call_" + "f" * 32))
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    with_exemplar = {
        sample.name: sample.exemplar.labels
        for family in openmetrics(body.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }
    assert with_exemplar == {
        "claimline_call_cost_usd_bucket": {"call_id": "call_" + "f" * 32},
        "claimline_call_jitter_seconds_bucket": {"call_id": "call_" + "f" * 32},
        "claimline_call_loss_ratio_bucket": {"call_id": "call_" + "f" * 32},
        "claimline_call_mos_bucket": {"call_id": "call_" + "f" * 32},
        "claimline_call_round_trip_seconds_bucket": {"call_id": "call_" + "f" * 32},
        "claimline_response_latency_seconds_bucket": {"call_id": "call_" + "f" * 32},
    }
    plain, content_type = metrics.render("text/plain")
    assert content_type.startswith("text/plain")
    assert b"call_ff" not in plain


def test_rendering_does_not_hold_up_the_audio() -> None:
    metrics = Metrics()
    for n in range(3):
        exercise(metrics, f"call_{n}")
    best_s = 1.0
    for _ in range(5):
        begin = time.perf_counter()
        metrics.render("application/openmetrics-text; version=1.0.0")
        best_s = min(best_s, time.perf_counter() - begin)
    # Measured 1.5 ms. It runs on the loop that carries audio, whose ring holds 40 ms.
    assert best_s < 0.015
