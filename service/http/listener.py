"""Listens, and bounds what strangers can hold open: the calls of the worker need descriptors too."""

from __future__ import annotations

import asyncio

from aiohttp import web

MAX_CONNECTIONS = 64
"""All consoles, probes and scrapes at once are fewer. For one more the oldest is cut off, so that whoever holds
connections open keeps out no probe."""
IDLE_S = 75.0
"""A connection without a request is closed then; scrapes and probes mostly come once a minute or more often."""


async def listen(server: web.Server, bind: str, port: int) -> asyncio.Server:
    """Serve connections to `bind`, until closed. Raises OSError where the address cannot be had."""

    def accepted() -> asyncio.BaseProtocol:
        _make_room(server)
        return server()

    return await asyncio.get_running_loop().create_server(accepted, bind, port)


def _make_room(server: web.Server) -> None:
    transports = [connection.transport for connection in server.connections]
    is_open = [transport for transport in transports if transport is not None and not transport.is_closing()]
    if len(is_open) >= MAX_CONNECTIONS:
        # Not close: that would wait for a client that takes nothing.
        is_open[0].abort()
