"""The items of a conversation, in order, and what a client may do to them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from service.engine.client_events import Content, FunctionCallItem, FunctionCallOutputItem, MessageItem, audio_samples
from service.engine.rates import Pcm16, milliseconds
from service.engine.refusal import Refusal

MAX_ITEMS = 4_000
MAX_KEPT_AUDIO_MS = 600_000
"""Of a conversation; older turns keep their length and their transcript only."""

Status = Literal["in_progress", "completed", "incomplete"]
Role = Literal["user", "assistant", "system"]

_ALLOWED: dict[Role, frozenset[str]] = {
    "user": frozenset({"input_text", "input_audio", "input_image"}),
    "assistant": frozenset({"output_text", "output_audio"}),
    "system": frozenset({"input_text"}),
}


@dataclass(slots=True)
class ContentPart:
    """Text, or audio of `audio_ms` with its transcript (None: unknown, or removed by truncation)."""

    type: str
    text: str = ""
    transcript: str | None = None
    audio_ms: int = 0
    pcm: Pcm16 | None = None
    image_url: str | None = None

    def wire(self, *, with_audio: bool) -> dict[str, Any]:
        """As it stands in an event."""
        if self.type in {"input_text", "output_text"}:
            return {"type": self.type, "text": self.text}
        if self.type == "input_image":
            return {"type": self.type, "image_url": self.image_url}
        wire: dict[str, Any] = {"type": self.type, "transcript": self.transcript}
        if with_audio and self.pcm is not None:
            wire["audio"] = base64.b64encode(self.pcm.astype("<i2").tobytes()).decode("ascii")
        return wire


@dataclass(slots=True)
class Message:
    """What somebody said or wrote."""

    id: str
    role: Role
    content: list[ContentPart] = field(default_factory=list)
    status: Status = "completed"

    @property
    def audio(self) -> ContentPart | None:
        """The spoken part."""
        return next((part for part in self.content if part.type in {"input_audio", "output_audio"}), None)

    @property
    def text(self) -> str:
        """The written parts."""
        return "\n".join(part.text for part in self.content if part.text)

    def wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        """As it stands in an event."""
        content = [part.wire(with_audio=with_audio) for part in self.content]
        return {"id": self.id, "type": "message", "status": self.status, "role": self.role, "content": content}


@dataclass(slots=True)
class FunctionCall:
    """A function the model wants called."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: Status = "completed"

    def wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        """As it stands in an event."""
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "name": self.name,
            "call_id": self.call_id,
            "arguments": self.arguments,
        }


@dataclass(slots=True)
class FunctionCallOutput:
    """What the function answered."""

    id: str
    call_id: str
    output: str
    function: str = ""
    """The name in the call that it answers, once both are in a conversation."""

    def wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        """As it stands in an event."""
        return {"id": self.id, "type": "function_call_output", "call_id": self.call_id, "output": self.output}


Item: TypeAlias = Message | FunctionCall | FunctionCallOutput


def item_from(
    new: MessageItem | FunctionCallItem | FunctionCallOutputItem, item_id: str, call_id: str, param: str
) -> Item:
    """A client's item under an id of ours where it gave none. `param` is where it stands in the event.

    Raises Refusal for content that its role cannot have, and for audio that is none.
    """
    if isinstance(new, FunctionCallOutputItem):
        return FunctionCallOutput(new.id or item_id, new.call_id, new.output)
    if isinstance(new, FunctionCallItem):
        return FunctionCall(new.id or item_id, new.call_id or call_id, new.name, new.arguments)
    content = [_part(part, new.role, f"{param}.content[{index}]") for index, part in enumerate(new.content)]
    return Message(new.id or item_id, new.role, content)


def _part(part: Content, role: Role, param: str) -> ContentPart:
    if part.type not in _ALLOWED[role]:
        supported = ", ".join(f"'{kind}'" for kind in sorted(_ALLOWED[role]))
        message = f"Invalid value: '{part.type}'. A message of role '{role}' may hold {supported}."
        raise Refusal("invalid_value", message, f"{param}.type")
    if part.type in {"input_text", "output_text"}:
        if part.text is None:
            raise Refusal("missing_required_parameter", f"Missing required parameter: '{param}.text'.", f"{param}.text")
        return ContentPart(part.type, text=part.text)
    if part.type == "input_image":
        return ContentPart(part.type, image_url=part.image_url)
    if part.type == "output_audio":
        # The service cannot be given the agent's audio either: its words are what counts.
        return ContentPart("output_text", text=part.transcript or "")
    if part.audio is None:
        raise Refusal("missing_required_parameter", f"Missing required parameter: '{param}.audio'.", f"{param}.audio")
    pcm = audio_samples(part.audio, f"{param}.audio")
    return ContentPart(part.type, transcript=part.transcript, audio_ms=milliseconds(pcm.size), pcm=pcm)


class Conversation:
    """Items in order; looks nothing up in time that grows with the square of the call."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._items: list[Item] = []
        self._by_id: dict[str, Item] = {}

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, oldest first."""
        return tuple(self._items)

    @property
    def last_id(self) -> str | None:
        """Of the newest item."""
        return self._items[-1].id if self._items else None

    def refuse_if_full(self) -> None:
        """Raises Refusal where the client has put in all that a conversation holds."""
        if len(self._items) >= MAX_ITEMS:
            raise Refusal("conversation_full", f"A conversation of this engine holds at most {MAX_ITEMS} items.")

    def find(self, item_id: str) -> Item | None:
        """The item of that id."""
        return self._by_id.get(item_id)

    def previous_id(self, item_id: str) -> str | None:
        """Id of the item before that one."""
        position = self._position(item_id)
        return self._items[position - 1].id if position else None

    def behind(self, item_id: str) -> frozenset[str]:
        """Ids of the items behind that one."""
        return frozenset(item.id for item in self._items[self._position(item_id) + 1 :])

    def add(self, item: Item, previous_item_id: str | None = None) -> str | None:
        """Put an item behind another ("root": first; None: last). Returns the id of the one before it.

        Raises Refusal for an id that is taken, or a neighbour or function call that is not there.
        """
        if item.id in self._by_id:
            message = f"Error adding item: an item with id '{item.id}' already exists in the conversation."
            raise Refusal("item_create_duplicate_item_id", message, "item.id")
        if isinstance(item, FunctionCallOutput):
            item.function = self._function_called(item.call_id)
        position = len(self._items)
        if previous_item_id == "root":
            position = 0
        elif previous_item_id is not None:
            if previous_item_id not in self._by_id:
                message = f"Error adding item: no item with id '{previous_item_id}' to put it behind."
                raise Refusal("invalid_value", message, "previous_item_id")
            position = self._position(previous_item_id) + 1
        self._items.insert(position, item)
        self._by_id[item.id] = item
        self._forget_old_audio()
        return self._items[position - 1].id if position else None

    def retrieve(self, item_id: str) -> Item:
        """Raises Refusal where there is none."""
        return self._get(item_id, "retriev", "item_retrieve_invalid_item_id")

    def delete(self, item_id: str) -> Item:
        """Take it out. Raises Refusal where there is none."""
        item = self._get(item_id, "delet", "item_delete_invalid_item_id")
        self._items.remove(item)
        del self._by_id[item_id]
        return item

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> ContentPart:
        """Cut the agent's audio to `audio_end_ms` and remove its transcript. Returns the part as it was.

        Raises Refusal for anything that is not the agent's audio of at least that length.
        """
        item = self._get(item_id, "truncat", "item_truncate_invalid_item_id")
        if not isinstance(item, Message) or item.role != "assistant" or content_index >= len(item.content):
            raise Refusal("unsupported_content_type", "Only model output audio messages can be truncated.", "item_id")
        part = item.content[content_index]
        if part.type != "output_audio" or part.audio_ms == 0:
            raise Refusal("unsupported_content_type", "Only model output audio messages can be truncated.", "item_id")
        if audio_end_ms > part.audio_ms:
            message = f"Audio content of {part.audio_ms}ms is already shorter than {audio_end_ms}ms."
            raise Refusal("invalid_value", message, "audio_end_ms")
        item.content[content_index] = ContentPart("output_audio", audio_ms=audio_end_ms)
        return part

    def _get(self, item_id: str, doing: str, code: str) -> Item:
        item = self._by_id.get(item_id)
        if item is None:
            raise Refusal(code, f"Error {doing}ing item: the item with id '{item_id}' does not exist.", "item_id")
        return item

    def _function_called(self, call_id: str) -> str:
        for item in reversed(self._items):
            if isinstance(item, FunctionCall) and item.call_id == call_id:
                return item.name
        message = f"Tool call ID '{call_id}' not found in conversation."
        raise Refusal("invalid_tool_call_id", message, "item.call_id")

    def _position(self, item_id: str) -> int:
        # Nearly always one of the newest.
        return next(i for i in range(len(self._items) - 1, -1, -1) if self._items[i].id == item_id)

    def _forget_old_audio(self) -> None:
        kept_ms = 0
        for item in reversed(self._items):
            part = item.audio if isinstance(item, Message) else None
            if part is not None and part.pcm is not None:
                kept_ms += part.audio_ms
                if kept_ms > MAX_KEPT_AUDIO_MS:
                    part.pcm = None
