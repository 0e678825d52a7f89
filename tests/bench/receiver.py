"""A webhook endpoint in a process of its own: takes whatever comes, and keeps when its first byte came."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import time
from multiprocessing.connection import Connection

from tests.bench.rtp import HOST

READY_TIMEOUT_S = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

Arrival = tuple[int, bytes]
"""When its first byte was read, on the monotonic clock in nanoseconds, and the body."""


class _Endpoint(asyncio.Protocol):
    """As much of HTTP/1.1 as the sender speaks: requests one after the other, their length named."""

    def __init__(self, arrivals: list[Arrival]) -> None:
        self._arrivals = arrivals
        self._transport: asyncio.Transport | None = None
        self._request = bytearray()
        self._first_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._request:
            self._first_ns = time.monotonic_ns()
        self._request += data
        head, end, body = self._request.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if end and length is not None and len(body) >= int(length[1]) and self._transport is not None:
            self._arrivals.append((self._first_ns, bytes(body)))
            self._request.clear()
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def _main(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    arrivals: list[Arrival] = []
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[bool] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: orders.put_nowait(_order(pipe)))
    async with await loop.create_server(lambda: _Endpoint(arrivals), HOST, 0) as server:
        pipe.send(server.sockets[0].getsockname()[1])
        while await orders.get():
            pipe.send(arrivals)
            arrivals.clear()


def _order(pipe: Connection) -> bool:
    try:
        return bool(pipe.recv())
    except EOFError:
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        return False


class Receiver:
    """The endpoint's process. Use with `with`."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_main, args=(far_end,), name="bench-receiver", daemon=True)
        self._process.start()
        far_end.close()
        if not self._pipe.poll(READY_TIMEOUT_S):
            raise TimeoutError(f"the bench's receiver was not ready within {READY_TIMEOUT_S:g} s")
        self.url = f"http://{HOST}:{self._pipe.recv()}/"

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def collect(self) -> list[Arrival]:
        """What has come since the last time, in the order it came."""
        self._pipe.send(True)
        arrivals: list[Arrival] = self._pipe.recv()
        return arrivals
