"""The out-of-band request for one turn's transcript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from service.realtime.commands import ResponseCreate

PURPOSE = "transcription"
EVENT_ID_PREFIX = "oob_"

Context = Literal["turn", "full"] | int


def transcript_request(
    item_id: str,
    *,
    earlier_item_ids: Sequence[str],
    context: Context,
    instructions: str,
    max_output_tokens: int,
) -> ResponseCreate:
    """`response.create` outside the conversation, text only, for the turn `item_id`.

    `earlier_item_ids` are the caller turns before it, oldest first; `context` says how many of them the model is given
    (`full`: the whole conversation, by leaving `input` out).
    """
    response: dict[str, Any] = {
        "conversation": "none",
        "output_modalities": ["text"],
        "instructions": instructions,
        "metadata": {"purpose": PURPOSE, "item_id": item_id},
        "max_output_tokens": max_output_tokens,
        "tools": [],
        "tool_choice": "none",
    }
    match context:
        case "full":
            pass
        case "turn":
            response["input"] = [_reference(item_id)]
        case count:
            before = earlier_item_ids[-(count - 1) :] if count > 1 else ()
            response["input"] = [_reference(one) for one in (*before, item_id)]
    return ResponseCreate(event_id=EVENT_ID_PREFIX + item_id, response=response)


def _reference(item_id: str) -> dict[str, str]:
    return {"type": "item_reference", "id": item_id}
