"""How many audio tokens a report ought to name, by the provider's accounting rule.

Audio of the caller is 1 token per 100 ms, of the agent 1 per 50 ms, in whole tokens for each item. A response is given
the audio of every caller turn in its context, and of the last assistant message only: older ones are carried as text.
Sources: the provider's guide "Managing costs", and recorded sessions, which keep the rule to the token.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.billing.usage import TokenUsage

CALLER_MS_PER_TOKEN = 100
AGENT_MS_PER_TOKEN = 50


@dataclass(frozen=True, slots=True)
class AudioTokens:
    """Audio tokens of one request, cached ones included."""

    input: int = 0
    output: int = 0

    def __add__(self, other: AudioTokens) -> AudioTokens:
        return AudioTokens(self.input + other.input, self.output + other.output)

    def __sub__(self, other: AudioTokens) -> AudioTokens:
        return AudioTokens(self.input - other.input, self.output - other.output)


def given(caller_ms: Iterable[int], last_agent_ms: int = 0) -> int:
    """Input tokens: the caller turns in context, and the last assistant message (its audio that was not cut off)."""
    return sum(ms // CALLER_MS_PER_TOKEN for ms in caller_ms) + last_agent_ms // AGENT_MS_PER_TOKEN


def spoken(agent_ms: int) -> int:
    """Output tokens of so much audio."""
    return agent_ms // AGENT_MS_PER_TOKEN


def reported(usage: TokenUsage) -> AudioTokens:
    """What a report names."""
    return AudioTokens(usage.audio_in + usage.audio_cached, usage.audio_out)
