"""The event stream: in order, bounded in clients and in what is kept for each, and gone as soon as the worker stops."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import structlog

from service.config import Http
from service.http import feed, stream
from service.http.server import HttpServer
from service.telemetry.metrics import Metrics
from tests.http.in_memory import Calls, Outbox

Event = tuple[str, Any]


@pytest.fixture(autouse=True)
def log() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PERIOD_S", 0.01)
    monkeypatch.setattr(stream, "PERIOD_S", 0.01)


@asynccontextmanager
async def served(calls: Calls) -> AsyncIterator[str]:
    server = HttpServer(Http(port=0), Metrics(), calls, list, deliveries=Outbox(), dial=lambda: "sip:claims@192.0.2.1")
    async with asyncio.timeout(20), server:
        yield f"http://127.0.0.1:{server.port}/events"


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    topic = ""
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            topic = value
        elif name == "data":
            yield topic, json.loads(value)


async def test_everything_first_then_each_change_in_its_order() -> None:
    calls = Calls()
    async with served(calls) as url, aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        coming = events(answer)
        first = [await anext(coming) for _ in range(5)]
        assert [topic for topic, _ in first] == ["hello", "worker", "live", "recent", "outbox"]
        assert first[1][1]["dial"] == "sip:claims@192.0.2.1"
        for words in ("one", "one two", "one two three"):
            calls.growing = [{"call_id": "call_3", "text": words}]
            assert await anext(coming) == ("live", {"count": 1, "calls": [{"call_id": "call_3", "text": words}]})
        calls.growing, calls.left, calls.known = [], 3, {"call_3": {"call_id": "call_3"}}
        assert [(await anext(coming))[0] for _ in range(2)] == ["live", "recent"]


async def test_silence_is_filled_so_that_a_dead_connection_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    async with served(Calls()) as url, aiohttp.ClientSession() as http, http.get(url) as answer:
        coming = events(answer)
        topics = [(await anext(coming))[0] for _ in range(8)]
        assert topics[5:] == ["heartbeat"] * 3


async def test_one_console_too_many_is_refused_and_let_in_when_another_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS", 2)
    async with served(Calls()) as url, aiohttp.ClientSession() as http, AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(http.get(url)) for _ in range(2)]
        assert [one.status for one in streams] == [200, 200]
        async with http.get(url) as refused:
            assert refused.status == 503
            assert refused.headers["Retry-After"] == str(stream.RETRY_S)
        streams[0].close()
        while True:
            async with http.get(url) as again:
                if again.status == 200:
                    break


@contextmanager
def deaf_client(url: str) -> Iterator[socket.socket]:
    """Has asked for the stream, and takes as little of it as the kernel allows."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", urlsplit(url).port))
        deaf.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        deaf.setblocking(False)
        yield deaf


async def test_who_reads_late_is_shown_what_is_and_not_all_that_was() -> None:
    calls = Calls()
    async with served(calls) as url, aiohttp.ClientSession() as http, http.get(url) as good:
        reader = events(good)
        with deaf_client(url) as late:
            for number in range(60):
                calls.growing = [{"call_id": "call_3", "text": f"[{number}]" + 10_000 * "x"}]
                async for topic, value in reader:
                    if topic == "live" and value["calls"] == calls.growing:
                        break
            came = b""
            while b"[59]" not in came:
                came += await asyncio.get_running_loop().sock_recv(late, 1 << 16)
        assert len(came) < 60_000, "of 600,000"


async def test_a_client_that_reads_nothing_is_dropped_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, log: list[structlog.typing.EventDict]
) -> None:
    monkeypatch.setattr(stream, "SLOW_S", 0.2)
    calls = Calls()
    async with served(calls) as url, aiohttp.ClientSession() as http, http.get(url) as good:
        reader = events(good)
        with deaf_client(url) as deaf:
            written, number = 0, 0
            while not any(entry["event"] == "console_dropped" for entry in log):
                number += 1
                text = f"{number:6}" * 10_000
                calls.growing = [{"call_id": "call_3", "text": text}]
                written += len(text)
                async for topic, value in reader:
                    if topic == "live" and value["calls"] and value["calls"][0]["text"] == text:
                        break
            came = 0
            with suppress(ConnectionResetError):
                while chunk := await asyncio.get_running_loop().sock_recv(deaf, 1 << 16):
                    came += len(chunk)
        assert written > 4 * came, "what it did not take was not kept for it"


async def test_a_stopping_worker_does_not_wait_for_consoles() -> None:
    async with aiohttp.ClientSession() as http, AsyncExitStack() as opened:
        async with served(Calls()) as url:
            for _ in range(3):
                await opened.enter_async_context(http.get(url))
            begun_s = time.monotonic()
        assert time.monotonic() - begun_s < 0.5


async def test_with_nobody_looking_nothing_is_looked_at() -> None:
    calls = Calls()
    async with served(calls) as url, aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            await anext(events(answer))
        await asyncio.sleep(0.1)
        looks = calls.looks
        await asyncio.sleep(0.1)
        assert calls.looks == looks
