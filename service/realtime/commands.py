"""Client events of the Realtime protocol (GA) that a call sends, as typed values."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Command(msgspec.Struct, frozen=True, tag_field="type", kw_only=True, omit_defaults=True):
    """What every client event carries; an `error` event names the `event_id` that caused it."""

    event_id: str | None = None


class SessionUpdate(Command, frozen=True, tag="session.update"):
    """Change the session; fields left out stay as they are."""

    session: dict[str, Any]


class AudioAppend(Command, frozen=True, tag="input_audio_buffer.append"):
    """Caller audio: PCM16 mono 24 kHz, sent as base64."""

    audio: bytes


class AudioCommit(Command, frozen=True, tag="input_audio_buffer.commit"):
    """Make an item of the buffer."""


class AudioClear(Command, frozen=True, tag="input_audio_buffer.clear"):
    """Throw the buffer away."""


class ItemTruncate(Command, frozen=True, tag="conversation.item.truncate"):
    """Cut an agent item to what the caller heard of it, in whole milliseconds."""

    item_id: str
    content_index: Literal[0]
    audio_end_ms: int


class ItemDelete(Command, frozen=True, tag="conversation.item.delete"):
    """Take an item out of the conversation."""

    item_id: str


class ItemCreate(Command, frozen=True, tag="conversation.item.create"):
    """Add an item that is not speech: behind another, first (`root`), or last where nothing is said."""

    item: dict[str, Any]
    previous_item_id: str | None = None


class ResponseCreate(Command, frozen=True, tag="response.create"):
    """Ask for a response; `response` None takes the session's settings."""

    response: dict[str, Any] | None = None


class ResponseCancel(Command, frozen=True, tag="response.cancel"):
    """End a response early."""

    response_id: str


ClientEvent = (
    SessionUpdate
    | AudioAppend
    | AudioCommit
    | AudioClear
    | ItemTruncate
    | ItemDelete
    | ItemCreate
    | ResponseCreate
    | ResponseCancel
)
