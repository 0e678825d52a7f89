"""The tools the model is given. Their results are the service's, never the model's."""

from __future__ import annotations

from typing import Any

from service.claim.fields import FIELDS
from service.realtime.commands import ItemCreate
from service.realtime.wire import as_dict

NotedClaim = dict[str, str | bool | None]

END_CALL = "end_call"
REQUEST_HUMAN = "request_human"
SUBMIT_CLAIM = "submit_claim"
PAUSE_CLAIM = "pause_claim"
RESUME_CLAIM = "resume_claim"
ABOUT_CLAIM = frozenset({SUBMIT_CLAIM, PAUSE_CLAIM, RESUME_CLAIM})

_TEXT = {"type": ["string", "null"]}
CLAIM_FIELDS: dict[str, Any] = {field.name: field.value_schema() for field in FIELDS}
"""What the agent notes; null for what the caller did not know or was not asked."""

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": END_CALL,
        "description": "End the telephone call. Call it once, after the goodbye has been said. "
        "Give what the caller confirmed; leave unknown fields null.",
        "parameters": {
            "type": "object",
            "properties": {
                "reason": {"type": "string", "enum": ["completed", "caller_request", "no_input"]},
                "claim": {"type": "object", "properties": CLAIM_FIELDS},
            },
            "required": ["reason"],
        },
    },
    {
        "type": "function",
        "name": REQUEST_HUMAN,
        "description": "The caller asks for a person. It notes that somebody has to call back; it does not transfer "
        "the call. Tell the caller so, and go on if they wish.",
        "parameters": {
            "type": "object",
            "properties": {
                "call_back_number": {**_TEXT, "description": "where to call back, if the caller named a number"},
                "reason": {**_TEXT, "description": "why, in a few words"},
            },
        },
    },
]


_WHICH = {"type": ["integer", "null"], "description": "1 for the first incident of this call, 2 for the second"}

CLAIM_TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": SUBMIT_CLAIM,
        "description": "Submit the claim, once the caller has agreed to the summary. The output gives its reference, "
        "or says what has to be asked or confirmed before.",
        "parameters": {"type": "object", "properties": {"claim": _WHICH}},
    },
    {
        "type": "function",
        "name": PAUSE_CLAIM,
        "description": "The caller has to go before the claim is complete: keep it, so that another call can go on "
        "with it. The output gives the reference that the caller needs for that.",
        "parameters": {"type": "object", "properties": {"claim": _WHICH}},
    },
    {
        "type": "function",
        "name": RESUME_CLAIM,
        "description": "The caller wants to go on with a claim of an earlier call. Ask for its reference and the "
        "policyholder's full name first. The output gives what was noted.",
        "parameters": {
            "type": "object",
            "properties": {
                "reference": {"type": "string", "description": "nine letters and digits, as the caller said them"},
                "policyholder": {"type": "string", "description": "full name, as the caller said it"},
            },
            "required": ["reference", "policyholder"],
        },
    },
]
"""For a service that keeps claims: see `claim.extract`."""


def call_back_of(arguments: dict[str, Any]) -> str | None:
    """The number out of untrusted arguments, at most 40 characters."""
    number = arguments.get("call_back_number")
    return str(number)[:40] if number else None


def parse_arguments(text: str | None) -> dict[str, Any]:
    """The arguments of a tool call; empty where the model wrote no JSON object."""
    return as_dict(text or "{}")


def claim_of(arguments: dict[str, Any]) -> NotedClaim:
    """The claim's known fields out of untrusted arguments: booleans, nulls, and strings of at most 500 characters."""
    claim = arguments.get("claim")
    if not isinstance(claim, dict):
        return {}
    return {
        name: value if value is None or isinstance(value, bool) else str(value)[:500]
        for name, value in claim.items()
        if name in CLAIM_FIELDS
    }


def tool_output(call_id: str, output: str) -> ItemCreate:
    """The result of a tool call, for the model."""
    return ItemCreate(item={"type": "function_call_output", "call_id": call_id, "output": output})
