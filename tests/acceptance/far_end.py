"""A Realtime server that behaves as the test says, connection by connection."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

HOST = "127.0.0.1"
Manner = Callable[[ServerConnection], Awaitable[None]]
OVERSIZE_BYTES = 17 * 2**20
"""More than the service takes in one message."""


async def say(connection: ServerConnection, kind: str, **fields: Any) -> None:
    """One server event."""
    await connection.send(json.dumps({"type": kind, "event_id": "event_x", **fields}))


async def configured(connection: ServerConnection) -> None:
    """The first three events of a session that is opened well."""
    await say(connection, "session.created", session={"model": "gpt-realtime-2.1"})
    update = json.loads(await connection.recv())
    await say(connection, "session.updated", session=update["session"])


async def until_answered(connection: ServerConnection) -> None:
    """Open well; returns once the caller is connected: then the agent is asked to speak."""
    await configured(connection)
    async for raw in connection:
        if json.loads(raw)["type"] == "response.create":
            return


async def well(connection: ServerConnection) -> None:
    """Opens, listens, never speaks, confirms what it is told."""
    await configured(connection)
    await listen(connection)


async def listen(connection: ServerConnection) -> None:
    """Confirms what it is told until the end."""
    async for raw in connection:
        event = json.loads(raw)
        if event["type"] == "session.update":
            await say(connection, "session.updated", session=event["session"])


async def echo(connection: ServerConnection) -> None:
    """Opens well, then sends back at once what it hears, as one endless answer."""
    await until_answered(connection)
    response = {"id": "resp_0", "status": "in_progress", "conversation_id": "conv", "output": []}
    await say(connection, "response.created", response=response)
    where = {"response_id": "resp_0", "item_id": "item_0", "output_index": 0, "content_index": 0}
    async for raw in connection:
        event = json.loads(raw)
        match event["type"]:
            case "input_audio_buffer.append":
                await say(connection, "response.output_audio.delta", delta=event["audio"], **where)
            case "session.update":
                await say(connection, "session.updated", session=event["session"])
            case "response.cancel":
                await say(connection, "response.done", response={**response, "status": "cancelled"})


class FarEnd:
    """A websocket server on one port for its whole life, up and down, polite and not."""

    def __init__(self) -> None:
        self.manner: Manner = well
        self.status: HTTPStatus | None = None
        """Answer the handshake with this one."""
        self.deaf = False
        """Do not answer the handshake at all."""
        self.asked = 0
        """Handshakes so far."""
        self.port = 0
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """What the service is told to connect to."""
        return f"ws://{HOST}:{self.port}/v1/realtime"

    async def up(self) -> None:
        """Listen."""
        self._server = await serve(self._handle, HOST, self.port, process_request=self._greet, compression=None)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Listen no more: connections are refused."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def behave(self) -> None:
        """Be a good server again."""
        self.manner, self.status, self.deaf = well, None, False

    async def _greet(self, connection: ServerConnection, _request: Request) -> Response | None:
        self.asked += 1
        if self.deaf:
            await connection.wait_closed()
        return connection.respond(self.status, "no\n") if self.status is not None else None

    async def _handle(self, connection: ServerConnection) -> None:
        await self.manner(connection)


@contextlib.asynccontextmanager
async def far_end() -> AsyncIterator[FarEnd]:
    """One that is up."""
    server = FarEnd()
    await server.up()
    try:
        yield server
    finally:
        await server.down()
