"""A webhook receiver on aiohttp: the reference for backend teams, the demo's backend, and a far end that can fail."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from service.clock import rfc3339
from service.errors import RemoteProtocolError
from service.outbox.inbox import Inbox, Received, parse
from service.outbox.signature import Secret, SignatureError, verify

Misdeed = Literal["status", "hang", "redirect", "drip", "close", "forget", "lie"]
"""What to do instead of taking a message: answer `status`; answer never; redirect to itself; answer 200 one byte a
second; close without an answer; `forget`: take it, but close without an answer, so that it comes twice; `lie`: answer
204 and take nothing, so that only a replay brings it back."""
HANG_S = 3600.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Which requests fail, and how: the first `first`, then each with `probability`."""

    misdeed: Misdeed = "status"
    status: int = 500
    retry_after: str | None = None
    first: int = 0
    probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request, whatever became of it."""

    webhook_id: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    verdict: Literal["taken", "duplicate", "failed", "forged", "malformed"]


class Receiver:
    """Takes messages on `POST` to any path. Use with `async with`."""

    def __init__(
        self,
        secrets: Sequence[Secret],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fault: Fault | None = None,
        on_message: Callable[[Received], None] = lambda message: None,
        on_refusal: Callable[[str], None] = lambda reason: None,
        journal: Path | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        """`port` 0 takes a free one. `journal` is a JSON-lines file of what was taken, and read again at start.

        `on_message` gets each message once, in the order of its call.
        """
        self.fault = fault or Fault()
        self.messages: list[Received] = []
        """Each message once, in the order of its call."""
        self.arrivals: list[Arrival] = []
        """Every request."""
        self.port = port
        self._secrets = tuple(secrets)
        self._host = host
        self._on_message = on_message
        self._on_refusal = on_refusal
        self._journal = journal
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - when to fail
        self._inbox = Inbox()
        self._requests = 0
        self._changed = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}/webhooks"

    async def __aenter__(self) -> Self:
        if self._journal is not None:
            await asyncio.to_thread(self._read_journal, self._journal)
        app = web.Application()
        app.router.add_post("/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait_for(self, enough: Callable[[list[Received]], bool], timeout_s: float) -> list[Received]:
        """The messages, once `enough` says so. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: enough(self.messages))
        return self.messages

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self._requests += 1
        if self._requests <= self.fault.first or self._rng.random() < self.fault.probability:
            if self.fault.misdeed == "forget":
                await self._take(headers, body)
            else:
                self._arrived(headers, body, "failed")
            return await self._misbehave(request)
        return await self._take(headers, body)

    async def _take(self, headers: dict[str, str], body: bytes) -> web.Response:
        try:
            webhook_id = verify(self._secrets, headers, body, self._clock())
        except SignatureError as error:
            self._arrived(headers, body, "forged")
            self._on_refusal(str(error))
            return web.Response(status=401, text=str(error))
        try:
            message = parse(webhook_id, body)
            is_new = self._inbox.is_new(message)
        except RemoteProtocolError as error:
            self._arrived(headers, body, "malformed")
            self._on_refusal(str(error))
            return web.Response(status=400, text=str(error))
        if not is_new:
            self._arrived(headers, body, "duplicate")
            return web.Response(status=204)
        if self._journal is not None:
            # Kept before it counts as seen: what could not be kept has to come again.
            try:
                self._write_journal(self._journal, webhook_id, body)
            except OSError as error:
                self._arrived(headers, body, "failed")
                self._on_refusal(f"the journal cannot be written: {error}")
                return web.Response(status=503, text="the journal cannot be written")
        self._arrived(headers, body, "taken")
        released = self._inbox.accept(message) or []
        for one in released:
            self._on_message(one)
        async with self._changed:
            self.messages.extend(released)
            self._changed.notify_all()
        return web.Response(status=204)

    def _arrived(
        self,
        headers: dict[str, str],
        body: bytes,
        verdict: Literal["taken", "duplicate", "failed", "forged", "malformed"],
    ) -> None:
        self.arrivals.append(Arrival(headers.get("webhook-id", ""), headers, body, verdict))

    async def _misbehave(self, request: web.Request) -> web.StreamResponse:
        match self.fault.misdeed:
            case "hang":
                await self._wait_s(HANG_S)
            case "redirect":
                return web.Response(status=307, headers={"Location": self.url})
            case "drip":
                return await self._drip(request)
            case "status":
                headers = {} if self.fault.retry_after is None else {"Retry-After": self.fault.retry_after}
                return web.Response(status=self.fault.status, headers=headers, text="told to fail")
            case "lie":
                return web.Response(status=204)
            case "close" | "forget":
                pass
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                request.transport.write(bytes((byte,)))
                await self._wait_s(1.0)
            request.transport.abort()
        return web.Response()

    async def _wait_s(self, time_s: float) -> None:
        try:
            async with asyncio.timeout(time_s):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _read_journal(self, path: Path) -> None:
        if not path.exists():
            return
        with path.open("r+b") as lines:
            for line in lines:
                try:
                    self._inbox.accept(parse(str(json.loads(line)["webhook_id"]), line))
                except (ValueError, KeyError, TypeError, RemoteProtocolError):
                    continue  # A receiver that was killed may leave half a line.
                finally:
                    torn = not line.endswith(b"\n")
            if lines.tell() and torn:
                lines.write(b"\n")

    def _write_journal(self, path: Path, webhook_id: str, body: bytes) -> None:
        entry = {"webhook_id": webhook_id, "received_at": rfc3339(self._clock())} | json.loads(body)
        # A lone surrogate has no UTF-8; as a backslash escape it is JSON.
        with path.open("a", encoding="utf-8", errors="backslashreplace") as lines:
            lines.write(json.dumps(entry, ensure_ascii=False) + "\n")
