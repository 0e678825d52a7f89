"""The out-of-band request that fills the claim from the transcripts: text in, one forced tool call out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.claim.fields import FIELDS, Field
from service.realtime.commands import ResponseCreate
from service.realtime.events import Response

PURPOSE = "claim"
EVENT_ID_PREFIX = "claim_"
NOTE_CLAIM = "note_claim"
MAX_CLAIMS = 5
"""On one call."""
MAX_TALK_CHARS = 8000
"""Of the lines in one request: about 2,000 tokens, more than most calls have. The claim stands for what is left out."""
KEPT_TALK_CHARS = 5000
"""Left when lines are dropped: many at a time, so that the requests between share their beginning with the server's
cache."""
MAX_LINE_CHARS = 2000
MAX_OUTPUT_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the talk. `turn` is the number of the caller's turn; None for the agent and for pressed keys."""

    speaker: Literal["agent", "caller"]
    text: str
    turn: int | None = None


def _field_schema(field: Field) -> dict[str, Any]:
    return {
        "type": "object",
        "description": field.description,
        "properties": {
            "value": field.value_schema(),
            "turns": {"type": "array", "items": {"type": "integer"}},
            "confirmed": {"type": "boolean"},
            "unknown": {"type": "boolean"},
        },
        "required": ["value", "turns", "confirmed", "unknown"],
    }


NOTE_CLAIM_TOOL: dict[str, Any] = {
    "type": "function",
    "name": NOTE_CLAIM,
    "description": "Note what the caller turns add to the claim or change in it.",
    "parameters": {
        "type": "object",
        "properties": {
            "claims": {
                "type": "array",
                "maxItems": MAX_CLAIMS,
                "items": {
                    "type": "object",
                    "properties": {
                        "fields": {
                            "type": "object",
                            "properties": {field.name: _field_schema(field) for field in FIELDS},
                        }
                    },
                    "required": ["fields"],
                },
            }
        },
        "required": ["claims"],
    },
}
"""Arguments: {"claims": [{"fields": {"policy_number": {"value": "X007-PX75", "turns": [3], "confirmed": true,
"unknown": false}}}]}."""


def claim_request(
    number: int, *, instructions: str, talk: Sequence[Said], claims: Sequence[Mapping[str, Any]], today: str
) -> ResponseCreate:
    """`response.create` outside the conversation, the `number`th of the call.

    Its input is one user message of two texts: the lines (`lines_of`), then a JSON object
    `{"today": "YYYY-MM-DD", "claims": [{"fields": {name: {value, turns, confirmed, unknown}}}]}`. What changes from
    request to request stands last, so that the server's cache serves the rest.
    """
    standing = json.dumps({"today": today, "claims": list(claims)}, ensure_ascii=False)
    content = [{"type": "input_text", "text": text} for text in (lines_of(talk), standing)]
    return ResponseCreate(
        event_id=f"{EVENT_ID_PREFIX}{number}",
        response={
            "conversation": "none",
            "output_modalities": ["text"],
            "instructions": instructions,
            "metadata": {"purpose": PURPOSE, "number": str(number)},
            "input": [{"type": "message", "role": "user", "content": content}],
            "tools": [NOTE_CLAIM_TOOL],
            "tool_choice": {"type": "function", "name": NOTE_CLAIM},
            "max_output_tokens": MAX_OUTPUT_TOKENS,
        },
    )


def lines_of(talk: Sequence[Said]) -> str:
    """One line of text for each line of the talk, oldest first: `agent: ...`, `caller 3: ...`, `caller keys: ...`.

    White space is folded, so that nobody's words can begin a line. Beyond `MAX_TALK_CHARS` the oldest are left out.
    """
    lines = [_line(one) for one in talk]
    first, chars = 0, 0
    for position, line in enumerate(lines):
        chars += len(line) + 1
        if chars > MAX_TALK_CHARS:
            while chars > KEPT_TALK_CHARS and first < position:
                chars -= len(lines[first]) + 1
                first += 1
    return "\n".join(lines[first:])


def is_claim(response: Response) -> bool:
    """Whether the response was asked for by `claim_request`."""
    return response.purpose == PURPOSE


def noted(response: Response) -> str | None:
    """The arguments of `note_claim` in a response that was completed; None where there are none."""
    if response.status != "completed":
        return None
    return next(
        (one.arguments for one in response.output if one.type == "function_call" and one.name == NOTE_CLAIM), None
    )


def _line(said: Said) -> str:
    who = said.speaker if said.speaker == "agent" else f"caller {said.turn if said.turn is not None else 'keys'}"
    return f"{who}: {' '.join(said.text.split())[:MAX_LINE_CHARS]}"
