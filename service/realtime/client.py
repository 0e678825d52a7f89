"""The websocket to the Realtime server: opens a session, sends events, yields events."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import websockets
from websockets.asyncio.client import ClientConnection, connect

from service.realtime import wire
from service.realtime.commands import AudioAppend, ClientEvent, SessionUpdate
from service.realtime.event_log import EventLog
from service.realtime.events import (
    Malformed,
    ResponseCreated,
    ResponseDone,
    ServerError,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    TranscriptionCompleted,
)

SEND_QUEUE_EVENTS = 500
"""Ten seconds of audio; beyond it new audio is dropped, never another event."""
MAX_MESSAGE_BYTES = 16 * 2**20
CLOSE_TIMEOUT_S = 2.0


METERED = (SessionCreated, SessionUpdated, ResponseCreated, ResponseDone, TranscriptionCompleted)
METERED_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in METERED)


class SessionError(Exception):
    """The session could not be opened, or broke. `reason` is a short label for metrics and records."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Received:
    """One server event, with its text for whoever needs more of it than the typed fields."""

    event: ServerEvent
    raw: str | bytes

    @property
    def metered(self) -> bool:
        """Whether the meter has to see it: it names the model, opens a response, or reports usage.

        One that is malformed in other fields still has to be paid for.
        """
        return isinstance(self.event, METERED) or (
            isinstance(self.event, Malformed) and self.event.type in METERED_TYPES
        )

    def as_dict(self) -> dict[str, Any]:
        """The event as plain JSON."""
        return wire.as_dict(self.raw)


class RealtimeClient:
    """One open session. Made by `open_session`."""

    def __init__(self, connection: ClientConnection, log: EventLog | None) -> None:
        self._connection = connection
        self._log = log
        self._queue: deque[ClientEvent] = deque()
        self._wake = asyncio.Event()
        self.audio_dropped = 0
        """Audio events given up because the server did not take them."""

    @property
    def server_date(self) -> str | None:
        """The `Date` header of the server's answer to the handshake, where it sent one."""
        answer = self._connection.response
        return answer.headers.get("Date") if answer is not None else None

    def send(self, event: ClientEvent) -> None:
        """Queue an event; order is kept."""
        if len(self._queue) >= SEND_QUEUE_EVENTS and isinstance(event, AudioAppend):
            self.audio_dropped += 1
            return
        self._queue.append(event)
        self._wake.set()

    async def pump(self) -> None:
        """Send what is queued until the connection ends or this is cancelled. Raises `SessionError`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._send(self._queue.popleft())

    async def events(self) -> AsyncIterator[Received]:
        """Server events as they come. Ends only by raising `SessionError`."""
        try:
            async for raw in self._connection:
                yield self._received(raw)
        except websockets.ConnectionClosed as closed:
            raise _closed(closed) from None
        # Iteration ends silently on 1000 and 1001; for a call that is as much an end as any other.
        raise SessionError("closed", f"the server closed the session ({self._connection.close_code})")

    async def configure(self, session: dict[str, Any]) -> list[Received]:
        """Send `session.update` and wait for its echo. Gives the events up to it. Raises `SessionError`."""
        first = await self._next()
        if not isinstance(first.event, SessionCreated):
            raise SessionError("protocol", f"expected session.created, got {_name(first.event)}")
        await self._send(SessionUpdate(event_id="configure", session=session))
        seen = [first]
        while True:
            received = await self._next()
            seen.append(received)
            match received.event:
                case SessionUpdated():
                    return seen
                case ServerError(error=error):
                    code = error.code or error.type or "error"
                    raise SessionError(code, f"the server refused the session: {error.message}")
                case Malformed(problem=problem):
                    raise SessionError("protocol", f"the server sent nonsense: {problem}")
                case _:
                    continue

    async def close(self) -> None:
        """Close politely."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()
        except TimeoutError:
            pass

    async def _next(self) -> Received:
        try:
            return self._received(await self._connection.recv())
        except websockets.ConnectionClosed as closed:
            raise _closed(closed) from None

    def _received(self, raw: str | bytes) -> Received:
        if self._log is not None:
            self._log.write("recv", raw, time.monotonic())
        return Received(wire.decode(raw), raw)

    async def _send(self, event: ClientEvent) -> None:
        text = wire.encode(event)
        if self._log is not None:
            self._log.write("sent", text, time.monotonic())
        try:
            await self._connection.send(text, text=True)
        except websockets.ConnectionClosed as closed:
            raise _closed(closed) from None


async def open_session(
    url: str, model: str, api_key: str | None, session: dict[str, Any], log: EventLog | None
) -> tuple[RealtimeClient, list[Received]]:
    """Connect and configure. Gives the client and the events seen so far.

    Raises `SessionError`; the caller bounds the time, and closes the log when the call has had its last session.
    """
    client = RealtimeClient(await _connect(url, model, api_key), log)
    try:
        return client, await client.configure(session)
    except BaseException:
        await client.close()
        raise


async def _connect(url: str, model: str, api_key: str | None) -> ClientConnection:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        return await connect(
            with_model(url, model),
            additional_headers=headers,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,  # base64 audio does not shrink enough to be worth the processor
            open_timeout=None,
            proxy=None if urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"} else True,
        )
    except websockets.InvalidStatus as refused:
        status = refused.response.status_code
        reason = "unauthorized" if status in {401, 403} else "refused"
        raise SessionError(reason, f"the Realtime server answered HTTP {status}") from None
    except (websockets.InvalidURI, websockets.InvalidProxy) as wrong:
        # Their own text holds the URL, and with it passwords and keys.
        raise SessionError("unreachable", f"realtime.url or the environment's proxy: {wrong.msg}") from None
    except (ValueError, ImportError) as wrong:
        # A port or name that is none, a proxy of a kind that needs another package.
        raise SessionError("unreachable", f"realtime.url or the environment's proxy: {wrong}") from None
    except websockets.InvalidHeader as broken:
        # Of ours or of the answer: its value may be the key.
        raise SessionError("protocol", f"not a websocket server: invalid {broken.name} header") from None
    except (websockets.InvalidHandshake, EOFError) as broken:
        raise SessionError("protocol", f"not a websocket server: {broken}") from None
    except OSError as error:
        problem = str(error) or type(error).__name__
        raise SessionError("unreachable", f"cannot reach the Realtime server: {problem}") from None


def with_model(url: str, model: str) -> str:
    """The URL with `?model=` added to whatever query it has."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode({"model": model})]))
    return urlunsplit(parts._replace(query=query))


def _closed(closed: websockets.ConnectionClosed) -> SessionError:
    code = closed.rcvd.code if closed.rcvd else 1006
    return SessionError("closed", f"the Realtime connection closed ({code})")


def _name(event: ServerEvent) -> str:
    return getattr(event, "type", None) or type(event).__name__
