"""The events of one response, in the order in which the service sends them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from service.engine.conversation import ContentPart, Conversation, FunctionCall, Item, Message, Status
from service.engine.rates import Pcm16, milliseconds
from service.engine.response_settings import ResponseSettings
from service.engine.session_config import VoiceId
from service.engine.usage import ASSISTANT_MS_PER_TOKEN, ITEM_OVERHEAD_TOKENS, text_tokens

Emit: TypeAlias = Callable[..., None]
"""`emit(type, **fields)`: sends a server event under an id of its own."""
NewId: TypeAlias = Callable[[str], str]
"""`new_id("item")`: a fresh `item_...`."""
ResponseStatus = Literal["completed", "cancelled", "failed", "incomplete"]


class ResponseStream:
    """One response. With a conversation its items become part of it; without, it is out of band."""

    def __init__(
        self, conversation: Conversation | None, settings: ResponseSettings, emit: Emit, new_id: NewId
    ) -> None:
        self.id = new_id("resp")
        self.settings = settings
        self._conversation = conversation
        self._emit = emit
        self._new_id = new_id
        self._output: list[Item] = []
        self._message: Message | None = None
        self._text: list[str] = []
        self._samples = 0
        self._call_tokens = 0

    @property
    def output_text_tokens(self) -> int:
        """Estimated."""
        said = text_tokens("".join(self._text)) + ITEM_OVERHEAD_TOKENS if self._text else 0
        return said + self._call_tokens

    @property
    def output_audio_tokens(self) -> int:
        """Of the audio sent."""
        return milliseconds(self._samples) // ASSISTANT_MS_PER_TOKEN

    def created(self) -> None:
        """The response exists."""
        self._emit("response.created", response=self._wire("in_progress", None, None))

    def message(self) -> str:
        """Begin the assistant's message, if it has not begun. Returns its item id."""
        if self._message is None:
            self._message = Message(self._new_id("item"), "assistant", status="in_progress")
            self._add(self._message)
            part = {"type": "text", "text": ""} if self._is_text else {"type": "audio", "transcript": ""}
            self._emit("response.content_part.added", **self._at, content_index=0, part=part)
            kind = "output_text" if self._is_text else "output_audio"
            self._message.content.append(ContentPart(kind))
        return self._message.id

    def words(self, delta: str) -> None:
        """More text, or more of the transcript of the audio."""
        self.message()
        self._text.append(delta)
        name = "response.output_text.delta" if self._is_text else "response.output_audio_transcript.delta"
        self._emit(name, **self._at, content_index=0, delta=delta)
        self._update()

    def audio(self, pcm: Pcm16) -> None:
        """More audio (n,)."""
        self.message()
        self._samples += pcm.size
        delta = base64.b64encode(pcm.astype("<i2").tobytes()).decode("ascii")
        self._emit("response.output_audio.delta", **self._at, content_index=0, delta=delta)
        self._update()

    def end_message(self, status: Status) -> None:
        """Close the assistant's message, if it has begun."""
        message = self._message
        if message is None:
            return
        text = "".join(self._text)
        if self._is_text:
            self._emit("response.output_text.done", **self._at, content_index=0, text=text)
            part = {"type": "text", "text": text}
        else:
            self._emit("response.output_audio.done", **self._at, content_index=0)
            self._emit("response.output_audio_transcript.done", **self._at, content_index=0, transcript=text)
            part = {"type": "audio", "transcript": text}
        self._emit("response.content_part.done", **self._at, content_index=0, part=part)
        message.status = status
        self._done(message)
        self._message = None

    def call(self, name: str, arguments: str, status: Status = "completed") -> None:
        """Call a function. `arguments` is JSON, or the beginning of it where the call is incomplete."""
        item = FunctionCall(self._new_id("item"), self._new_id("call"), name, "", status="in_progress")
        self._add(item)
        at = {**self._at, "call_id": item.call_id}
        self._emit("response.function_call_arguments.delta", **at, delta=arguments)
        self._emit("response.function_call_arguments.done", **at, name=name, arguments=arguments)
        item.arguments, item.status = arguments, status
        self._call_tokens += ITEM_OVERHEAD_TOKENS + text_tokens(name) + text_tokens(arguments)
        self._done(item)

    def done(self, status: ResponseStatus, details: dict[str, Any] | None, usage: dict[str, Any]) -> None:
        """The response is over, whatever became of it."""
        self._emit("response.done", response=self._wire(status, details, usage))

    @property
    def _is_text(self) -> bool:
        return self.settings.modality == "text"

    @property
    def _at(self) -> dict[str, Any]:
        return {"response_id": self.id, "item_id": self._output[-1].id, "output_index": len(self._output) - 1}

    def _add(self, item: Item) -> None:
        self._output.append(item)
        self._emit(
            "response.output_item.added", response_id=self.id, output_index=len(self._output) - 1, item=item.wire()
        )
        if self._conversation is not None:
            previous = self._conversation.add(item)
            self._emit("conversation.item.added", previous_item_id=previous, item=item.wire())

    def _done(self, item: Item) -> None:
        # A client may have deleted the item while it was being spoken.
        if self._conversation is not None and self._conversation.find(item.id) is not None:
            previous = self._conversation.previous_id(item.id)
            self._emit("conversation.item.done", previous_item_id=previous, item=item.wire())
        self._emit(
            "response.output_item.done", response_id=self.id, output_index=len(self._output) - 1, item=item.wire()
        )

    def _update(self) -> None:
        if self._message is None:
            return
        part = self._message.content[0]
        if self._is_text:
            part.text = "".join(self._text)
        else:
            part.transcript = "".join(self._text)
            part.audio_ms = milliseconds(self._samples)

    def _wire(self, status: str, details: dict[str, Any] | None, usage: dict[str, Any] | None) -> dict[str, Any]:
        voice = self.settings.voice
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.wire() for item in self._output],
            "conversation_id": self._conversation.id if self._conversation else None,
            "output_modalities": [self.settings.modality],
            "max_output_tokens": self.settings.max_output_tokens,
            "audio": {
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "voice": voice.id if isinstance(voice, VoiceId) else voice,
                }
            },
            "usage": usage,
            "metadata": self.settings.metadata,
        }
