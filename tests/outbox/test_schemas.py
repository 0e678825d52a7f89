"""Every message that leaves validates against its published schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from service.outbox.message import encode_data
from service.outbox.sqlite import SqliteOutboxStore
from service.schemas import TYPES, schema_json

AT = "2026-11-05T09:30:00.000Z"
CLAIM: dict[str, Any] = {
    "reference": "C7K-4QX-92M",
    "state": "open",
    "fields": {
        "policy_number": {
            "value": "X007-PX75",
            "turns": [1],
            "confirmed": True,
            "unknown": False,
            "problems": [],
            "conflict": {"agent": "EG007PX75", "caller": "X007-PX75", "turns": [1]},
            "source": "transcript",
        }
    },
    "missing": ["policy_number"],
}
DATA: dict[str, dict[str, Any]] = {
    "call.started": {
        "line": "100",
        "from": "sip:+15551234@192.0.2.1",
        "to": "sip:100@192.0.2.2",
        "sip_call_id": "a84b4c76e66710",
        "started_at": AT,
        "headers": {"X-Twilio-CallSid": "CA1"},
    },
    "turn.transcribed": {
        "turn": 1,
        "item_id": "item_1",
        "transcript": "Hello.",
        "source": "out_of_band",
        "suspect": "answer",
        "asr_transcript": "Hello.",
        "asr_confidence": 0.93,
        "asr_difference": {"word_error_rate": 0.857, "differs": ["number"]},
        "spoken_at": AT,
        "duration_ms": 900,
        "model": "gpt-realtime-2.1",
        "usage": {"input_tokens": 10},
        "cost_usd": Decimal("1E-7"),
    },
    "claim.updated": {"claim": 1, "turn": 2, **CLAIM},
    "claim.submitted": {"claim": 1, "turn": 2, **CLAIM, "state": "submitted"},
    "call.ended": {
        "ended_at": AT,
        "duration_s": 12.5,
        "result": "success",
        "reason": "caller_hung_up",
        "turns": 1,
        "transcript": [
            {"speaker": "agent", "text": "Hi, how", "at": AT, "interrupted": True},
            {"speaker": "caller", "text": "Hello.", "at": AT},
        ],
        "usage": {"total": {}},
        "cost_usd": None,
        "cost": {"agent": Decimal("0.0042616"), "transcription": None},
        "cost_complete": False,
        "quality": {"codec": "PCMU"},
    },
}


def sent_body(store: SqliteOutboxStore, type_: str, data: dict[str, Any], *, gap: bool = False) -> dict[str, Any]:
    """What the outbox sends for this data."""
    store.open_call("call_1", "worker-1", 0.0, 30.0)
    if gap:
        store.append("call_1", type_, encode_data(data), 0.0, 0.0)
        store.give_up(store.claim(1, 0.0, 30.0)[0], "HTTP 422")
    store.append("call_1", type_, encode_data(data), 0.0, 0.0)
    body: dict[str, Any] = json.loads(store.claim(1, 0.0, 30.0)[0].body)
    return body


def errors(type_: str, body: dict[str, Any]) -> list[str]:
    schema = json.loads(schema_json(type_) or b"")
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(body)]


@pytest.mark.parametrize("type_", TYPES)
def test_the_schemas_are_schemas(type_: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_json(type_) or b""))


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("type_", TYPES)
def test_what_is_sent_validates(type_: str, gap: bool, store: SqliteOutboxStore) -> None:
    body = sent_body(store, type_, DATA[type_], gap=gap)
    assert errors(type_, body) == []
    assert errors(type_, body | {"data": body["data"] | {"a_name_of_next_year": 1}}) == []


@pytest.mark.parametrize(
    ("type_", "spoil"),
    [
        *((type_, lambda data, name=name: data.pop(name)) for type_, data in DATA.items() for name in data),
        ("claim.updated", lambda data: data.update(state="lost")),
        ("claim.updated", lambda data: data.update(fields={"phone": {"value": "1"}})),
        ("claim.submitted", lambda data: data.update(state="open")),
        ("call.ended", lambda data: data.update(claims=[CLAIM, {}])),
        ("turn.transcribed", lambda data: data.update(source="guessed")),
        ("turn.transcribed", lambda data: data.update(cost_usd=0.1)),
        ("turn.transcribed", lambda data: data.update(cost_usd="1E-7")),
        ("turn.transcribed", lambda data: data.update(turn=0)),
        ("call.ended", lambda data: data.update(result="failure")),
        ("call.ended", lambda data: data.update(recording=True)),
        ("call.ended", lambda data: data.update(recording_complete="yes")),
        ("call.ended", lambda data: data.update(cost={"agent": 0.1})),
        ("call.ended", lambda data: data.update(transcript=[{"speaker": "robot", "text": "", "at": AT}])),
        ("call.started", lambda data: data.update(gap=False)),
        ("call.started", lambda data: data.update(seq=0)),
    ],
)
def test_what_breaks_the_contract_does_not_validate(
    type_: str, spoil: Callable[[dict[str, Any]], Any], store: SqliteOutboxStore
) -> None:
    body = sent_body(store, type_, DATA[type_])
    spoil(body["data"])
    assert errors(type_, body) != []


def test_an_unknown_type_has_no_schema() -> None:
    assert schema_json("../config") is None
