"""Server events of the Realtime protocol (GA) that a call acts on, as typed values.

Field names are the protocol's own. Events that a call does not act on are listed in `IGNORED`; whatever is in neither
set is kept as `Unknown`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Milliseconds = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""Of audio. Longer than any session, and small enough to be reckoned with."""


class ContentPart(msgspec.Struct, frozen=True):
    """One part of a message: only its kind and its words are of interest."""

    type: str
    transcript: str | None = None
    text: str | None = None


class Item(msgspec.Struct, frozen=True):
    """A conversation item: message, function_call or function_call_output."""

    id: str
    type: str
    role: str | None = None
    status: str | None = None
    content: list[ContentPart] = []
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None

    @property
    def is_caller_audio(self) -> bool:
        """Whether this is a committed turn of speech."""
        return self.role == "user" and any(part.type == "input_audio" for part in self.content)


class ErrorBody(msgspec.Struct, frozen=True):
    """What an `error` event or a failed response says; `event_id` is the client event that caused it."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None


class StatusDetails(msgspec.Struct, frozen=True):
    """Why a response ended as it did."""

    type: str | None = None
    reason: str | None = None
    error: ErrorBody | None = None


class Response(msgspec.Struct, frozen=True):
    """A response; `conversation_id` is null for one out of band."""

    id: str
    status: str | None = None
    status_details: StatusDetails | None = None
    conversation_id: str | None = None
    output: list[Item] = []
    usage: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None

    @property
    def purpose(self) -> str:
        """What we asked for it for, beside the conversation; empty for the agent's own."""
        return self.tag("purpose")

    def tag(self, name: str) -> str:
        """A value of `metadata`; empty where it is not there."""
        return (self.metadata or {}).get(name, "")

    @property
    def text(self) -> str:
        """The words that were written, not spoken, without white space around them."""
        return "".join(part.text or "" for item in self.output for part in item.content).strip()


class Event(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """What every server event carries."""

    event_id: str | None = None


class SessionCreated(Event, frozen=True, tag="session.created"):
    """First event of a session."""

    session: dict[str, Any]


class SessionUpdated(Event, frozen=True, tag="session.updated"):
    """Answer to `session.update`, with the whole session."""

    session: dict[str, Any]


class SpeechStarted(Event, frozen=True, tag="input_audio_buffer.speech_started"):
    """Milliseconds of audio sent in this session, prefix padding included."""

    audio_start_ms: Milliseconds
    item_id: str


class SpeechStopped(Event, frozen=True, tag="input_audio_buffer.speech_stopped"):
    """Milliseconds of audio sent in this session, hang-over included."""

    audio_end_ms: Milliseconds
    item_id: str


class Committed(Event, frozen=True, tag="input_audio_buffer.committed"):
    """The buffer became the item `item_id`."""

    item_id: str
    previous_item_id: str | None = None


class TimeoutTriggered(Event, frozen=True, tag="input_audio_buffer.timeout_triggered"):
    """The caller said nothing for `idle_timeout_ms`; an empty item is committed."""

    audio_start_ms: Milliseconds
    audio_end_ms: Milliseconds
    item_id: str


class ItemAdded(Event, frozen=True, tag="conversation.item.added"):
    """The item is in the conversation and may be referenced."""

    item: Item
    previous_item_id: str | None = None


class ItemDeleted(Event, frozen=True, tag="conversation.item.deleted"):
    """The item is in the conversation no more."""

    item_id: str


class TranscriptionCompleted(Event, frozen=True, tag="conversation.item.input_audio_transcription.completed"):
    """The server's built-in transcription of a caller turn."""

    item_id: str
    transcript: str
    usage: dict[str, Any] | None = None
    logprobs: Any = None
    """A list of `{"token", "logprob", "bytes"}` where the session's `include` asks for it."""


class TranscriptionFailed(Event, frozen=True, tag="conversation.item.input_audio_transcription.failed"):
    """The server's built-in transcription failed."""

    item_id: str
    error: ErrorBody


class ResponseCreated(Event, frozen=True, tag="response.created"):
    """A response has begun."""

    response: Response


class OutputItemAdded(Event, frozen=True, tag="response.output_item.added"):
    """A response has begun an item."""

    response_id: str
    item: Item


class AudioDelta(Event, frozen=True, tag="response.output_audio.delta"):
    """Agent audio: PCM16 mono 24 kHz, decoded from base64."""

    response_id: str
    item_id: str
    delta: bytes


class AudioDone(Event, frozen=True, tag="response.output_audio.done"):
    """No more audio for this item."""

    response_id: str
    item_id: str


class AudioTranscriptDelta(Event, frozen=True, tag="response.output_audio_transcript.delta"):
    """What the agent says, as it is generated."""

    response_id: str
    item_id: str
    delta: str


class ResponseDone(Event, frozen=True, tag="response.done"):
    """A response has ended, whatever its status."""

    response: Response


class ServerError(Event, frozen=True, tag="error"):
    """Something went wrong; the session stays open."""

    error: ErrorBody


class Ignored(msgspec.Struct, frozen=True):
    """An event type that is known and asks for nothing."""

    type: str


class Unknown(msgspec.Struct, frozen=True):
    """An event type that this version does not know."""

    type: str


class Malformed(msgspec.Struct, frozen=True):
    """Not JSON, not an object, or a known event with wrong fields."""

    type: str
    problem: str


Known = (
    SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | Committed
    | TimeoutTriggered
    | ItemAdded
    | ItemDeleted
    | TranscriptionCompleted
    | TranscriptionFailed
    | ResponseCreated
    | OutputItemAdded
    | AudioDelta
    | AudioDone
    | AudioTranscriptDelta
    | ResponseDone
    | ServerError
)
ServerEvent = Known | Ignored | Unknown | Malformed

IGNORED = frozenset(
    {
        "conversation.created",
        "conversation.item.created",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "input_audio_buffer.cleared",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_audio_transcript.done",
        "response.output_item.done",
        "response.output_text.delta",
        "response.output_text.done",
    }
)
"""Known, and nothing to do: what they say comes again, whole, in an event above."""
