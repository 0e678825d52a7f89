"""The product as its operator runs it: `claimline` commands as processes, seen only from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from service.outbox.inbox import Received
from service.schemas import schema_json

SECRET = "whsec_" + b64encode(b"acceptance tests, thirty-two byte").decode()
READY_S = 30.0
STOP_S = 30.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Command:
    """A `claimline` command that runs, and the line by which it said that it was ready."""

    process: asyncio.subprocess.Process
    says: str

    def kill(self) -> None:
        """SIGKILL: no time to tidy up."""
        self.process.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM: what stops a service."""
        self.process.terminate()

    async def exit_code(self, timeout_s: float = STOP_S) -> int:
        """Once it has ended by itself."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(
    name: str, log: Path, *arguments: str, ready: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Command]:
    """Run `claimline NAME` until the context ends; what it prints goes to the file `log`.

    It has to end with 0, unless the test has killed it.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CLAIMLINE_")}
    with log.open("ab") as output:
        begun = output.tell()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "service", name, *arguments),
            env=environment | dict(settings or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Command(process, await _line_with(ready, log, begun, process))
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
    assert process.returncode in {0, -signal.SIGKILL}, _end_of(log)


async def _line_with(word: str, log: Path, begun: int, process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(READY_S):
        while process.returncode is None:
            if found := re.search(rf".*{word}.*\n", _written(log, begun)):
                return found.group()
            await asyncio.sleep(POLL_S)
    raise AssertionError(f"claimline ended at once: {_end_of(log)}")


def _written(log: Path, begun: int = 0) -> str:
    return log.read_bytes()[begun:].decode(errors="replace")


def _end_of(log: Path) -> str:
    return _written(log)[-3000:]


@dataclass(frozen=True, slots=True)
class Service:
    """A running `claimline serve`."""

    command: Command
    sip_port: int
    http_url: str
    log: Path
    http: aiohttp.ClientSession

    async def calls(self) -> list[dict[str, Any]]:
        """`GET /calls`: live ones first, then the newest."""
        async with self.http.get(f"{self.http_url}/calls") as answer:
            calls: list[dict[str, Any]] = (await answer.json())["calls"]
            return calls

    async def call(self, call_id: str) -> dict[str, Any]:
        """`GET /calls/{call_id}`."""
        async with self.http.get(f"{self.http_url}/calls/{call_id}") as answer:
            call: dict[str, Any] = await answer.json()
            return call

    async def until_calls(self, enough: Callable[[list[dict[str, Any]]], bool], timeout_s: float = 15.0) -> Any:
        """`GET /calls`, once `enough` says so."""
        async with asyncio.timeout(timeout_s):
            while not enough(calls := await self.calls()):  # noqa: ASYNC110 -- seen from outside
                await asyncio.sleep(POLL_S)
        return calls

    async def endings(self, count: int) -> list[tuple[str, str]]:
        """(result, reason) of the ended calls, the oldest first, once there are `count`."""
        calls = await self.until_calls(lambda calls: sum(call["result"] is not None for call in calls) >= count)
        return [(call["result"], call["reason"]) for call in reversed(calls) if call["result"] is not None]

    async def ready_status(self) -> int:
        """Status of `GET /readyz`."""
        async with self.http.get(f"{self.http_url}/readyz") as answer:
            return answer.status

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name which have these labels."""
        async with self.http.get(f"{self.http_url}/metrics") as answer:
            text = await answer.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of that event."""
        lines = [line for line in _written(self.log).splitlines() if line.startswith("{")]
        return [entry for entry in map(json.loads, lines) if entry.get("event") == event]


@contextlib.asynccontextmanager
async def serving(
    scratch: Path, realtime_url: str, *, webhook_url: str = "", **settings: str
) -> AsyncIterator[Service]:
    """A worker on loopback and free ports. `settings` by their environment names without the prefix."""
    log = scratch / "service.log"
    environment = {
        "REALTIME__URL": realtime_url,
        "REALTIME__EVENT_LOG": str(scratch / "events"),
        "SIP__BIND": "127.0.0.1",
        "SIP__PORT": "0",
        "HTTP__PORT": "0",
        "OUTBOX__PATH": str(scratch / "outbox.db"),
        **({"WEBHOOK__URL": webhook_url, "WEBHOOK__SECRET": SECRET} if webhook_url else {}),
        **settings,
    }
    environment = {f"CLAIMLINE_{name}": value for name, value in environment.items()}
    async with running("serve", log, ready="answers at", settings=environment) as command:
        port, url = re.search(r"sip:\S+:(\d+) ", command.says), re.search(r"http://[^/]+", command.says)
        assert port is not None
        assert url is not None
        async with aiohttp.ClientSession() as http:
            yield Service(command, int(port[1]), url.group(), log, http)


@dataclass(frozen=True, slots=True)
class DemoRun:
    """`claimline demo`, begun some time ago."""

    process: subprocess.Popen[bytes]
    screen: Path
    """What it has printed."""
    out: Path
    """Where it leaves its results."""


def schema_of(message_type: str) -> dict[str, Any]:
    """The published JSON Schema."""
    text = schema_json(message_type)
    assert text is not None, f"no schema for {message_type}"
    schema: dict[str, Any] = json.loads(text)
    return schema


def has_ended(count: int = 1) -> Callable[[list[Received]], bool]:
    """For `Receiver.wait_for`: so many calls have ended."""
    return lambda messages: sum(message.type == "call.ended" for message in messages) >= count


def event_log(scratch: Path, call_id: str) -> Path:
    """The file of the call's events."""
    return scratch / "events" / f"{call_id}.jsonl"
