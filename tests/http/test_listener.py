"""Strangers who hold connections open, or send what is no HTTP, cost the worker neither descriptors nor log lines."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest
from pydantic import SecretStr

from service.config import Http
from service.http.listener import MAX_CONNECTIONS
from service.http.server import HttpServer
from service.telemetry.metrics import Metrics
from tests.http.in_memory import Calls, Outbox

PROBE = b"GET /readyz HTTP/1.1\r\nHost: worker\r\n\r\n"
FORM = b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def serving() -> HttpServer:
    settings = Http(port=0, token=SecretStr("t" * 20))
    return HttpServer(settings, Metrics(), Calls(), list, deliveries=Outbox(), dial=str)


async def answered(server: HttpServer, request: bytes) -> bytes:
    """The status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    async with asyncio.timeout(5.0):
        line = await reader.readline()
    writer.close()
    return line


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /readyz HTTP/1.1\r\nX: ", FORM + b"Content-Length: 9\r\n\r\ntoken"],
    ids=["nothing", "half a header", "half a form"],
)
async def test_connections_held_open_are_bounded_and_keep_out_no_probe(sent: bytes) -> None:
    held: list[Streams] = []
    async with serving() as server:
        for _ in range(MAX_CONNECTIONS):
            held.append(await asyncio.open_connection("127.0.0.1", server.port))
            held[-1][1].write(sent)
        assert await answered(server, PROBE) == b"HTTP/1.1 200 OK\r\n"
        async with asyncio.timeout(5.0):
            with suppress(ConnectionResetError):
                assert await held[0][0].read() == b""
            assert not held[1][0].at_eof(), "one made room"
        for _, writer in held:
            writer.close()
            with suppress(ConnectionResetError):
                await writer.wait_closed()


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: claimline_80=its-value\x01\r\n\r\n",
    ],
    ids=["TLS", "no host", "a header that is none"],
)
async def test_what_is_no_http_is_refused_and_not_logged(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        with caplog.at_level(logging.DEBUG, logger="aiohttp"):
            assert await answered(server, request_) == b"HTTP/1.0 400 Bad Request\r\n"
    assert caplog.records == []


async def test_a_compressed_form_is_not_unpacked(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        packed = await answered(server, FORM + b"Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\ntoken=a")
    assert packed == b"HTTP/1.1 401 Unauthorized\r\n"
    assert caplog.records == []
