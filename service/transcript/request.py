"""The out-of-band request for one turn's transcript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from service.realtime.commands import ResponseCreate

PURPOSE = "transcription"
EVENT_ID_PREFIX = "oob_"

Context = Literal["turn", "full"] | int

EARLIER_TURNS = """
Earlier turns
- Only the last caller turn is to be written down. What stands before it has been written down already: never repeat, join or complete words of it, whoever said them.
- It serves only to tell apart words that sound alike, as a name that was spelled before.
"""  # noqa: E501 -- a prompt, line by line as the model reads it
"""Added to the instructions wherever the model is given more than the turn."""


def transcript_request(
    item_id: str,
    *,
    earlier_item_ids: Sequence[str],
    context: Context,
    instructions: str,
    max_output_tokens: int,
    attempt: int = 1,
) -> ResponseCreate:
    """`response.create` outside the conversation, text only, for the turn `item_id`.

    `earlier_item_ids` are the items before it, oldest first; `context` says how many of them the model is given
    (`full`: the whole conversation, by leaving `input` out: right only while the turn is its last). `attempt` counts
    the requests for this item, each with an event id of its own.
    """
    response: dict[str, Any] = {
        "conversation": "none",
        "output_modalities": ["text"],
        "instructions": suited(instructions, context),
        "metadata": {"purpose": PURPOSE, "item_id": item_id, "attempt": str(attempt)},
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
    event_id = EVENT_ID_PREFIX + item_id + (f"_{attempt}" if attempt > 1 else "")
    return ResponseCreate(event_id=event_id, response=response)


def suited(instructions: str, context: Context) -> str:
    """The instructions for a context: where it may hold earlier turns, they say which one is meant."""
    return instructions if context in ("turn", 1) else f"{instructions.rstrip()}\n{EARLIER_TURNS}"


def _reference(item_id: str) -> dict[str, str]:
    return {"type": "item_reference", "id": item_id}
