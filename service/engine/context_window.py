"""Which items of a conversation a request carries: the oldest are left out where it would grow too long.

Limits as the service documents them: a model of 32k tokens takes 28,224 of input; one of 128k that answers with up to
32k is taken to leave 96,000.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from service.engine.conversation import FunctionCall, FunctionCallOutput, Item
from service.engine.refusal import Refusal
from service.engine.session_config import RetentionRatio
from service.engine.usage import item_segments

SMALL_MODEL_INPUT_TOKENS = 28_224
LARGE_MODEL_INPUT_TOKENS = 96_000
_SMALL_MODEL = re.compile(
    r"gpt-(?:realtime|realtime-1\.5|realtime-mini|4o-realtime-preview|4o-mini-realtime-preview)(?:-\d{4}-\d{2}-\d{2})?"
)

Truncation = Literal["auto", "disabled"] | RetentionRatio


def input_limit(model: str) -> int:
    """Tokens of input that a model takes, instructions and tools included."""
    return SMALL_MODEL_INPUT_TOKENS if _SMALL_MODEL.fullmatch(model) else LARGE_MODEL_INPUT_TOKENS


def fitting(items: Sequence[Item], *, limit_tokens: int, fixed_tokens: int, truncation: Truncation) -> Sequence[Item]:
    """The newest items that fit beside `fixed_tokens` of instructions and tools; the last one stays in any case.

    Above the limit `auto` keeps what fits, and a retention ratio that share of what is allowed. The output of a
    function goes with its call. Raises Refusal where nothing may be left out.
    """
    allowed = limit_tokens - fixed_tokens
    retained = float(allowed)
    if isinstance(truncation, RetentionRatio):
        limits = truncation.token_limits
        if limits is not None and limits.post_instructions is not None:
            allowed = min(allowed, limits.post_instructions)
        retained = allowed * truncation.retention_ratio
    sizes = [sum(segment.tokens for segment in segments) for segments in item_segments(items)]
    left = sum(sizes)
    if left <= allowed:
        return items
    if truncation == "disabled":
        message = (
            f"The conversation of {left + fixed_tokens} tokens is longer than the {limit_tokens} tokens of input that "
            "the model takes, and session.truncation is disabled."
        )
        raise Refusal("context_length_exceeded", message)
    first = 0
    while left > retained and first < len(items) - 1:
        left -= sizes[first]
        first += 1
    return _with_their_calls(items[first:], left_out=items[:first])


def _with_their_calls(items: Sequence[Item], *, left_out: Sequence[Item]) -> Sequence[Item]:
    gone = {item.call_id for item in left_out if isinstance(item, FunctionCall)}
    return [item for item in items if not (isinstance(item, FunctionCallOutput) and item.call_id in gone)]
