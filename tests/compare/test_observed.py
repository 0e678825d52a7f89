"""What events mean for a turn, also when servers answer late, early, or without saying to what."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from service.billing.meter import Meter
from service.billing.prices import PriceTable
from service.compare.methods import BUILT_IN, Method
from service.compare.observed import TIMEOUT, Observed
from service.realtime import wire
from service.realtime.client import Received

TURN, FULL = Method("turn"), Method("full")
USAGE = {"total_tokens": 110, "input_tokens": 100, "output_tokens": 10}


def see(observed: Observed, now_s: float, kind: str, **fields: Any) -> None:
    raw = json.dumps({"type": kind, **fields})
    observed.observe(Received(wire.decode(raw), raw), now_s)


def with_item() -> Observed:
    observed = Observed(Meter(PriceTable.load(), "gpt-realtime-2.1", "gpt-4o-transcribe"))
    item = {"id": "i", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    see(observed, 10.0, "conversation.item.added", item=item)
    return observed


def done(method: Method, text: str, response_id: str = "r") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {
        "id": response_id,
        "status": "completed",
        "metadata": {"item_id": "i", "context": method.label},
        "output": [{"id": "o", "type": "message", "content": content}],
        "usage": USAGE,
    }


def test_latency_counts_from_the_request_or_for_the_built_in_from_the_item() -> None:
    observed = with_item()
    named = "conversation.item.input_audio_transcription.completed"
    see(observed, 10.5, named, item_id="i", transcript=" hello ", usage={"type": "tokens", **USAGE})
    observed.ask("i", TURN, "e", 11.0)
    see(observed, 11.25, "response.done", response=done(TURN, "Hello."))
    assert observed.outcome("i", BUILT_IN).latency_s == 0.5
    assert observed.outcome("i", BUILT_IN).text == "hello"
    assert observed.outcome("i", TURN).latency_s == 0.25
    assert observed.outcome("i", TURN).cost_usd == Decimal("0.00064")


def test_a_late_result_is_paid_for_and_not_read_and_taken_for_no_other() -> None:
    observed = with_item()
    observed.ask("i", TURN, "e1", 10.0)
    see(observed, 10.1, "response.created", response={"id": "r1", "metadata": {"item_id": "i", "context": "turn"}})
    assert observed.give_up("i", TURN) == "r1"
    observed.ask("i", FULL, "e2", 20.0)
    see(observed, 20.1, "response.done", response=done(TURN, "late", "r1"))
    assert not observed.settled("i", FULL)
    outcome = observed.outcome("i", TURN)
    assert (outcome.text, outcome.problem, outcome.cost_usd) == ("", TIMEOUT, Decimal("0.00064"))


def test_an_error_that_names_no_event_belongs_to_the_step_that_is_open() -> None:
    observed = with_item()
    observed.ask("i", TURN, "e1", 10.0)
    see(observed, 10.1, "error", error={"code": "unsupported"})
    assert observed.outcome("i", TURN).problem == "unsupported"
    assert observed.refusal("e1") == "unsupported"


def test_an_error_about_another_event_is_not_the_turns() -> None:
    observed = with_item()
    observed.ask("i", TURN, "e1", 10.0)
    see(observed, 10.1, "error", error={"code": "response_cancel_not_active", "event_id": "cancel_r0"})
    assert not observed.settled("i", TURN)


def test_a_transcription_that_comes_before_its_item_is_kept() -> None:
    observed = Observed(Meter(PriceTable.load(), "gpt-realtime-2.1", "gpt-realtime-whisper"))
    named = "conversation.item.input_audio_transcription.completed"
    see(observed, 9.9, named, item_id="i", transcript="early", usage={"type": "duration", "seconds": 3})
    item = {"id": "i", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    see(observed, 10.0, "conversation.item.added", item=item)
    outcome = observed.outcome("i", BUILT_IN)
    assert (outcome.text, outcome.latency_s, outcome.cost_usd) == ("early", 0.0, Decimal("0.00085"))


def test_an_incomplete_transcript_is_shown_with_its_reason() -> None:
    observed = with_item()
    observed.ask("i", TURN, "e", 10.0)
    cut = done(TURN, "half a") | {"status": "incomplete", "status_details": {"reason": "max_output_tokens"}}
    see(observed, 11.0, "response.done", response=cut)
    outcome = observed.outcome("i", TURN)
    assert (outcome.text, outcome.problem) == ("half a", "max_output_tokens")


def test_the_agents_response_is_not_taken_for_a_transcript() -> None:
    observed = with_item()
    observed.begin("agent_1")
    see(observed, 10.0, "response.created", response={"id": "a"})
    assert not observed.agent_done("agent_1")
    see(observed, 11.0, "response.done", response={"id": "a", "status": "completed", "usage": USAGE})
    assert observed.agent_done("agent_1")
    assert not observed.settled("i", TURN)
