"""What the events of one Realtime session say about its moment, its responses and its errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

BASE64_BYTES_PER_MS = 48 * 4 / 3
"""Of PCM16 at 24 kHz."""


class Moment(Enum):
    """What a websocket may die in the middle of."""

    CALLER = "caller speaking"
    AGENT = "agent speaking"
    TRANSCRIPT = "transcript pending"
    TOOL = "tool call pending"
    SILENCE = "silence"


@dataclass(slots=True)
class Witness:
    """One session; sees every event as it passes, in either direction. `now_s` is monotonic."""

    open: bool = False
    """The client works with this session: it has sent something after its configuration."""
    errors: list[str] = field(default_factory=list)
    """Codes of `error` events."""
    most_main: int = 0
    """Most responses to the conversation at once."""
    items: set[str] = field(default_factory=set)
    """Caller turns that the server committed, or was told with their audio."""
    agent_sent_ms: Counter[str] = field(default_factory=Counter)
    """Audio of each agent item."""
    agent_told: dict[str, str] = field(default_factory=dict)
    """What the client said of agent items of an earlier session."""
    caller_told: list[str] = field(default_factory=list)
    """What it said of the caller's."""
    _main: set[str] = field(default_factory=set)
    _asides: set[str] = field(default_factory=set)
    _tools: set[str] = field(default_factory=set)
    _caller_speaks: bool = False
    _plays_until_s: float = 0.0

    def moments(self, now_s: float) -> frozenset[Moment]:
        """All that is going on."""
        going_on = {
            Moment.CALLER: self._caller_speaks,
            Moment.AGENT: now_s < self._plays_until_s,
            Moment.TRANSCRIPT: bool(self._asides),
            Moment.TOOL: bool(self._tools),
        }
        return frozenset(moment for moment, there in going_on.items() if there) or frozenset({Moment.SILENCE})

    def client(self, event: dict[str, Any]) -> None:
        """The client says."""
        match event:
            case {"type": "response.create", "response": {"conversation": "none", "metadata": {"item_id": item_id}}}:
                self._asides.add(item_id)
            case {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": call_id}}:
                self._tools.discard(call_id)
            case {"type": "conversation.item.create", "item": {"role": "assistant", "id": item_id, "content": content}}:
                self.agent_told[item_id] = content[0]["text"]
            case {"type": "conversation.item.create", "item": {"role": "user", "content": [{"text": text}]}}:
                self.caller_told.append(text)
            case {"type": "conversation.item.create", "item": {"id": item_id, "content": [{"type": "input_audio"}]}}:
                self.items.add(item_id)
            case _:
                pass
        self.open = self.open or event["type"] != "session.update"

    def server(self, event: dict[str, Any], now_s: float) -> None:
        """The server says."""
        match event:
            case {"type": "input_audio_buffer.speech_started"}:
                self._caller_speaks, self._plays_until_s = True, now_s
            case {"type": "input_audio_buffer.speech_stopped"}:
                self._caller_speaks = False
            case {"type": "input_audio_buffer.committed", "item_id": item_id}:
                self.items.add(item_id)
            case {"type": "response.output_audio.delta", "item_id": item_id, "delta": delta}:
                length_ms = round(len(delta) / BASE64_BYTES_PER_MS)
                self.agent_sent_ms[item_id] += length_ms
                self._plays_until_s = max(self._plays_until_s, now_s) + length_ms / 1000
            case {"type": "response.created", "response": {"id": response_id, "conversation_id": str()}}:
                self._main.add(response_id)
                self.most_main = max(self.most_main, len(self._main))
            case {"type": "response.done", "response": response}:
                self._done(response)
            case {"type": "error", "error": {"code": code}}:
                self.errors.append(str(code))
            case _:
                pass

    def _done(self, response: dict[str, Any]) -> None:
        self._main.discard(response["id"])
        self._asides.discard((response.get("metadata") or {}).get("item_id", ""))
        if response["conversation_id"] is not None:
            self._tools |= {item["call_id"] for item in response["output"] if item["type"] == "function_call"}
