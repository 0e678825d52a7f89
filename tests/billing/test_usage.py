"""Usage reports are split so that every token is billed once, whatever the server sends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.usage import MAX_TOKENS, DurationUsage, TokenUsage, from_response, from_transcription


def report(text: int, audio: int, cached: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {"text_tokens": text, "audio_tokens": audio}
    if cached is not None:
        details["cached_tokens"] = sum(cached.values())
        details["cached_tokens_details"] = {f"{name}_tokens": count for name, count in cached.items()}
    return {"input_tokens": text + audio, "input_token_details": details, **more}


def test_a_cached_token_is_a_part_of_the_input() -> None:
    usage = from_response(
        {
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
    )
    assert usage == TokenUsage(text_in=43, audio_in=32, audio_cached=64, text_out=18, audio_out=43)


def test_image_tokens_count() -> None:
    usage = from_response(
        {
            "input_tokens": 100,
            "input_token_details": {
                "text_tokens": 20,
                "audio_tokens": 30,
                "image_tokens": 50,
                "cached_tokens": 10,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 10},
            },
        }
    )
    assert (usage.image_in, usage.image_cached) == (40, 10)
    assert not usage.inconsistent


def test_a_cached_total_without_details_is_text_first() -> None:
    usage = from_response(
        {
            "input_tokens": 150,
            "input_token_details": {"text_tokens": 100, "audio_tokens": 50, "cached_tokens": 128},
        }
    )
    assert usage == TokenUsage(text_in=0, text_cached=100, audio_in=22, audio_cached=28)


def test_a_report_without_usage_is_zero_and_sound() -> None:
    assert from_response(None) == TokenUsage()
    assert from_transcription(None) == TokenUsage()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({"input_tokens": 10}, TokenUsage(text_in=10, inconsistent=True), id="no details"),
        pytest.param(
            report(5, 5, {"audio": 9}),
            TokenUsage(text_in=5, audio_cached=5, inconsistent=True),
            id="cached over its kind",
        ),
        pytest.param(
            {"input_tokens": 4, "input_token_details": {"text_tokens": 4, "cached_tokens": 9}},
            TokenUsage(text_cached=4, inconsistent=True),
            id="cached over all",
        ),
        pytest.param(report(-7, 3), TokenUsage(audio_in=3, inconsistent=True), id="negative"),
        pytest.param(report(2, 2, input_tokens=9), TokenUsage(7, 0, 2, inconsistent=True), id="total above details"),
        pytest.param(report(2, 2, input_tokens=1), TokenUsage(2, 0, 2, inconsistent=True), id="total below details"),
        pytest.param(report(2, 2, total_tokens=9), TokenUsage(2, 0, 2, inconsistent=True), id="wrong sum"),
        pytest.param({"input_tokens": "12"}, TokenUsage(inconsistent=True), id="string"),
        pytest.param({"input_tokens": True}, TokenUsage(inconsistent=True), id="bool"),
        pytest.param({"input_token_details": [1]}, TokenUsage(inconsistent=True), id="list for details"),
        pytest.param("usage", TokenUsage(inconsistent=True), id="string for usage"),
    ],
)
def test_contradictions_are_flagged_and_read_as_well_as_can_be(usage: Any, expected: TokenUsage) -> None:
    assert from_response(usage) == expected


def test_absurd_counts_are_clamped() -> None:
    usage = from_response({"input_token_details": {"text_tokens": 10**400}})
    assert usage == TokenUsage(text_in=MAX_TOKENS, inconsistent=True)


def test_transcription_by_tokens_and_by_time() -> None:
    tokens = {
        "type": "tokens",
        "total_tokens": 19,
        "input_tokens": 16,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 16},
        "output_tokens": 3,
    }
    assert from_transcription(tokens) == TokenUsage(audio_in=16, text_out=3)
    assert from_transcription({"type": "duration", "seconds": 3}) == DurationUsage(Decimal(3))
    assert from_transcription({"type": "duration", "seconds": 0.1}) == DurationUsage(Decimal("0.1"))
    without_details = {"type": "tokens", "input_tokens": 16, "output_tokens": 3, "total_tokens": 19}
    assert from_transcription(without_details) == TokenUsage(audio_in=16, text_out=3, inconsistent=True)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "3", None, True, 10**400])
def test_absurd_durations_are_flagged(seconds: Any) -> None:
    usage = from_transcription({"type": "duration", "seconds": seconds})
    assert isinstance(usage, DurationUsage)
    assert usage.inconsistent
    assert usage.seconds.is_finite()
    assert usage.seconds >= 0


counts = st.integers(0, 100_000)


@given(text=counts, audio=counts, image=counts, share=st.tuples(*[st.floats(0, 1)] * 3), out=st.tuples(counts, counts))
def test_the_partition_sums_to_the_totals(
    text: int, audio: int, image: int, share: tuple[float, float, float], out: tuple[int, int]
) -> None:
    given_tokens = {"text_tokens": text, "audio_tokens": audio, "image_tokens": image}
    cached = {name: int(count * part) for (name, count), part in zip(given_tokens.items(), share, strict=True)}
    usage = from_response(
        {
            "total_tokens": text + audio + image + sum(out),
            "input_tokens": text + audio + image,
            "output_tokens": sum(out),
            "input_token_details": {
                **given_tokens,
                "cached_tokens": sum(cached.values()),
                "cached_tokens_details": cached,
            },
            "output_token_details": {"text_tokens": out[0], "audio_tokens": out[1]},
        }
    )
    assert not usage.inconsistent
    assert usage.input_tokens == text + audio + image
    assert usage.output_tokens == sum(out)
    assert usage.text_cached + usage.audio_cached + usage.image_cached == sum(cached.values())
    assert sum(count for _, count in usage.counts()) == usage.input_tokens + usage.output_tokens


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
details = st.dictionaries(
    st.sampled_from(["text_tokens", "audio_tokens", "image_tokens", "cached_tokens", "cached_tokens_details"]),
    json_values | st.dictionaries(st.sampled_from(["text_tokens", "audio_tokens"]), json_values),
)
totals = ["total_tokens", "input_tokens", "output_tokens"]
reports = st.dictionaries(
    st.sampled_from(["type", "seconds", *totals, "input_token_details", "output_token_details"]),
    json_values | details | st.just("duration"),
)


@given(reports | json_values)
def test_nothing_a_server_sends_raises_or_becomes_negative(usage: Any) -> None:
    for read in (from_response(usage), from_transcription(usage)):
        if isinstance(read, TokenUsage):
            assert all(0 <= count <= 4 * MAX_TOKENS for _, count in read.counts())
        else:
            assert read.seconds >= 0
