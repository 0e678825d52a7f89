"""JSON ⇄ events. Whatever comes in becomes a value; nothing that a server sends raises."""

from __future__ import annotations

from typing import Any

import msgspec

from service.realtime.commands import ClientEvent
from service.realtime.events import IGNORED, Ignored, Known, Malformed, ServerEvent, Unknown

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding text of a stranger may raise; the last for brackets nested without end."""

_known: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)
_encoder = msgspec.json.Encoder()


class _Tag(msgspec.Struct):
    type: str


_tag = msgspec.json.Decoder(_Tag)


def decode(raw: str | bytes) -> ServerEvent:
    """One websocket message as an event."""
    try:
        return _known.decode(raw)
    except UNREADABLE as problem:
        first = problem
    try:
        name = _tag.decode(raw).type
    except UNREADABLE:
        return Malformed("", "not a JSON object with a type")
    if name in IGNORED:
        return Ignored(name)
    if str(first).startswith("Invalid value"):
        # msgspec says "Invalid value" for a tag that is not in the union.
        return Unknown(name)
    return Malformed(name, str(first))


def encode(event: ClientEvent) -> bytes:
    """The event as one JSON object."""
    return _encoder.encode(event)


def as_dict(raw: str | bytes) -> dict[str, Any]:
    """The message as plain JSON, empty where it is none."""
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}
