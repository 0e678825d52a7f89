"""What a body is made of."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import LocalProtocolError
from service.outbox.message import encode_body, encode_data


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_travel_as_plain_strings_without_loss(cost: Decimal) -> None:
    text = json.loads(encode_data({"cost_usd": cost}))["cost_usd"]
    assert Decimal(text) == cost
    assert "E" not in text


@given(st.text())
def test_words_arrive_as_they_were_said(words: str) -> None:
    body = encode_body("turn.transcribed", 0.0, "call_1", 1, encode_data({"transcript": words}), gap=False)
    assert json.loads(body)["data"]["transcript"] == words


def test_half_a_surrogate_pair_does_not_stop_a_turn() -> None:
    assert json.loads(encode_data({"transcript": "a\ud800b"}))["transcript"] == "a?b"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), object(), b"x"])
def test_what_json_cannot_carry_is_our_bug_and_loud(value: object) -> None:
    with pytest.raises(LocalProtocolError):
        encode_data({"x": value})


def test_a_gap_is_said_only_where_there_is_one() -> None:
    assert json.loads(encode_body("t", 0.0, "c", 2, b"{}", gap=True)) == {
        "type": "t",
        "timestamp": "1970-01-01T00:00:00.000Z",
        "data": {"call_id": "c", "seq": 2, "gap": True},
    }
