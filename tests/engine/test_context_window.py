"""What a long conversation costs: truncation, retention, and items that a summary takes the place of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from service.engine.context_window import fitting, input_limit
from service.engine.conversation import ContentPart, FunctionCall, FunctionCallOutput, Item, Message
from service.engine.session_config import RetentionRatio, TokenLimits
from tests.engine.scripted_speech import Said
from tests.engine.talk import Talk

TURNS = 60
SAYS_TOKENS = 600
"""Of a written turn, beside 4 for the item."""
ANSWER = "I have written that down, thank you."
TURN_TOKENS = SAYS_TOKENS + 4 + 9 + 4
INSTRUCTIONS = "Be kind. " * 64
FIXED_TOKENS = 144


@dataclass(frozen=True)
class Usage:
    input_tokens: int
    cached_tokens: int


def written(text: str, role: str = "user", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}], **fields}


def said(turn: int) -> str:
    return f"{turn:04d} " + "word " * (SAYS_TOKENS * 4 // 5 - 1)


class LongCall:
    """Written turns of equal length, each answered."""

    def __init__(self, truncation: Any, model: str = "gpt-realtime") -> None:
        self.talk = Talk(script={said(turn): Said(ANSWER) for turn in range(1, TURNS + 1)}, model=model)
        self.talk.send(
            "session.update",
            session={
                "type": "realtime",
                "instructions": INSTRUCTIONS,
                "output_modalities": ["text"],
                "truncation": truncation,
            },
        )
        self.turns = 0

    def turn(self) -> Usage:
        self.turns += 1
        self.talk.send("conversation.item.create", item=written(said(self.turns), id=f"turn_{self.turns}"))
        done = self.talk.send("response.create")[-2]["response"]
        usage = done["usage"]
        return Usage(usage["input_tokens"], usage["input_token_details"]["cached_tokens"])

    def all_turns(self) -> list[Usage]:
        return [self.turn() for _ in range(TURNS)]


def without_truncation(turn: int) -> int:
    """Input of the response to a turn, counted from 1, where everything is sent."""
    return FIXED_TOKENS + turn * TURN_TOKENS - (9 + 4)


def test_auto_sends_everything_up_to_the_models_limit_and_then_loses_the_cache_every_turn() -> None:
    usages = LongCall("auto").all_turns()
    full = [usage for turn, usage in enumerate(usages, 1) if usage.input_tokens == without_truncation(turn)]
    assert len(full) == 45
    assert max(usage.input_tokens for usage in usages) <= 28_224
    assert all(usage.input_tokens > 28_224 - TURN_TOKENS for usage in usages[45:])
    # All but the newest turn is in the cache; once the oldest is left out, only the instructions are.
    assert all(usage.cached_tokens > usage.input_tokens - 2 * TURN_TOKENS for usage in full[1:])
    assert {usage.cached_tokens for usage in usages[45:]} == {FIXED_TOKENS // 64 * 64}


def test_a_retention_ratio_pays_with_one_cold_request_for_many_warm_ones() -> None:
    limits = {"post_instructions": 5000}
    tight = LongCall({"type": "retention_ratio", "retention_ratio": 1.0, "token_limits": limits}).all_turns()
    roomy = LongCall({"type": "retention_ratio", "retention_ratio": 0.6, "token_limits": limits}).all_turns()
    for usages in (tight, roomy):
        assert max(usage.input_tokens for usage in usages) <= FIXED_TOKENS + 5000
    # From the first truncation on: never warm at 1.0; at 0.6 one request in three or four is cold.
    cold = FIXED_TOKENS // 64 * 64
    assert {usage.cached_tokens for usage in tight[8:]} == {cold}
    assert min(usage.input_tokens for usage in roomy[8:]) <= FIXED_TOKENS + 3000
    assert sum(usage.cached_tokens == cold for usage in roomy[8:]) <= len(roomy[8:]) // 3
    shares = [
        sum(usage.cached_tokens for usage in usages) / sum(usage.input_tokens for usage in usages)
        for usages in (tight, roomy)
    ]
    assert shares[1] > 2 * shares[0]


def test_eighty_per_cent_of_a_limit_are_kept() -> None:
    ratio = {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}}
    usages = LongCall(ratio).all_turns()
    after = usages[13:]
    assert max(usage.input_tokens for usage in after) <= FIXED_TOKENS + 8000
    assert FIXED_TOKENS + 6400 - TURN_TOKENS < min(usage.input_tokens for usage in after) <= FIXED_TOKENS + 6400
    cold = [usage for usage in after if usage.cached_tokens == FIXED_TOKENS // 64 * 64]
    assert 0 < len(cold) <= len(after) // 2


def test_disabled_refuses_what_is_too_long_and_the_session_goes_on() -> None:
    call = LongCall("disabled")
    for _ in range(45):
        call.turn()
    call.talk.send("conversation.item.create", item=written(said(46), id="too_much"))
    [refused] = call.talk.send("response.create", event_id="mine")
    assert refused["error"]["code"] == "context_length_exceeded"
    assert refused["error"]["event_id"] == "mine"
    for number in range(1, 4):
        call.talk.send("conversation.item.delete", item_id=f"turn_{number}")
    assert call.talk.send("response.create")[-2]["response"]["status"] == "completed"


def test_a_summary_in_place_of_old_items_makes_requests_short_and_then_warm_again() -> None:
    call = LongCall("auto")
    before = [call.turn() for _ in range(40)]
    items = [event["item"]["id"] for event in call.talk.named("conversation.item.done")]
    [added, _] = call.talk.send(
        "conversation.item.create", item=written("Notes. " * 40, "system", id="notes"), previous_item_id="root"
    )
    assert added["previous_item_id"] is None
    for item_id in items[: 2 * 36]:
        assert call.talk.send("conversation.item.delete", item_id=item_id)[0]["type"] == "conversation.item.deleted"
    after = [call.turn() for _ in range(20)]
    assert before[-1].input_tokens == without_truncation(40)
    notes_tokens = 70 + 4
    assert after[0].input_tokens == notes_tokens + without_truncation(5)
    assert after[0].cached_tokens == FIXED_TOKENS // 64 * 64
    assert after[-1].input_tokens == notes_tokens + without_truncation(24)
    assert all(usage.cached_tokens > usage.input_tokens - 2 * TURN_TOKENS for usage in after[1:])
    # The summary was put in and not said: nobody answered it.
    assert not [event for event in call.talk.dialogue.happened if "Notes" in event]


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-realtime", 28_224),
        ("gpt-realtime-2025-08-28", 28_224),
        ("gpt-realtime-mini-2025-12-15", 28_224),
        ("gpt-realtime-1.5", 28_224),
        ("gpt-realtime-2", 96_000),
        ("gpt-realtime-2.1-mini", 96_000),
        ("of-tomorrow", 96_000),
    ],
)
def test_the_limit_is_the_models(model: str, tokens: int) -> None:
    assert input_limit(model) == tokens


def user(number: int, tokens: int) -> Message:
    return Message(f"user_{number}", "user", [ContentPart("input_text", text="word" * (tokens - 4))])


def test_instructions_and_tools_take_room_from_the_items() -> None:
    items = [user(1, 50), user(2, 50)]
    assert fitting(items, limit_tokens=100, fixed_tokens=0, truncation="auto") == items
    assert fitting(items, limit_tokens=100, fixed_tokens=1, truncation="auto") == items[1:]


def test_the_last_item_stays_however_long_it_is() -> None:
    items = [user(1, 50), user(2, 500)]
    assert fitting(items, limit_tokens=100, fixed_tokens=20, truncation="auto") == items[1:]


def test_the_output_of_a_function_goes_with_its_call() -> None:
    items: list[Item] = [FunctionCall("c", "call_1", "f", "{}"), FunctionCallOutput("o", "call_1", "x"), user(1, 50)]
    assert fitting(items, limit_tokens=60, fixed_tokens=0, truncation="auto") == items[2:]
    assert fitting(items, limit_tokens=62, fixed_tokens=0, truncation="auto") == items


def test_a_limit_of_tokens_counts_behind_the_instructions() -> None:
    items = [user(number, 50) for number in range(10)]
    ratio = RetentionRatio(type="retention_ratio", retention_ratio=0.8, token_limits=TokenLimits(post_instructions=500))
    assert fitting(items, limit_tokens=28_224, fixed_tokens=5_000, truncation=ratio) == items
    assert fitting([*items, user(10, 50)], limit_tokens=28_224, fixed_tokens=5_000, truncation=ratio) == [
        *items[3:],
        user(10, 50),
    ]
