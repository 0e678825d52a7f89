"""`GET /events`: the feed as server-sent events (WHATWG HTML §9.2).

Each event is the whole of a topic, so that a client which is behind misses versions and never the state. What a client
has not taken yet is all that is kept for it; one that takes nothing for a while is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import structlog
from aiohttp import web

from service.clock import Clock
from service.http.feed import PERIOD_S, Feed

MAX_STREAMS = 16
HEARTBEAT_S = 10.0
"""Silence that a client takes for a lost connection is 2.5 times this; see page/stream.js."""
SLOW_S = 10.0
"""A client that has taken nothing for so long is dropped."""
STREAM_S = 900.0
"""Then the client connects again, and shows anew who it is."""
UNSENT_BYTES = 16_384
"""What the kernel takes ahead of a slow client, so that it is shown what is and not what was."""
RETRY_S = 5


class EventStreams:
    """The open streams of a worker."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._clock = Clock()
        self._closing = asyncio.Event()
        self._open = 0

    async def close(self, _app: web.Application) -> None:
        """End them all."""
        self._closing.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One client, until it goes, is dropped, or its time is up."""
        if self._open >= MAX_STREAMS or self._closing.is_set():
            raise web.HTTPServiceUnavailable(reason="too many consoles are open", headers={"Retry-After": str(RETRY_S)})
        self._open += 1
        try:
            return await self._serve(request)
        finally:
            self._open -= 1

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        # X-Accel-Buffering: nginx would gather events before it passes them on.
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        _keep_little_unsent(transport)
        try:
            await self._pass_on(response, transport)
        except TimeoutError:
            structlog.get_logger().info("console_dropped", reason="slow")
            transport.abort()
        except ConnectionResetError:
            pass
        return response

    async def _pass_on(self, response: web.StreamResponse, transport: asyncio.Transport) -> None:
        """Raises TimeoutError for a client that takes nothing, ConnectionResetError for one that is gone."""
        began_s = taken_s = told_s = time.monotonic()
        version = 0
        await response.write(event("hello", json.dumps({"now": self._clock.rfc3339(began_s)}).encode()))
        while not (self._closing.is_set() or transport.is_closing()):
            now_s = time.monotonic()
            if now_s - began_s > STREAM_S:
                return
            await self._feed.refresh(now_s)
            if not transport.get_write_buffer_size():
                taken_s = now_s
                version, news = self._feed.since(version)
                if news or now_s - told_s > HEARTBEAT_S:
                    told_s = now_s
                    async with asyncio.timeout(SLOW_S):
                        await response.write(b"".join(event(*one) for one in news) or event("heartbeat", b"{}"))
            elif now_s - taken_s > SLOW_S:
                raise TimeoutError
            await self._pause()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PERIOD_S):
                await self._closing.wait()


def event(topic: str, data: bytes) -> bytes:
    """One event; `data` is a line."""
    return b"event: %b\ndata: %b\n\n" % (topic.encode(), data)


def _keep_little_unsent(transport: asyncio.Transport) -> None:
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
