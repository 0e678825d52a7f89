"""Whoever has only the log can follow a call through its lines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.app import Worker
from service.call.leg import Digit, MediaActive, MediaHeld
from service.config import Config, Log
from service.outbox.outbox import Outbox
from service.realtime.client import SessionError
from service.realtime.commands import ClientEvent, ResponseCreate, SessionUpdate
from service.telemetry.logs import configure
from sip.admission import Refusal
from tests.call.test_runner import MODEL, MemoryLeg, MemorySession, World, opens, settle

WORDS = "I had an accident."


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure(Log(format="json"), ["sk-test-0123456789"], stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def answering(session: MemorySession) -> MemorySession:
    def react(event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=None):
                session.greet()
            case ResponseCreate():
                session.transcribe(event, WORDS)
            case SessionUpdate():
                session.says("session.updated", session={})

    session.react = react
    return session


async def test_a_calls_life_can_be_read_from_its_lines(stream: io.StringIO, tmp_path: Path) -> None:
    first, second = answering(MemorySession()), answering(MemorySession())
    async with await Outbox.open(tmp_path / "outbox.db") as outbox:
        world = World(outbox, opens(first, second))
        record = world.runner.record
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(world.runner.run())
            await settle(lambda: record.ledger.cost_usd is not None and record.answered_s is not None)
            world.leg.audio.take_downlink(0.0)
            first.caller_turn("u1")
            await settle(lambda: len(record.turns) == 1)
            world.leg.on_event(MediaHeld())
            world.leg.on_event(MediaActive("PCMU"))
            world.leg.on_event(Digit("7", 100))
            first.inbox.put_nowait(SessionError("closed", "the Realtime connection closed (1006)"))
            await settle(lambda: "session_replaced" in stream.getvalue())
            world.leg.caller_hangs_up()
    lines: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "call_invited",
        "session_opened",
        "call_answered",
        "turn_transcribed",
        "call_held",
        "call_resumed",
        "key_pressed",
        "session_lost",
        "session_opened",
        "session_replaced",
        "call_ended",
    ]
    assert {line["call_id"] for line in lines} == {"call_1"}
    assert [line["event"] for line in lines if line["level"] != "info"] == ["session_lost"]
    assert WORDS not in stream.getvalue()
    invited, opened, ended = lines[0], lines[1], lines[-1]
    assert (invited["line"], invited["caller"], opened["model"]) == ("claims", "sip:+1555@carrier", MODEL)
    assert (ended["result"], ended["reason"], ended["turns"]) == ("success", "caller_hung_up", 1)
    assert float(ended["cost_usd"]) > 0


async def test_a_call_that_gets_no_session_says_why(stream: io.StringIO, tmp_path: Path) -> None:
    async with await Outbox.open(tmp_path / "outbox.db") as outbox:
        world = World(outbox, opens(SessionError("unauthorized", "the Realtime server answered HTTP 401")))
        async with asyncio.timeout(5):
            await world.runner.run()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("call_invited", "info"),
        ("session_not_opened", "warning"),
        ("call_ended", "info"),
    ]
    assert (lines[1]["reason"], lines[1]["problem"]) == ("unauthorized", "the Realtime server answered HTTP 401")
    assert lines[2]["result"] == "upstream_error"


def test_the_line_of_a_stranger_names_the_setting(stream: io.StringIO) -> None:
    worker, invite = Worker(Config()), MemoryLeg().invite
    worker._on_refused(Refusal(invite, 403, "not_allowed"))
    worker._on_refused(Refusal(invite, 503, "capacity"))
    stranger, late = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (stranger["event"], stranger["peer"]) == ("call_refused", "127.0.0.1")
    assert "sip.allowed_peers" in stranger["hint"]
    assert "hint" not in late
