"""A TCP proxy before the engine whose connections can be cut in the middle, as a network does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Literal
from urllib.parse import urlsplit

Way = Literal["up", "down"]
"""From the client to the server, or back."""
Place = Literal["before", "within", "after"]
"""Where a connection is cut that has bytes on their way: none of them, all but the last few, or all come through."""
TORN_BYTES = 5
"""Shorter than any frame with a message in it, so that what is torn is a frame."""


class Link:
    """One connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._ends = near, far
        self._ordered: Place | None = None
        self.alive = True

    def cut(self, place: Place = "before") -> None:
        """End it without a word: now, or with the next bytes that come from either side."""
        self._ordered = place
        if place == "before":
            self._abort()

    def passes(self, data: bytes, to: asyncio.StreamWriter) -> None:
        """Forward what an order to cut lets through."""
        if not self.alive:
            return
        to.write(data[:-TORN_BYTES] if self._ordered == "within" else data)
        if self._ordered is not None:
            self._abort()

    def _abort(self) -> None:
        self.alive = False
        for end in self._ends:
            end.transport.abort()


Watch = Callable[[Way, bytes], None]


class CutProxy:
    """Forwards bytes both ways. `on_link` is told of each connection, and gives who sees its bytes before they pass."""

    def __init__(self, url: str, on_link: Callable[[Link], Watch] = lambda _link: lambda _way, _data: None) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 0, parts.path
        self._on_link = on_link
        self._links: list[Link] = []
        self.refusing = False
        """Close whatever comes, as a server does that is being restarted."""
        self.connections = 0
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}{self._path}"
        try:
            yield
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """The network is gone for whoever is connected now."""
        for link in self._links:
            link.cut()
        self._links.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        link = Link(writer, far_writer)
        self._links.append(link)
        watch = self._on_link(link)
        await asyncio.gather(
            _pour(link, "up", reader, far_writer, watch), _pour(link, "down", far_reader, writer, watch)
        )


async def _pour(link: Link, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watch: Watch) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            watch(way, data)
            link.passes(data, writer)
            await writer.drain()
    link.alive = False
    writer.close()
