"""A webhook message as one line for a person. Pure."""

from __future__ import annotations

from typing import Any

from service.outbox.inbox import Received

TEXT_CHARACTERS_MAX = 300


def line_of(message: Received) -> str:
    """Who said what, or how the call stands; no control characters, whatever the message holds."""
    data = message.data
    match message.type:
        case "call.started":
            text = f"call from {data.get('from')} to {data.get('line')}"
        case "turn.transcribed" if data.get("source") == "none":
            text = f"caller: (no transcript: {data.get('reason')})"
        case "turn.transcribed":
            text = f'caller: "{data.get("transcript")}"{_price(data)}'
        case "claim.updated" | "claim.submitted":
            text = f"claim {data.get('claim')} is {data.get('state')}{_open_fields(data)}"
        case "call.ended":
            text = f"{data.get('result')} ({data.get('reason')}), {data.get('turns')} turns{_price(data)}"
        case _:
            text = ""
    gap = "  (messages before this one were given up)" if message.gap else ""
    clock = message.timestamp[11:19]
    return _printable(f"{clock}  {message.call_id}  #{message.seq:<3} {message.type:<16} {text}") + gap


def _open_fields(data: dict[str, Any]) -> str:
    fields, missing = data.get("fields"), data.get("missing")
    open_ = ", ".join(map(str, missing)) if isinstance(missing, list) else ""
    known = fields.items() if isinstance(fields, dict) else ()
    conflicts = ", ".join(name for name, state in known if isinstance(state, dict) and state.get("conflict"))
    return (f"; open: {open_}" if open_ else "") + (f"; in conflict: {conflicts}" if conflicts else "")


def _price(data: dict[str, Any]) -> str:
    cost = data.get("cost_usd")
    return f"  ${cost}" if cost is not None else ""


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= TEXT_CHARACTERS_MAX else shown[: TEXT_CHARACTERS_MAX - 1] + "…"
