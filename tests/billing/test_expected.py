"""The audio tokens that a report ought to name, against the printed session of the provider's cookbook."""

from __future__ import annotations

import pytest

from service.billing.expected import AudioTokens, given, reported, spoken
from service.billing.usage import TokenUsage

CALLER_TOKENS = (16, 57, 59, 32, 60, 20)
"""Of each caller turn, as the transcription model counted them."""
AGENT_TOKENS = (219, 218, 245, 150, 113)
"""Of each agent message."""
MAIN_INPUT_TOKENS = (16, 292, 350, 409, 374, 357)
"""Audio tokens that the agent's responses reported."""


@pytest.mark.parametrize("turn", range(6))
def test_the_rule_gives_the_printed_counts(turn: int) -> None:
    caller_ms = [tokens * 100 + 99 for tokens in CALLER_TOKENS[: turn + 1]]
    last_agent_ms = AGENT_TOKENS[turn - 1] * 50 + 49 if turn else 0
    assert given(caller_ms, last_agent_ms) == MAIN_INPUT_TOKENS[turn]


def test_a_recorded_turn_of_2796_ms_is_27_tokens() -> None:
    assert given([2796]) == 27
    assert given([2796, 2796], 42 * 50) == 96


def test_speech_is_a_token_for_fifty_milliseconds() -> None:
    assert spoken(2149) == 42


def test_a_report_counts_cached_audio_too() -> None:
    usage = TokenUsage(text_in=43, audio_in=32, audio_cached=64, audio_out=43)
    assert reported(usage) - AudioTokens(90, 45) == AudioTokens(6, -2)
