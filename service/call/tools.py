"""The tools the model is given. Their results are the service's, never the model's."""

from __future__ import annotations

from typing import Any

import msgspec

from service.realtime.commands import ItemCreate

Claim = dict[str, str | bool | None]

END_CALL = "end_call"
REQUEST_HUMAN = "request_human"

_TEXT = {"type": ["string", "null"]}
_YES_NO = {"type": ["boolean", "null"]}

CLAIM_FIELDS: dict[str, Any] = {
    "policyholder": {**_TEXT, "description": "full legal name of the policyholder"},
    "policy_number": {**_TEXT, "description": "in the form XXXX-XXXX"},
    "kind": {"type": ["string", "null"], "enum": ["auto", "home", "other", None]},
    "phone": {**_TEXT, "description": "preferred number for follow-up"},
    "incident_at": {**_TEXT, "description": "date and time of the incident, as the caller said it"},
    "injuries": _YES_NO,
    "drivable": {**_YES_NO, "description": "auto only"},
    "safe_to_occupy": {**_YES_NO, "description": "home only"},
    "report_filed": _YES_NO,
    "report_number": _TEXT,
    "witnesses": _YES_NO,
    "account": {**_TEXT, "description": "what happened, in the caller's words"},
}
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


def call_back_of(arguments: dict[str, Any]) -> str | None:
    """The number out of untrusted arguments, at most 40 characters."""
    number = arguments.get("call_back_number")
    return str(number)[:40] if number else None


def parse_arguments(text: str | None) -> dict[str, Any]:
    """The arguments of a tool call; empty where the model wrote no JSON object."""
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def claim_of(arguments: dict[str, Any]) -> Claim:
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
