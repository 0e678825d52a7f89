"""The events a client may send: bytes in, checked values out."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from service.engine.rates import Pcm16
from service.engine.refusal import Refusal, refusal
from service.engine.session_config import (
    FunctionTool,
    MaxOutputTokens,
    Modalities,
    Part,
    PcmFormat,
    Prompt,
    Reasoning,
    ToolChoice,
    Voice,
)

MAX_AUDIO_BYTES = 15 * 2**20
"""Of one `audio` field, base64 included."""

ItemId = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-zA-Z0-9_-]+$")]
_Milliseconds = Annotated[int, Field(ge=0, le=2**31)]


class Content(Part):
    """One content part of a message."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: Literal["auto", "low", "high"] | None = None


class _Item(Part):
    id: ItemId | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class MessageItem(_Item):
    """What somebody said."""

    type: Literal["message"]
    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Content], Field(max_length=64)]


class FunctionCallItem(_Item):
    """A call the model made, for instance in an earlier session."""

    type: Literal["function_call"]
    name: str
    arguments: str
    call_id: str | None = None


class FunctionCallOutputItem(_Item):
    """What a function answered."""

    type: Literal["function_call_output"]
    call_id: str
    output: str


class ItemReference(Part):
    """An item of the conversation, by its id."""

    type: Literal["item_reference"]
    id: str


NewItem = Annotated[MessageItem | FunctionCallItem | FunctionCallOutputItem, Field(discriminator="type")]
InputItem = Annotated[
    MessageItem | FunctionCallItem | FunctionCallOutputItem | ItemReference, Field(discriminator="type")
]


class ResponseAudioOutput(Part):
    """`response.audio.output`."""

    format: PcmFormat | None = None
    voice: Voice | None = None


class ResponseAudio(Part):
    """`response.audio`."""

    output: ResponseAudioOutput | None = None


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]


class ResponseParams(Part):
    """`response.create.response`; what is absent comes from the session."""

    conversation: Literal["auto", "none"] | None = None
    input: Annotated[list[InputItem], Field(max_length=512)] | None = None
    instructions: str | None = None
    output_modalities: Modalities | None = None
    metadata: Metadata | None = None
    max_output_tokens: MaxOutputTokens | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    prompt: Prompt | None = None
    audio: ResponseAudio | None = None


class _Event(Part):
    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(_Event):
    """Change the session."""

    type: Literal["session.update"]
    session: dict[str, Any]


class AudioAppend(_Event):
    """More of the caller's audio, base64."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class AudioCommit(_Event):
    """Make a user item of what is in the buffer."""

    type: Literal["input_audio_buffer.commit"]


class AudioClear(_Event):
    """Forget what is in the buffer."""

    type: Literal["input_audio_buffer.clear"]


class ItemCreate(_Event):
    """Put an item into the conversation."""

    type: Literal["conversation.item.create"]
    item: NewItem
    previous_item_id: str | None = None


class ItemRetrieve(_Event):
    """Show an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: str


class ItemTruncate(_Event):
    """Cut the agent's audio to what was heard."""

    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: Annotated[int, Field(ge=0, le=2**31)]
    audio_end_ms: _Milliseconds


class ItemDelete(_Event):
    """Take an item out of the conversation."""

    type: Literal["conversation.item.delete"]
    item_id: str


class ResponseCreate(_Event):
    """Say something."""

    type: Literal["response.create"]
    response: ResponseParams | None = None


class ResponseCancel(_Event):
    """Stop saying it."""

    type: Literal["response.cancel"]
    response_id: str | None = None


Order = (
    SessionUpdate
    | AudioCommit
    | AudioClear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
)
ClientEvent = AudioAppend | Order
_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class Invalid:
    """What a client sent is no event; `event_id` is its own, where one can be read."""

    refusal: Refusal
    event_id: str | None


def parse(raw: str | bytes) -> ClientEvent | Invalid:
    """One websocket message."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Invalid(Refusal("invalid_json", "The message is not valid JSON."), None)
    if not isinstance(value, dict):
        return Invalid(Refusal("invalid_type", "An event must be a JSON object."), None)
    event_id = value.get("event_id")
    try:
        return _EVENT.validate_python(value)
    except ValidationError as error:
        return Invalid(refusal(error, value), event_id if isinstance(event_id, str) and len(event_id) <= 512 else None)
    except RecursionError:
        return Invalid(Refusal("invalid_json", "The message is nested too deeply."), None)


def audio_samples(encoded: str, param: str) -> Pcm16:
    """Base64 of PCM16 -> samples (n,). Raises Refusal, naming `param`."""
    if len(encoded) > MAX_AUDIO_BYTES:
        raise Refusal(
            "string_above_max_length", f"'{param}' may hold at most 15 MiB of base64; send it in parts.", param
        )
    try:
        pcm = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("invalid_value", f"Invalid '{param}': expected valid base64.", param) from None
    if len(pcm) % 2:
        raise Refusal("invalid_value", f"Invalid '{param}': PCM16 needs an even number of bytes.", param)
    return np.frombuffer(pcm, dtype="<i2")
