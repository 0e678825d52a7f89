"""The engine's websocket: one connection is one session, with its own tasks and a bounded queue towards the client."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, assert_never
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from service.config import local_host
from service.engine.effects import Abandon, Close, Effect, Hush, Recognize, Send, Speak
from service.engine.ports import Speech
from service.engine.rates import WIRE_HZ, WIRE_SAMPLES_PER_MS, Pcm16
from service.engine.recognition import Transcript
from service.engine.session import Session

_log = structlog.get_logger()

PATH = "/v1/realtime"
DEFAULT_MODEL = "gpt-realtime-2.1"
MAX_MESSAGE_BYTES = 16 * 2**20
"""An append may hold 15 MiB; the rest is for the event around it."""
MAX_MESSAGES_WAITING = 4
"""Read ahead of a session that is busy; beyond it TCP makes the client wait."""
OUTBOX_EVENTS = 1_000
OUTBOX_BYTES = 32 * 2**20
"""Waiting for the client. One that reads so slowly is cut off; its audio stops growing long before."""
OUTBOX_BUSY_EVENTS = 64
"""From here on the voice waits."""
SEND_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 2.0
MAX_SESSIONS = 64
TICK_S = 0.1
CHUNK_MS = 100
"""Of audio in one delta."""
LEAD_MS = 500
"""Sent at once; then the pace holds."""
LOCAL_ORIGINS = (None, re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"))
"""A page from elsewhere must not reach an engine on somebody's own machine; programs send no Origin."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the shell holds itself to."""

    pace: float = 4.0
    """Seconds of audio sent in a second, so that cancelling means something."""
    outbox_events: int = OUTBOX_EVENTS
    outbox_bytes: int = OUTBOX_BYTES
    send_timeout_s: float = SEND_TIMEOUT_S
    close_timeout_s: float = CLOSE_TIMEOUT_S


class _Over(Exception):  # noqa: N818 - ends the task group, not a fault
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Connection:
    """Carries out what a session asks for."""

    def __init__(
        self, socket: ServerConnection, session: Session, speech: Speech, threads: ThreadPoolExecutor, limits: Limits
    ) -> None:
        self._socket = socket
        self._session = session
        self._speech = speech
        self._threads = threads
        self._limits = limits
        self._outbox: asyncio.Queue[bytes | Close] = asyncio.Queue(limits.outbox_events)
        self._outbox_bytes = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._tasks = asyncio.TaskGroup()
        self._work: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> tuple[int, str]:
        """Serve until either side has enough; returns close code and reason."""
        ends: list[tuple[int, str]] = []
        try:
            async with self._tasks:
                self._tasks.create_task(self._send(), name="send")
                self._tasks.create_task(self._tick(), name="tick")
                self._perform(self._session.opened())
                self._tasks.create_task(self._read(), name="read")
        except* _Over as over:
            ends.extend((end.code, end.reason) for end in _leaves(over) if isinstance(end, _Over))
        except* ConnectionClosed:
            pass
        return ends[0] if ends else (1000, "")

    async def _read(self) -> None:
        async for raw in self._socket:
            for effects in self._session.receive(raw, self._now_s()):
                self._perform(effects)
                await asyncio.sleep(0)
        raise _Over(1000, "")

    async def _send(self) -> None:
        while True:
            message = await self._outbox.get()
            if isinstance(message, Close):
                raise _Over(message.code, message.reason)
            self._outbox_bytes -= len(message)
            try:
                async with asyncio.timeout(self._limits.send_timeout_s):
                    await self._socket.send(message, text=True)
            except TimeoutError:
                raise _Over(1008, "The client does not read.") from None
            if self._outbox.qsize() < OUTBOX_BUSY_EVENTS:
                self._drained.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._perform(self._session.tick(self._now_s()))

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._enqueue(msgspec.json.encode(effect.event))
                case Recognize():
                    self._start(effect.key, self._recognize(effect))
                case Speak():
                    self._start(effect.response_id, self._speak(effect))
                case Abandon():
                    self._stop(effect.key)
                case Hush():
                    self._stop(effect.response_id)
                case Close():
                    self._enqueue(effect)
                case _:
                    assert_never(effect)

    def _enqueue(self, message: bytes | Close) -> None:
        self._outbox_bytes += len(message) if isinstance(message, bytes) else 0
        if self._outbox.full() or self._outbox_bytes > self._limits.outbox_bytes:
            raise _Over(1008, "The client does not read.")
        self._outbox.put_nowait(message)
        if self._outbox.qsize() >= OUTBOX_BUSY_EVENTS:
            self._drained.clear()

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.create_task(work, name=name)
        self._work[name] = task
        task.add_done_callback(lambda done: self._work.pop(name, None) if self._work.get(name) is done else None)

    def _stop(self, name: str) -> None:
        task = self._work.pop(name, None)
        if task is not None:
            task.cancel()

    async def _recognize(self, effect: Recognize) -> None:
        transcript: Transcript | None = None
        try:
            transcript = await self._speech.recognizer.transcribe(effect.pcm)
        except Exception:  # noqa: BLE001 - whatever the networks raise concerns one turn
            _log.warning("recognition_failed", exc_info=True)
        self._perform(self._session.recognized(effect.key, transcript, self._now_s()))

    async def _speak(self, effect: Speak) -> None:
        failed = False
        try:
            await self._voice(effect)
        except _Over:
            raise
        except Exception:  # noqa: BLE001 - whatever the network raises concerns one response
            _log.warning("voice_failed", exc_info=True)
            failed = True
        self._perform(self._session.voice_ended(effect.response_id, self._now_s(), failed=failed))

    async def _voice(self, effect: Speak) -> None:
        loop = asyncio.get_running_loop()
        begun_s, sent_ms = self._now_s(), 0.0
        for index, sentence in enumerate(effect.sentences):
            voiced = iter(self._speech.voice.synthesize(sentence, speed=effect.speed))
            while True:
                pcm: Pcm16 | None = await loop.run_in_executor(self._threads, next, voiced, None)
                if pcm is None:
                    break
                for chunk in _chunks(pcm):
                    await self._drained.wait()
                    ahead_ms = sent_ms - LEAD_MS - (self._now_s() - begun_s) * 1000 * self._limits.pace
                    if ahead_ms > 0:
                        await asyncio.sleep(ahead_ms / 1000 / self._limits.pace)
                    self._perform(self._session.voiced(effect.response_id, index, chunk, self._now_s()))
                    sent_ms += chunk.size / WIRE_SAMPLES_PER_MS

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def engine_server(speech: Speech, bind: str, port: int, limits: Limits = Limits()) -> AsyncIterator[str]:
    """Serve sessions while the context lives; yields the URL to connect to. Port 0 takes a free one.

    Raises OSError where the address cannot be bound.
    """
    open_sessions = 0

    async def handle(socket: ServerConnection) -> None:
        nonlocal open_sessions
        if open_sessions >= MAX_SESSIONS:
            await _close(socket, 1013, "The engine has all the sessions it can hold.", limits)
            return
        open_sessions += 1
        try:
            await _serve_session(socket, speech, threads, limits)
        finally:
            open_sessions -= 1

    with ThreadPoolExecutor(1, thread_name_prefix="voice") as threads:
        async with serve(
            handle,
            bind,
            port,
            process_request=_route,
            origins=LOCAL_ORIGINS,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_MESSAGES_WAITING,
            close_timeout=limits.close_timeout_s,
        ) as server:
            yield _url(server, bind)


async def _serve_session(socket: ServerConnection, speech: Speech, threads: ThreadPoolExecutor, limits: Limits) -> None:
    query = parse_qs(urlsplit(socket.request.path).query) if socket.request else {}
    session = Session(
        query.get("model", [DEFAULT_MODEL])[0],
        new_detector=speech.detector,
        dialogue=speech.dialogue(),
        new_id=lambda kind: f"{kind}_{uuid.uuid4().hex[:21]}",
        created_at=int(time.time()),
        now_s=asyncio.get_running_loop().time(),
    )
    try:
        code, reason = await _Connection(socket, session, speech, threads, limits).run()
    except Exception:  # noqa: BLE001 - a fault of ours ends one session, not the engine
        _log.exception("session_failed")
        code, reason = 1011, "The engine failed."
    await _close(socket, code, reason, limits)


async def _close(socket: ServerConnection, code: int, reason: str, limits: Limits) -> None:
    # The library waits without limit for room to write its close frame, and a client that does not read makes none.
    try:
        # Not asyncio.timeout: in Debian 12's Python 3.11.2 it lets its CancelledError out after a failed task group.
        await asyncio.wait_for(socket.close(code, reason), limits.close_timeout_s)
    except TimeoutError:
        socket.transport.abort()


def _route(connection: ServerConnection, request: Request) -> Response | None:
    path = urlsplit(request.path).path
    if path == PATH:
        return None
    if path == "/healthz":
        return connection.respond(HTTPStatus.OK, "ok\n")
    return connection.respond(HTTPStatus.NOT_FOUND, f"The engine serves {PATH}?model=...\n")


def _url(server: Server, bind: str) -> str:
    port = next(iter(server.sockets)).getsockname()[1]
    return f"ws://{local_host(bind)}:{port}{PATH}"


def _chunks(pcm: Pcm16) -> Iterator[Pcm16]:
    step = CHUNK_MS * WIRE_HZ // 1000
    for first in range(0, pcm.size, step):
        yield pcm[first : first + step]


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
