"""A Realtime server that plays a part: its caller speaks at set times, whatever comes over the line."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.acceptance.far_end import Manner, say

MODEL = "gpt-realtime-2.1"
FRAME_MS = 20
FIRST_TURN_MS = 400
TURN_MS = 200
PAUSE_MS = 500
"""Between two turns: the agent's answer has room in it."""
GREETING_MS = 200
STUTTER_MS = 300
"""A hole in the middle of an answer."""
USAGE: dict[str, Any] = {
    "total_tokens": 330,
    "input_tokens": 250,
    "output_tokens": 80,
    "input_token_details": {
        "text_tokens": 150,
        "audio_tokens": 100,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 60},
}
DEAR_USAGE: dict[str, Any] = {
    "total_tokens": 20_000,
    "input_tokens": 10_000,
    "output_tokens": 10_000,
    "input_token_details": {"text_tokens": 9_000, "audio_tokens": 1_000, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 0, "audio_tokens": 10_000},
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What the caller says, what the built-in transcription makes of it (empty: the same), and the agent's answer."""

    says: str
    asr: str = ""
    answer: str = "Please go on."


@dataclass(frozen=True, slots=True)
class Part:
    """One session. `claim` is what `note_claim` is called with; `ends` is what follows the last turn's answer."""

    turns: tuple[Turn, ...] = (Turn("I had an accident."),)
    model: str = MODEL
    greeting_ms: int = GREETING_MS
    claim: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=lambda: USAGE)
    stutters: bool = False
    ends: Literal["", "closes", "hangs_up", "babbles"] = ""

    @property
    def play(self) -> Manner:
        """For `FarEnd.manner`."""

        async def manner(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                await _Session(self, connection).run()

        return manner


class _Session:
    def __init__(self, part: Part, connection: ServerConnection) -> None:
        self._part = part
        self._connection = connection
        self._numbers = count(1)
        self._left = list(part.turns)
        self._begins_ms = FIRST_TURN_MS
        self._sent_ms = 0
        self._speaking = False
        self._transcribed: dict[str, Turn] = {}
        self._items: list[str] = []
        self._held_back: tuple[int, str, str] | None = None
        """When the rest of a stuttered answer is due, its response and item."""

    async def run(self) -> None:
        await self._say("session.created", session={"type": "realtime", "model": self._part.model})
        async for raw in self._connection:
            event = json.loads(raw)
            match event["type"]:
                case "session.update":
                    await self._say("session.updated", session={**event["session"], "model": self._part.model})
                case "input_audio_buffer.append":
                    await self._heard()
                case "input_audio_buffer.commit":
                    error = {"code": "input_audio_buffer_commit_empty", "message": "no", "event_id": event["event_id"]}
                    await self._say("error", error=error)
                case "response.create":
                    await self._asked(event.get("response") or {})

    # -- the caller ------------------------------------------------------------------------------------------------

    async def _heard(self) -> None:
        self._sent_ms += FRAME_MS
        if self._held_back is not None and self._sent_ms >= self._held_back[0]:
            _, response_id, item_id = self._held_back
            self._held_back = None
            await self._audio(response_id, item_id, GREETING_MS)
            await self._done(response_id, item_id)
        if not self._left:
            return
        if not self._speaking and self._sent_ms >= self._begins_ms:
            self._speaking = True
            self._item = f"u{next(self._numbers)}"
            await self._say("input_audio_buffer.speech_started", item_id=self._item, audio_start_ms=self._begins_ms)
        elif self._speaking and self._sent_ms >= self._begins_ms + TURN_MS:
            self._speaking = False
            self._begins_ms = self._sent_ms + PAUSE_MS
            await self._said(self._left.pop(0))

    async def _said(self, turn: Turn) -> None:
        item_id = self._item
        self._transcribed[item_id] = turn
        await self._say("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=self._sent_ms)
        await self._say("input_audio_buffer.committed", item_id=item_id, previous_item_id=self._last_item)
        content = [{"type": "input_audio", "transcript": None}]
        await self._add({"id": item_id, "type": "message", "role": "user", "content": content})
        await self._say(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=turn.asr or turn.says,
            usage={"type": "duration", "seconds": 2},
        )
        if self._left or not self._part.ends:
            await self._speak(turn.answer, GREETING_MS)
        else:
            await self._end()

    async def _end(self) -> None:
        match self._part.ends:
            case "closes":
                await self._connection.close(1011, "overloaded")
            case "hangs_up":
                call = {"id": "f", "type": "function_call", "name": "end_call", "call_id": "f"}
                await self._speak("Goodbye.", GREETING_MS, {**call, "arguments": '{"reason": "completed"}'})
            case "babbles":
                await self._say("error", error={"type": "server_error", "code": "rate_limit_exceeded", "message": "no"})
                await self._connection.send("{nonsense")
                await self._say("an.event.of.tomorrow")

    # -- the agent -------------------------------------------------------------------------------------------------

    async def _asked(self, response: dict[str, Any]) -> None:
        metadata = response.get("metadata") or {}
        match metadata.get("purpose"):
            case "transcription":
                text = self._transcribed[metadata["item_id"]].says
                content = [{"type": "output_text", "text": text}]
                await self._answer(metadata, {"id": "t", "type": "message", "content": content})
            case "claim":
                call = {"id": "n", "type": "function_call", "name": "note_claim", "call_id": "n"}
                await self._answer(
                    metadata, {**call, "arguments": json.dumps({"claims": [{"fields": self._fields()}]})}
                )
            case _:
                await self._speak("Thank you for calling.", self._part.greeting_ms)

    def _fields(self) -> dict[str, Any]:
        rest = {"turns": [1], "confirmed": False, "unknown": False}
        return {name: {"value": value, **rest} for name, value in self._part.claim.items()}

    async def _answer(self, metadata: dict[str, str], item: dict[str, Any]) -> None:
        """Out of band."""
        response = {"id": f"r{next(self._numbers)}", "conversation_id": None, "metadata": metadata}
        await self._say("response.created", response={**response, "status": "in_progress", "output": []})
        done = {**response, "status": "completed", "output": [item], "usage": USAGE}
        await self._say("response.done", response=done)

    async def _speak(self, words: str, audio_ms: int, call: dict[str, Any] | None = None) -> None:
        number = next(self._numbers)
        response_id, item_id = f"r{number}", f"a{number}"
        response = {"id": response_id, "conversation_id": "conv", "status": "in_progress", "output": []}
        await self._say("response.created", response=response)
        await self._add({"id": item_id, "type": "message", "role": "assistant", "content": []})
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        await self._say("response.output_audio_transcript.delta", delta=words, **where)
        await self._audio(response_id, item_id, audio_ms)
        if self._part.stutters and self._held_back is None and self._left:
            self._held_back = (self._sent_ms + audio_ms + STUTTER_MS, response_id, item_id)
        else:
            await self._done(response_id, item_id, call)

    async def _audio(self, response_id: str, item_id: str, audio_ms: int) -> None:
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        await self._say("response.output_audio.delta", delta=_tone(audio_ms), **where)

    async def _done(self, response_id: str, item_id: str, call: dict[str, Any] | None = None) -> None:
        await self._say("response.output_audio.done", response_id=response_id, item_id=item_id)
        output = [{"id": item_id, "type": "message", "role": "assistant"}, *([call] if call else [])]
        done = {"id": response_id, "conversation_id": "conv", "status": "completed", "output": output}
        await self._say("response.done", response={**done, "usage": self._part.usage})

    @property
    def _last_item(self) -> str | None:
        return self._items[-1] if self._items else None

    async def _add(self, item: dict[str, Any]) -> None:
        await self._say("conversation.item.added", item=item, previous_item_id=self._last_item)
        self._items.append(item["id"])

    async def _say(self, kind: str, **fields: Any) -> None:
        await say(self._connection, kind, **fields)


def _tone(audio_ms: int) -> str:
    """PCM16 at 24 kHz, in base64."""
    samples = (round(6000 * math.sin(2 * math.pi * 440 * n / 24_000)) for n in range(24 * audio_ms))
    return b64encode(struct.pack(f"<{24 * audio_ms}h", *samples)).decode()
