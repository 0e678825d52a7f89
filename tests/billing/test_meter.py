"""A call's events lead to its account: by purpose, exact, honest about what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.billing.ledger import MAX_PURPOSES, Ledger
from service.billing.meter import Meter
from service.billing.prices import PriceTable
from service.billing.usage import DurationUsage, TokenUsage

PRICES = PriceTable.load()
USAGE = {
    "total_tokens": 200,
    "input_tokens": 139,
    "output_tokens": 61,
    "input_token_details": {
        "text_tokens": 43,
        "audio_tokens": 96,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 64, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 18, "audio_tokens": 43},
}


def session(model: str | None = "gpt-realtime", asr_model: str | None = None) -> dict[str, Any]:
    transcription = {"model": asr_model} if asr_model else None
    return {
        "type": "session.updated",
        "session": {"type": "realtime", "model": model, "audio": {"input": {"transcription": transcription}}},
    }


def done(response_id: str, usage: object = USAGE, purpose: str | None = None, status: str = "completed") -> Any:
    metadata = {"purpose": purpose} if purpose else None
    response = {"id": response_id, "status": status, "metadata": metadata, "usage": usage}
    return {"type": "response.done", "response": response}


def transcribed(item_id: str, usage: object) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item_id, "content_index": 0, "transcript": "Hello.", "usage": usage}


def observed(*events: Mapping[str, Any], model: str | None = None) -> Ledger:
    meter = Meter(PRICES, model)
    for event in events:
        meter.observe(event)
    meter.finish()
    return meter.ledger


def test_agent_transcription_and_asr_have_their_own_accounts() -> None:
    ledger = observed(
        session(asr_model="gpt-transcribe"),
        done("resp_1"),
        done("resp_2", purpose="transcription"),
        transcribed("item_1", {"type": "duration", "seconds": 3}),
    )
    assert ledger.by_purpose() == {
        "agent": Decimal("0.0042616"),
        "transcription": Decimal("0.0042616"),
        "asr": Decimal("0.000225"),
    }
    assert ledger.as_json()["cost_usd"] == "0.0087482"
    assert ledger.as_json()["cost"]["asr"] == "0.000225"
    assert ledger.complete
    total = ledger.usage()["total"]
    assert total["reports"] == 3
    assert total["tokens"]["audio_cached"] == 128
    assert total["seconds"] == 3


def test_an_entry_says_what_one_response_cost() -> None:
    meter = Meter(PRICES, "gpt-realtime")
    entry = meter.observe(done("resp_1", purpose="transcription"))
    assert entry is not None
    assert (entry.purpose, entry.model) == ("transcription", "gpt-realtime")
    assert isinstance(entry.usage, TokenUsage)
    assert entry.cost is not None
    assert entry.cost.usd == Decimal("0.0042616")
    assert meter.observe({"type": "rate_limits.updated"}) is None


def test_a_cancelled_response_is_billed_like_any_other() -> None:
    assert observed(session(), done("resp_1", status="cancelled")).cost_usd == Decimal("0.0042616")


def test_a_response_without_usage_leaves_the_cost_open() -> None:
    ledger = observed(session(), done("resp_1"), done("resp_2", usage=None, status="failed"))
    assert ledger.cost_usd == Decimal("0.0042616")
    assert not ledger.complete
    assert ledger.as_json()["cost_complete"] is False


def test_a_response_that_never_ended_leaves_the_cost_open() -> None:
    created = {"type": "response.created", "response": {"id": "resp_1"}}
    assert observed(session(), created, done("resp_1")).complete
    ledger = observed(session(), created)
    assert not ledger.complete
    assert "resp_1" in ledger.incomplete_reasons[0]


def test_an_unknown_price_makes_the_sum_unknown_and_never_zero() -> None:
    ledger = observed(session("gpt-realtime-99"), done("resp_1"))
    assert ledger.cost_usd is None
    assert ledger.as_json()["cost_usd"] is None
    assert ledger.as_json()["cost"] == {"agent": None}
    assert not ledger.complete
    mixed = observed(session(asr_model="house-asr"), done("resp_1"), transcribed("item_1", {"seconds": 1}))
    assert mixed.cost_usd is None
    assert mixed.priced_usd == Decimal("0.0042616")
    assert mixed.by_purpose() == {"agent": Decimal("0.0042616"), "asr": None}


def test_inconsistent_usage_is_said() -> None:
    ledger = observed(session(), done("resp_1", usage={"input_tokens": 5}))
    assert ledger.cost_usd == Decimal("0.00002")
    assert not ledger.complete


def test_the_session_names_the_model_and_null_leaves_it() -> None:
    meter = Meter(PRICES, "gpt-realtime-2.1")
    meter.observe(session(None))
    assert meter.model == "gpt-realtime-2.1"
    meter.observe(session("gpt-realtime-mini"))
    assert meter.model == "gpt-realtime-mini"


def test_a_repeated_event_is_billed_once() -> None:
    asr = transcribed("item_1", {"type": "duration", "seconds": 3})
    ledger = observed(session(asr_model="whisper-1"), done("resp_1"), done("resp_1"), asr, asr)
    assert ledger.usage()["total"]["reports"] == 2


def test_purposes_are_bounded_and_fit_for_a_terminal() -> None:
    ledger = observed(*(done(f"resp_{n}", purpose=f"p{n}\x1b[2J") for n in range(40)), model="gpt-realtime")
    purposes = ledger.by_purpose()
    assert len(purposes) <= MAX_PURPOSES + 1
    assert "other" in purposes
    assert all(purpose.isprintable() for purpose in purposes)
    assert ledger.usage()["total"]["reports"] == 40


def test_amounts_stay_exact_over_a_long_call() -> None:
    ledger = Ledger(PRICES)
    for _ in range(1000):
        ledger.add("agent", "gpt-realtime-mini", TokenUsage(text_cached=1))
        ledger.add("asr", "gpt-realtime-whisper", DurationUsage(Decimal("0.1")))
    assert ledger.as_json()["cost"] == {"agent": "0.00006", "asr": "0.028333333"}
    assert ledger.as_json()["cost_usd"] == "0.028393333"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["session.created", "response.created", "response.done"])
    | st.just("conversation.item.input_audio_transcription.completed")
    | json_values,
    st.dictionaries(st.sampled_from(["session", "response", "usage", "item_id"]), json_values),
    st.dictionaries(st.sampled_from(["id", "usage", "metadata", "model", "audio"]), json_values),
)
def test_no_event_raises(kind: object, top: dict[str, Any], inner: dict[str, Any]) -> None:
    meter = Meter(PRICES)
    meter.observe({**top, "type": kind})
    meter.observe({"type": kind, "session": inner, "response": inner, **inner})
    meter.finish()
    assert isinstance(meter.ledger.as_json()["cost_complete"], bool)
