"""Realtime servers for the bench, in a process of their own: as much of the protocol as the service needs.

`echo` sends every append back at once, as one endless answer. `interrupted` speaks noise on its own and lets the
caller interrupt it, again and again. `turns` finds one turn of the caller's after another, and transcribes each at once
when it is asked to. All keep what came with the time it came.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import multiprocessing
import random
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

import msgspec
import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from service.media.resample import resample
from tests.bench.marks import FRAME_MS, noise
from tests.bench.rtp import HOST

Kind = Literal["echo", "interrupted", "turns"]

ANSWER_S = 3.0
ANSWER_SEED = 99
CHUNK_BYTES = 4800
"""100 ms at 24 kHz."""
LATE_CHUNKS = 3
"""Still sent after the interruption, as a server does that has not noticed yet."""
PAUSE_S = 0.3
TURN_MS = 900
READY_TIMEOUT_S = 20.0


@dataclass
class SessionLog:
    """What one session saw; times on the monotonic clock."""

    appends: list[tuple[int, bytes]] = field(default_factory=list)
    """Arrival and PCM16 at 24 kHz."""
    interruptions: list[tuple[int, str]] = field(default_factory=list)
    """When `speech_started` was sent, and the item that was being spoken."""
    truncations: dict[str, int] = field(default_factory=dict)
    """`audio_end_ms` by item; 0 for one that was deleted."""
    transcripts: dict[str, int] = field(default_factory=dict)
    """By item: when its transcript was sent."""


class _Session:
    def __init__(self, socket: ServerConnection, kind: Kind, rounds: int, log: SessionLog) -> None:
        self._socket = socket
        self._kind = kind
        self._rounds = rounds
        self._log = log
        self._answering = False
        self._asked = asyncio.Event()
        self._transcribed = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(self._speak())
            with contextlib.suppress(ConnectionClosed):
                await self._send("session.created", session={"type": "realtime", "model": "bench"})
                async for raw in self._socket:
                    await self._on(msgspec.json.decode(raw), time.monotonic_ns())
            speaking.cancel()

    async def _on(self, event: dict[str, Any], at_ns: int) -> None:
        match event["type"]:
            case "input_audio_buffer.append":
                if self._answering and self._kind == "echo":
                    await self._send_audio("resp_0", "item_0", event["audio"])
                self._log.appends.append((at_ns, base64.b64decode(event["audio"])))
            case "session.update":
                await self._send("session.updated", session=event["session"])
            case "response.create" if "response" in event:
                await self._transcribe(event["response"]["metadata"])
            case "response.create" if not self._answering:
                self._answering = True
                self._asked.set()
            case "response.cancel":
                await self._end(event.get("response_id", ""))
            case "input_audio_buffer.commit":
                error = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty"}
                await self._send("error", error={**error, "event_id": event.get("event_id")})
            case "conversation.item.truncate":
                self._log.truncations[event["item_id"]] = event["audio_end_ms"]
            case "conversation.item.delete":
                self._log.truncations[event["item_id"]] = 0
            case _:
                pass

    async def _speak(self) -> None:
        await self._asked.wait()
        with contextlib.suppress(ConnectionClosed):
            match self._kind:
                case "echo":
                    await self._begin("resp_0")
                case "interrupted":
                    await self._be_interrupted()
                case "turns":
                    await self._find_turns()

    async def _find_turns(self) -> None:
        chance = random.Random(len(self._log.appends))
        for number in range(self._rounds):
            # At another phase of the service's ticks each time.
            await asyncio.sleep(chance.uniform(0.05, 0.1))
            item, end_ms = f"turn_{number}", self._sent_ms
            await self._send("input_audio_buffer.speech_started", audio_start_ms=max(0, end_ms - TURN_MS), item_id=item)
            await self._send("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item)
            await self._send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
            content = [{"type": "input_audio", "transcript": None}]
            added = {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}
            self._transcribed.clear()
            await self._send("conversation.item.added", previous_item_id=None, item=added)
            await self._transcribed.wait()

    async def _transcribe(self, metadata: dict[str, str]) -> None:
        item = metadata["item_id"]
        response: dict[str, Any] = {"id": f"resp_{item}", "conversation_id": None, "metadata": metadata, "output": []}
        await self._send("response.created", response={**response, "status": "in_progress"})
        output = {"id": "out", "type": "message", "content": [{"type": "output_text", "text": f"The words of {item}."}]}
        self._log.transcripts[item] = time.monotonic_ns()
        await self._send("response.done", response={**response, "status": "completed", "output": [output]})
        self._transcribed.set()

    async def _be_interrupted(self) -> None:
        pcm = resample(noise(ANSWER_S, ANSWER_SEED), 8000, 24_000).tobytes()
        chunks = [base64.b64encode(pcm[at : at + CHUNK_BYTES]).decode() for at in range(0, len(pcm), CHUNK_BYTES)]
        chance = random.Random(len(self._log.appends))
        for number in range(self._rounds):
            response, item, turn = f"resp_{number}", f"item_{number}", f"turn_{number}"
            await self._begin(response)
            for chunk in chunks[:-LATE_CHUNKS]:
                await self._send_audio(response, item, chunk)
            await asyncio.sleep(chance.uniform(0.4, 0.7))
            self._log.interruptions.append((time.monotonic_ns(), item))
            await self._send("input_audio_buffer.speech_started", audio_start_ms=self._sent_ms, item_id=turn)
            for chunk in chunks[-LATE_CHUNKS:]:
                await asyncio.sleep(0.01)
                await self._send_audio(response, item, chunk)
            await self._end(response)
            await self._send("input_audio_buffer.speech_stopped", audio_end_ms=self._sent_ms, item_id=turn)
            await asyncio.sleep(PAUSE_S)

    @property
    def _sent_ms(self) -> int:
        return FRAME_MS * len(self._log.appends)

    async def _begin(self, response_id: str) -> None:
        response = {"id": response_id, "status": "in_progress", "conversation_id": "conv", "output": []}
        await self._send("response.created", response=response)

    async def _end(self, response_id: str) -> None:
        response = {"id": response_id, "status": "cancelled", "conversation_id": "conv", "output": []}
        await self._send("response.done", response=response)

    async def _send_audio(self, response_id: str, item_id: str, audio: str) -> None:
        await self._send(
            "response.output_audio.delta",
            response_id=response_id,
            item_id=item_id,
            output_index=0,
            content_index=0,
            delta=audio,
        )

    async def _send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": f"event_{time.monotonic_ns()}", **fields}
        await self._socket.send(msgspec.json.encode(event), text=True)


@dataclass(frozen=True, slots=True)
class _Mode:
    kind: Kind
    rounds: int


@dataclass(frozen=True, slots=True)
class _Collect:
    sessions: int


def _main(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    mode = _Mode("echo", 0)
    logs: list[SessionLog] = []
    closed = 0
    change = asyncio.Condition()

    async def handle(socket: ServerConnection) -> None:
        nonlocal closed
        log = SessionLog()
        logs.append(log)
        await _Session(socket, mode.kind, mode.rounds, log).run()
        async with change:
            closed += 1
            change.notify_all()

    orders: asyncio.Queue[_Mode | _Collect | None] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(pipe.fileno(), lambda: orders.put_nowait(_order(pipe)))
    async with serve(handle, HOST, 0, compression=None, max_size=None) as server:
        pipe.send(next(iter(server.sockets)).getsockname()[1])
        while (order := await orders.get()) is not None:
            if isinstance(order, _Mode):
                mode = order
                continue
            async with change:
                while closed < order.sessions:
                    await change.wait()
            pipe.send(logs)
            logs, closed = [], 0


def _order(pipe: Connection) -> _Mode | _Collect | None:
    try:
        order: _Mode | _Collect = pipe.recv()
    except EOFError:
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        return None
    return order


class Engine:
    """The server's process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_main, args=(far_end,), name="bench-engine", daemon=True)

        self._process.start()
        far_end.close()
        if not self._pipe.poll(READY_TIMEOUT_S):
            raise TimeoutError(f"the bench's engine was not ready within {READY_TIMEOUT_S:g} s")
        self.url = f"ws://{HOST}:{self._pipe.recv()}/v1/realtime"

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid or 0

    def be(self, kind: Kind, rounds: int = 0) -> None:
        """How the sessions that open from now on behave; `rounds` is the number of interruptions."""
        self._pipe.send(_Mode(kind, rounds))

    def collect(self, sessions: int, timeout_s: float = 15.0) -> list[SessionLog]:
        """The logs of the sessions since the last time, in the order they opened, once all are closed."""
        self._pipe.send(_Collect(sessions))
        if not self._pipe.poll(timeout_s):
            raise TimeoutError(f"{sessions} sessions were not closed within {timeout_s:g} s")
        logs: list[SessionLog] = self._pipe.recv()
        return logs

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def narrowed(pcm24k: bytes) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """An append at 8 kHz: every third sample, since nothing in it is above 4 kHz."""
    return np.frombuffer(pcm24k, "<i2")[::3]
