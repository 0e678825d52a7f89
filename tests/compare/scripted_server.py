"""A Realtime server that knows what each turn says, and counts tokens as the provider does.

Input audio is all caller audio in context (1 token for 100 ms) and the audio of the agent's last answer; instructions
are 500 tokens, of which 448 are cached from the second request of their kind on; a message is 10 more.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from tests.realtime_schema import check_client_event

INSTRUCTIONS_TOKENS = 500
CACHED_TOKENS = 448
ITEM_TOKENS = 10
AGENT_AUDIO_TOKENS = 40
AGENT_TEXT_TOKENS = 12
BYTES_PER_TOKEN = 4_800
"""100 ms of PCM16 at 24 kHz."""

Usage = dict[str, Any]


@dataclass
class ScriptedServer:
    """`texts` are what the turns say; faults are named by the event they are put on."""

    texts: Sequence[str]
    refuse_out_of_band: bool = False
    silent_about: Collection[tuple[int, str]] = ()
    """(turn, method) that get no answer; the method `asr` is the built-in one."""
    failing: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """(turn, method) to the code with which they fail."""
    refused_commits: Collection[int] = ()
    """Counted from 1."""
    commits: int = 0
    cleared: int = 0
    on_silence: Callable[[], None] = lambda: None
    dies_after_turn: int | None = None
    model: str = "gpt-realtime"
    sessions: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    appended_bytes: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with serve(self._serve, "127.0.0.1", 0) as server:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"

    async def _serve(self, connection: ServerConnection) -> None:
        await _Session(self, connection).run()


class _Session:
    def __init__(self, script: ScriptedServer, connection: ServerConnection) -> None:
        self._script = script
        self._connection = connection
        self._numbers = count(1)
        self._buffered = 0
        self._asr_model = ""
        self._items: list[tuple[str, int]] = []
        """Caller items with their audio tokens; agent items, of 0, between them."""
        self._asked: Counter[str] = Counter()

    async def run(self) -> None:
        await self._say("session.created", session={"type": "realtime", "model": self._script.model})
        async for raw in self._connection:
            check_client_event(raw)
            event = json.loads(raw)
            await self._take(event["type"], event)

    async def _take(self, kind: str, event: dict[str, Any]) -> None:
        script = self._script
        match kind:
            case "session.update":
                script.sessions.append(event["session"])
                self._asr_model = event["session"]["audio"]["input"]["transcription"]["model"]
                await self._say("session.updated", session={**event["session"], "model": script.model})
            case "input_audio_buffer.append":
                self._buffered += len(b64decode(event["audio"]))
            case "input_audio_buffer.commit":
                script.commits += 1
                if script.commits in script.refused_commits:
                    error = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty"}
                    await self._say("error", error={**error, "message": "no", "event_id": event["event_id"]})
                else:
                    await self._commit()
            case "input_audio_buffer.clear":
                script.cleared += 1
                self._buffered = 0
            case "response.cancel":
                script.cancelled.append(event["response_id"])
            case "response.create":
                script.requests.append(event)
                await self._respond(event)

    async def _commit(self) -> None:
        script, tokens = self._script, self._buffered // BYTES_PER_TOKEN
        script.appended_bytes += self._buffered
        self._buffered = 0
        turn = sum(audio > 0 for _, audio in self._items) + 1
        if script.dies_after_turn is not None and turn > script.dies_after_turn:
            await self._connection.close(1011)
            return
        item_id = f"item_{turn}"
        before = self._items[-1][0] if self._items else None
        self._items.append((item_id, tokens))
        await self._say("input_audio_buffer.committed", item_id=item_id, previous_item_id=before)
        item = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        await self._say("conversation.item.added", item=item, previous_item_id=before)
        named = "conversation.item.input_audio_transcription"
        if (turn, "asr") in script.silent_about:
            return
        if code := script.failing.get((turn, "asr")):
            await self._say(f"{named}.failed", item_id=item_id, content_index=0, error={"code": code})
            return
        text = script.texts[turn - 1].lower()
        usage = {
            "type": "tokens",
            "total_tokens": tokens + len(text.split()),
            "input_tokens": tokens,
            "output_tokens": len(text.split()),
            "input_token_details": {"text_tokens": 0, "audio_tokens": tokens},
        }
        await self._say(f"{named}.completed", item_id=item_id, content_index=0, transcript=text, usage=usage)

    async def _respond(self, event: dict[str, Any]) -> None:
        asked = event.get("response") or {}
        if asked.get("conversation") == "none":
            await self._write_down(event["event_id"], asked)
            return
        response: dict[str, Any] = {"id": f"resp_{next(self._numbers)}", "metadata": None, "output": []}
        await self._say("response.created", response={**response, "status": "in_progress"})
        usage = self._usage("agent", self._items, AGENT_TEXT_TOKENS, AGENT_AUDIO_TOKENS)
        self._items.append((f"agent_{next(self._numbers)}", 0))
        await self._say("response.done", response={**response, "status": "completed", "usage": usage})

    async def _write_down(self, event_id: str, asked: dict[str, Any]) -> None:
        script, metadata = self._script, asked["metadata"]
        turn, method = int(metadata["item_id"].removeprefix("item_")), metadata["context"]
        if script.refuse_out_of_band:
            error = {"type": "invalid_request_error", "code": "unsupported_conversation", "event_id": event_id}
            await self._say("error", error={**error, "message": "conversation none is not supported"})
            return
        response: dict[str, Any] = {"id": f"resp_{next(self._numbers)}", "metadata": metadata, "output": []}
        await self._say("response.created", response={**response, "status": "in_progress"})
        if (turn, method) in script.silent_about:
            script.on_silence()
            return
        named = asked.get("input")
        items = self._items
        if named is not None:
            ids = [one["id"] for one in named]
            items = [one for one in self._items if one[0] in ids]
        if code := script.failing.get((turn, method)):
            details = {"type": "failed", "error": {"code": code}}
            failed = {**response, "status": "failed", "status_details": details, "usage": None}
            await self._say("response.done", response=failed)
            return
        text = script.texts[turn - 1]
        output = [
            {"id": "o", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        ]
        usage = self._usage(method, items, len(text.split()), 0)
        done = {**response, "status": "completed", "output": output, "usage": usage}
        await self._say("response.done", response=done)

    def _usage(self, kind: str, items: Sequence[tuple[str, int]], text_out: int, audio_out: int) -> Usage:
        cached = CACHED_TOKENS if self._asked[kind] else 0
        self._asked[kind] += 1
        text = INSTRUCTIONS_TOKENS + ITEM_TOKENS * len(items)
        audio = sum(tokens for _, tokens in items) + AGENT_AUDIO_TOKENS * any(not tokens for _, tokens in items)
        return {
            "total_tokens": text + audio + text_out + audio_out,
            "input_tokens": text + audio,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": cached,
                "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    async def _say(self, kind: str, **fields: Any) -> None:
        await self._connection.send(json.dumps({"type": kind, "event_id": f"event_{next(self._numbers)}", **fields}))
        await asyncio.sleep(0)
