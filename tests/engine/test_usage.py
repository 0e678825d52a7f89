"""Token accounting: the sums of recorded calls, the cache, and that the parts always add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.conversation import ContentPart, FunctionCall, Item, Message
from service.engine.usage import Cached, PromptCache, ResponseUsage, Segment, prompt, text_tokens, transcription_usage
from tests.engine.scripted_speech import Said
from tests.engine.talk import Talk


def caller(number: int, audio_ms: int) -> Message:
    return Message(f"user_{number}", "user", [ContentPart("input_audio", audio_ms=audio_ms)])


def agent(number: int, audio_ms: int, transcript: str = "words") -> Message:
    return Message(
        f"agent_{number}", "assistant", [ContentPart("output_audio", transcript=transcript, audio_ms=audio_ms)]
    )


def audio_tokens(items: list[Item]) -> int:
    return sum(segment.tokens for segment in prompt("", "", items) if segment.modality == "audio")


def test_input_audio_is_all_of_the_callers_and_the_last_of_the_agents() -> None:
    # Lengths of a recorded call, which reported 27, 96 and 124 tokens of input audio.
    first = [caller(1, 2796)]
    second = [*first, agent(1, 2100), caller(2, 2796)]
    third = [*second, agent(2, 2150), caller(3, 2796)]
    assert [audio_tokens([*items]) for items in (first, second, third)] == [27, 27 + 42 + 27, 27 + 27 + 43 + 27]


def test_older_answers_count_as_their_words() -> None:
    said = "twelve bytes"
    alone = [agent(1, 2000, said)]
    followed = [*alone, agent(2, 1000, "")]
    text = [sum(s.tokens for s in prompt("", "", [*items]) if s.modality == "text") for items in (alone, followed)]
    assert text[1] - text[0] == text_tokens(said) + 4


def test_the_cache_serves_whole_blocks_of_the_common_prefix() -> None:
    cache = PromptCache()
    base = (Segment("i", "text", 100), Segment("a", "audio", 50))
    assert cache.ask("main", base) == Cached(0, 0)
    # 150 tokens in common: two blocks of 64, the text first.
    assert cache.ask("main", (*base, Segment("b", "audio", 40))) == Cached(100, 28)
    assert cache.ask("other instructions", base) == Cached(0, 0)
    assert cache.ask("main", (Segment("i2", "text", 100), *base)) == Cached(0, 0)


segments = st.lists(
    st.builds(Segment, st.sampled_from("abc"), st.sampled_from(["text", "audio"]), st.integers(0, 500)), max_size=8
).map(tuple)


@given(
    st.lists(st.tuples(st.sampled_from(["main", "x"]), segments), min_size=1, max_size=6),
    st.integers(0, 999),
    st.integers(0, 999),
)
def test_the_parts_always_add_up(requests: list[tuple[str, Any]], text: int, audio: int) -> None:
    cache = PromptCache()
    for kind, request in requests:
        check(ResponseUsage(request, cache.ask(kind, request), text, audio).wire())


def check(usage: dict[str, Any]) -> None:
    given, cached = usage["input_token_details"], usage["input_token_details"]["cached_tokens_details"]
    output = usage["output_token_details"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens"] == given["text_tokens"] + given["audio_tokens"] + given["image_tokens"]
    assert usage["output_tokens"] == output["text_tokens"] + output["audio_tokens"]
    assert given["cached_tokens"] == sum(cached.values())
    assert given["cached_tokens"] % 64 == 0
    assert all(cached[kind] <= given[kind] for kind in cached)


def test_a_call_is_counted_turn_by_turn_and_shares_its_prefix() -> None:
    talk = Talk({2000: "one"}, {"one": Said("Alpha beta gamma delta epsilon.")})
    talk.send("session.update", session={"type": "realtime", "instructions": "Be kind. " * 40})
    for _ in range(3):
        talk.turn(2000)
    usages = [event["response"]["usage"] for event in talk.named("response.done")]
    for usage in usages:
        check(usage)
        assert usage["output_token_details"]["audio_tokens"] == 20
    assert [usage["input_token_details"]["audio_tokens"] for usage in usages] == [12, 12 + 14 + 20, 12 + 14 + 14 + 20]
    assert [usage["input_token_details"]["cached_tokens"] > 0 for usage in usages] == [False, True, True]


def test_a_cancelled_response_is_counted_for_what_it_said() -> None:
    talk = Talk({2000: "one"}, {"one": Said("Alpha beta gamma delta.")}, speaks=False)
    talk.turn(2000)
    talk.speak(talk.last("response.created")["response"]["id"], words=2)
    usage = talk.send("response.cancel")[-2]["response"]["usage"]
    check(usage)
    assert usage["output_token_details"]["audio_tokens"] == 8
    assert usage["input_token_details"]["audio_tokens"] == 12


def test_requests_share_the_rows_that_their_texts_begin_with() -> None:
    def asked(*rows: str) -> Cached:
        text = "\n".join(rows)
        return cache.ask("claim", prompt("", "", [Message("any", "user", [ContentPart("input_text", text=text)])]))

    cache = PromptCache()
    rows = [f"caller {number}: " + "word " * 20 for number in range(4)]
    assert asked(*rows, "{}") == Cached(0, 0)
    # Four rows of 111 bytes and a token for every four of them, and 4 for the item: 115 tokens.
    assert asked(*rows, "agent: one more", "{}") == Cached(64, 0)
    assert asked("other", *rows) == Cached(0, 0)


def test_a_function_call_is_text() -> None:
    call = FunctionCall("item_1", "call_1", "end_call", '{"reason": "done"}')
    [_, segment] = prompt("", "", [call])
    assert (segment.modality, segment.tokens) == ("text", 4 + 2 + 5)


@pytest.mark.parametrize(("audio_ms", "seconds"), [(2796, 3), (3000, 3), (1, 1)])
def test_transcription_by_time_counts_begun_seconds(audio_ms: int, seconds: int) -> None:
    assert transcription_usage("gpt-transcribe", audio_ms, "x") == {"type": "duration", "seconds": seconds}
