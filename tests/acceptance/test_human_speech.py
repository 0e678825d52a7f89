"""People speak on real calls: their words are delivered once and in order, and priced to the last digit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from standardwebhooks import Webhook

from tests.acceptance.busy_minute import BusyMinute, SpokenCall
from tests.acceptance.product import SECRET, schema_of
from tests.speech_material import characters, digits, word_error_rate, word_errors

pytestmark = [pytest.mark.alone, pytest.mark.real, pytest.mark.speech]

MAX_WORD_ERROR_RATE = 0.06


def logged_events(call: SpokenCall) -> list[dict[str, Any]]:
    """What the Realtime server sent in the call."""
    lines = map(json.loads, call.event_log.read_text().splitlines())
    return [line["event"] for line in lines if line["dir"] == "recv"]


def committed_turns(call: SpokenCall) -> list[str]:
    """Items of caller audio, as the engine put them into the conversation."""
    added = [event["item"] for event in logged_events(call) if event["type"] == "conversation.item.added"]
    return [item["id"] for item in added if item["role"] == "user"]


def test_word_error_rate_of_human_prompts(minute: BusyMinute, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [
        (utterance.text, turn.data["transcript"])
        for call in minute.calls
        for utterance, turn in zip(call.said, call.turns, strict=True)
        if not utterance.spelled
    ]
    rate = word_error_rate(pairs)
    worst = sorted(pairs, key=lambda pair: -word_errors(*pair)[0])[:4]
    with capsys.disabled():
        sys.stdout.write(f"\n{len(pairs)} prompts, WER {100 * rate:.2f} %; the worst:\n")
        sys.stdout.writelines(f"  {said!r} heard as {heard!r}\n" for said, heard in worst)
    assert len(pairs) >= 20
    assert rate <= MAX_WORD_ERROR_RATE


def test_policy_numbers_are_exact(minute: BusyMinute) -> None:
    heard = {
        utterance.text: turn.data["transcript"]
        for call in minute.calls
        for utterance, turn in zip(call.said, call.turns, strict=True)
        if utterance.spelled
    }
    assert len(heard) == 6
    assert {number: digits(text) for number, text in heard.items()} == {number: digits(number) for number in heard}
    # Letters too; N and M, or F and S, may pass for each other on a telephone, as they do between people.
    whole = [number for number, text in heard.items() if characters(text) == number.replace("-", "")]
    assert len(whole) >= 5, heard


def test_caller_engine_and_receiver_count_the_same_turns_in_the_same_order(minute: BusyMinute) -> None:
    for call in minute.calls:
        items = committed_turns(call)
        assert len(call.said) == len(items) == len(call.turns)
        assert [turn.data["item_id"] for turn in call.turns] == items
        assert [turn.data["turn"] for turn in call.turns] == list(range(1, len(items) + 1))
        assert {turn.data["source"] for turn in call.turns} == {"out_of_band"}
        assert [message.data["seq"] for message in call.delivered] == list(range(1, len(call.delivered) + 1))
        assert (call.delivered[0].type, call.delivered[-1].type) == ("call.started", "call.ended")
        assert call.delivered[-1].data["turns"] == len(items)


def test_both_codecs_were_spoken(minute: BusyMinute) -> None:
    assert Counter(call.delivered[-1].data["quality"]["codec"] for call in minute.calls) == {"PCMU": 2, "PCMA": 1}


def test_every_body_verifies_and_matches_its_schema(minute: BusyMinute) -> None:
    independent = Webhook(SECRET)
    assert minute.arrivals
    for arrival in minute.arrivals:
        message = independent.verify(arrival.body, arrival.headers)
        jsonschema.validate(message, schema_of(message["type"]))
    assert len({arrival.webhook_id for arrival in minute.arrivals}) == len(minute.arrivals), "each came once"


def test_the_cost_is_what_the_price_command_makes_of_the_event_log(minute: BusyMinute) -> None:
    for call in minute.calls:
        ended = call.delivered[-1].data
        command = [sys.executable, "-m", "service", "price", str(call.event_log), "--json"]
        priced = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout)
        assert ended["cost_complete"] is priced["cost_complete"] is True
        assert (ended["cost_usd"], ended["cost"]) == (priced["cost_usd"], priced["cost"])
        assert Decimal(ended["cost_usd"]) > 0
        assert set(ended["cost"]) == {"agent", "transcription", "claim"}
        assert tokens_of(ended["usage"]) == tokens_of(priced["usage"])
        turns = sum(Decimal(turn.data["cost_usd"]) for turn in call.turns)
        assert turns == Decimal(ended["cost"]["transcription"])


def tokens_of(usage: dict[str, Any]) -> dict[str, dict[str, int]]:
    """In all and by purpose."""
    accounts = {"total": usage["total"], **usage["by_purpose"]}
    return {name: account["tokens"] | {"seconds": account["seconds"]} for name, account in accounts.items()}


def test_tokens_of_the_calls_are_those_of_the_metrics(minute: BusyMinute) -> None:
    spent = [message["data"]["usage"]["total"] for message in map(json.loads, bodies_of_ended(minute))]
    assert sum(sum(total["tokens"].values()) for total in spent) == minute.tokens


def bodies_of_ended(minute: BusyMinute) -> list[bytes]:
    return [arrival.body for arrival in minute.arrivals if b'"call.ended"' in arrival.body]
