"""Whole calls in memory: a leg and a Realtime session that speak their protocols, the real outbox, no network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from service.billing.prices import PriceTable
from service.call import ending
from service.call.leg import Confirmed, Digit, Ended, Invite, LegEvent, MediaActive
from service.call.registry import Registry
from service.call.runner import CallRunner
from service.call.services import CallServices
from service.call.sessions import OpenSession, Target
from service.clock import Clock
from service.config import Claim, Realtime, Transcription
from service.media.ring import AudioHandover
from service.outbox.message import MessageFilter, encode_body, encode_data
from service.outbox.outbox import Outbox
from service.realtime import wire
from service.realtime.client import Received, SessionError
from service.realtime.commands import ClientEvent, ResponseCreate, SessionUpdate
from service.telemetry.metrics import Metrics
from service.transcript.redaction import Redaction

MODEL = "gpt-realtime-2.1"
USAGE = {
    "total_tokens": 130,
    "input_tokens": 100,
    "output_tokens": 30,
    "input_token_details": {"text_tokens": 60, "audio_tokens": 40, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 10, "audio_tokens": 20},
}


class MemoryLeg:
    """A leg in memory that answers as a well-behaved caller's would."""

    def __init__(self, audio: AudioHandover | None = None) -> None:
        self.invite = Invite("sip-call-1", "sip:+1555@carrier", "sip:claims@line", "claims", "127.0.0.1", "memory")
        self.audio = audio or AudioHandover()
        self.did: list[str] = []
        self.bye_reason: str | None = None
        self.on_event: Callable[[LegEvent], None] = lambda _event: None
        self.on_tick: Callable[[], None] = lambda: None

    def listen(self, on_event: Callable[[LegEvent], None], on_tick: Callable[[], None]) -> None:
        self.on_event, self.on_tick = on_event, on_tick

    def ring(self) -> None:
        self.did.append("180")

    def answer(self) -> None:
        self.did.append("200")
        asyncio.get_running_loop().call_soon(self.on_event, MediaActive("PCMU"))
        asyncio.get_running_loop().call_soon(self.on_event, Confirmed())

    def refuse(self, code: int, reason: str, retry_after_s: int | None = None) -> None:
        self.did.append(f"{code} retry {retry_after_s}")
        asyncio.get_running_loop().call_soon(self.on_event, Ended(code, reason, "us"))

    def hangup(self, reason: str | None = None) -> None:
        if "BYE" not in self.did:
            self.bye_reason = reason
            self.did.append("BYE")
            asyncio.get_running_loop().call_soon(self.on_event, Ended(200, reason or "", "us"))

    def caller_hangs_up(self) -> None:
        self.on_event(Ended(200, "", "caller"))


class MemorySession:
    """A Realtime session in memory; the test is its server."""

    def __init__(self) -> None:
        self.audio_dropped = 0
        self.sent: list[ClientEvent] = []
        self.inbox: asyncio.Queue[dict[str, Any] | SessionError] = asyncio.Queue()
        self.closed = False
        self.react: Callable[[ClientEvent], None] = lambda _event: None

    def send(self, event: ClientEvent) -> None:
        self.sent.append(event)
        self.react(event)

    async def pump(self) -> None:
        await asyncio.Event().wait()

    async def events(self) -> AsyncIterator[Received]:
        while True:
            event = await self.inbox.get()
            if isinstance(event, SessionError):
                raise event
            raw = json.dumps(event)
            yield Received(wire.decode(raw), raw)

    async def close(self) -> None:
        self.closed = True

    def says(self, kind: str, **fields: Any) -> None:
        self.inbox.put_nowait({"type": kind, "event_id": "e", **fields})

    # -- a small server --

    def greet(self) -> None:
        self.says("response.created", response={"id": "r1", "conversation_id": "c", "output": []})
        self.says("response.output_audio.delta", response_id="r1", item_id="a1", delta="AAAA" * 100)
        self.says("response.output_audio.done", response_id="r1", item_id="a1")
        self.says("response.done", response={"id": "r1", "status": "completed", "output": [], "usage": USAGE})

    def caller_turn(self, item: str) -> None:
        self.says("input_audio_buffer.speech_started", item_id=item, audio_start_ms=0)
        self.says("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=900)
        self.says("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        self.says(
            "conversation.item.added",
            previous_item_id=None,
            item={"id": item, "type": "message", "role": "user", "status": "completed", "content": content},
        )

    def transcribe(self, event: ResponseCreate, text: str) -> None:
        assert event.response is not None
        response = {
            "id": "oob_" + event.response["metadata"]["item_id"],
            "status": "completed",
            "conversation_id": None,
            "metadata": event.response["metadata"],
            "output": [{"id": "o", "type": "message", "content": [{"type": "output_text", "text": text}]}],
            "usage": USAGE,
        }
        self.says("response.created", response={**response, "status": "in_progress", "output": [], "usage": None})
        self.says("response.done", response=response)


class World:
    """A worker's parts around one call."""

    def __init__(
        self,
        outbox: Outbox,
        open_session: OpenSession,
        *,
        clock: Clock | None = None,
        audio: AudioHandover | None = None,
        payload: dict[str, Any] | None = None,
        max_call_s: float = 3600.0,
        extract: Literal["turn", "end", "off"] = "off",
        shared: dict[str, Any] | None = None,
        **realtime: Any,
    ) -> None:
        self.outbox = outbox
        self.leg = MemoryLeg(audio)
        self.metrics = Metrics()
        self.registry = Registry(10)
        services = CallServices(
            realtime=Realtime(model=MODEL, **realtime),
            target=Target(
                "ws://127.0.0.1:1/v1/realtime", MODEL, None, payload or {}, realtime.get("connect_timeout_s", 5.0)
            ),
            transcription=Transcription(flush_timeout_s=0.3),
            transcription_instructions="Write it down.",
            claim=Claim(extract=extract),
            claim_instructions="Note it.",
            redaction=Redaction({}, card_numbers=True),
            worker_id="w",
            retry_after_s=7,
            max_call_s=max_call_s,
            echo_tail_ms=400,
            prices=PriceTable.load(),
            outbox=outbox,
            metrics=self.metrics,
            registry=self.registry,
            clock=clock or Clock(),
            open_session=open_session,
        )
        self.services = replace(services, **(shared or {}))
        self.runner = CallRunner("call_1", self.leg, self.services)

    async def messages(self) -> list[dict[str, Any]]:
        bodies = [
            await self.outbox.body(message.webhook_id)
            for message in await self.outbox.find(MessageFilter(), limit=10_000)
        ]
        return [json.loads(body) for body in bodies if body is not None]

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def opens(*sessions: MemorySession | SessionError) -> OpenSession:
    """Gives one after the other; the last error stays."""
    left = list(sessions)

    async def open_session(*_: Any) -> tuple[MemorySession, list[Received]]:
        following = left.pop(0) if len(left) > 1 or not isinstance(left[0], SessionError) else left[0]
        if isinstance(following, SessionError):
            raise following
        created = json.dumps({"type": "session.created", "session": {"model": MODEL}})
        return following, [Received(wire.decode(created), created)]

    return open_session  # type: ignore[return-value]


def fails(reason: str) -> OpenSession:
    async def open_session(*_: Any) -> tuple[MemorySession, list[Received]]:
        raise SessionError(reason, "no")

    return open_session  # type: ignore[return-value]


async def hangs(*_: Any) -> tuple[MemorySession, list[Received]]:
    await asyncio.Event().wait()
    raise AssertionError


async def settle(until: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not until():  # noqa: ASYNC110 -- conditions of several objects, in memory
            await asyncio.sleep(0)


async def test_a_call_from_greeting_to_the_last_webhook(outbox: Outbox) -> None:
    session = MemorySession()
    world = World(outbox, opens(session))

    def react(event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=None):
                session.greet()
            case ResponseCreate():
                session.transcribe(event, "I had an accident.")
            case SessionUpdate():
                session.says("session.updated", session={})

    session.react = react
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(
            lambda: world.runner.record.ledger.cost_usd is not None and world.runner.record.answered_s is not None
        )
        world.leg.audio.take_downlink(0.0)
        session.caller_turn("u1")
        await settle(lambda: len(world.runner.record.turns) == 1)
        assert world.counted("claimline_calls_active") == 1
        world.leg.caller_hangs_up()
    assert world.leg.did == ["180", "200"]
    assert session.closed
    messages = await world.messages()
    assert [message["type"] for message in messages] == ["call.started", "turn.transcribed", "call.ended"]
    assert [message["data"]["seq"] for message in messages] == [1, 2, 3]
    turn, ended = messages[1]["data"], messages[2]["data"]
    assert (turn["transcript"], turn["source"], turn["turn"], turn["model"]) == (
        "I had an accident.",
        "out_of_band",
        1,
        MODEL,
    )
    assert ended["turns"] == 1
    assert ended["cost_complete"] is True
    assert ended["cost"] == {"agent": ended["cost"]["agent"], "transcription": turn["cost_usd"]}
    assert world.counted("claimline_turns_total", source="out_of_band") == 1
    assert world.counted("claimline_calls_active") == 0
    found = world.registry.find("call_1")
    assert found is not None
    assert found["turns"] == [{k: v for k, v in turn.items() if k not in {"call_id", "seq"}}]


@pytest.mark.parametrize("reason", ["unreachable", "unauthorized", "closed", "protocol"])
async def test_no_session_means_503_and_no_webhook(outbox: Outbox, reason: str) -> None:
    world = World(outbox, fails(reason))
    async with asyncio.timeout(5):
        await world.runner.run()
    assert world.leg.did == ["180", "503 retry 7"]
    assert world.runner.record.ending is not None
    assert (world.runner.record.ending.result, world.runner.record.ending.reason) == (
        "upstream_error",
        f"session_{reason}",
    )
    assert await world.messages() == []
    assert world.counted("claimline_calls_total", result="upstream_error", reason=f"session_{reason}") == 1


async def test_a_session_that_takes_too_long_means_503(outbox: Outbox) -> None:
    world = World(outbox, hangs, connect_timeout_s=0.05)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        await world.runner.run()
    assert world.leg.did == ["180", "503 retry 7"]
    assert world.runner.record.ending is not None
    assert world.runner.record.ending.reason == "session_timeout"


async def test_a_caller_who_gives_up_while_it_rings_costs_nothing(outbox: Outbox) -> None:
    world = World(outbox, hangs)  # type: ignore[arg-type]
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: "180" in world.leg.did)
        world.leg.on_event(Ended(487, "Request Terminated", "caller"))
    assert world.leg.did == ["180"]
    assert world.runner.record.ending is not None
    assert (world.runner.record.ending.result, world.runner.record.ending.reason) == ("client_error", "cancelled")


async def test_a_transcript_that_never_comes_is_waited_for_and_then_told(outbox: Outbox) -> None:
    session = MemorySession()
    session.react = lambda event: (
        session.says("session.updated", session={}) if isinstance(event, SessionUpdate) else None
    )
    world = World(outbox, opens(session))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        session.caller_turn("u1")
        await settle(lambda: any(isinstance(event, ResponseCreate) and event.response for event in session.sent))
        world.leg.caller_hangs_up()
        world.runner.hang_up(ending.DRAINED)
    messages = await world.messages()
    assert messages[1]["data"]["reason"] == "flush_timeout"
    assert messages[2]["data"]["turns"] == 1
    assert messages[2]["data"]["reason"] == "hung_up_early", "the drain's end found the caller gone"


async def test_nonsense_from_the_server_is_counted_and_never_fatal(outbox: Outbox) -> None:
    session = MemorySession()
    session.react = lambda event: (
        session.says("session.updated", session={}) if isinstance(event, SessionUpdate) else None
    )
    world = World(outbox, opens(session))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        for _ in range(3):
            session.says("response.output_audio.delta", response_id=5, item_id=None, delta="%%%")
        session.says("something.new", x=1)
        session.says("error", error={"code": "server_error", "message": "oops", "type": "server_error"})
        await settle(lambda: world.counted("claimline_realtime_errors_total", code="server_error") == 1)
        world.leg.caller_hangs_up()
    assert world.counted("claimline_realtime_errors_total", code="malformed_event") == 3
    assert world.counted("claimline_realtime_errors_total", code="unknown_event") == 1
    assert world.runner.record.ending is not None
    assert world.runner.record.ending.result == "client_error"


async def test_a_call_that_breaks_leaves_no_turn_untold(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    session = MemorySession()
    world = World(outbox, opens(session))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        session.caller_turn("u1")
        await settle(lambda: any(isinstance(event, ResponseCreate) and event.response for event in session.sent))
        monkeypatch.setattr(world.runner._report, "strange_event", _breaks)
        session.says("something.new")
    messages = await world.messages()
    assert [message["type"] for message in messages] == ["call.started", "turn.transcribed", "call.ended"]
    assert (messages[1]["data"]["source"], messages[1]["data"]["reason"]) == ("none", "internal")
    assert (messages[2]["data"]["reason"], messages[2]["data"]["turns"]) == ("internal", 1)
    assert world.leg.did[-1] == "BYE"


def _breaks(*_: object) -> None:
    raise RuntimeError("a bug")


async def test_an_event_log_on_a_full_disk_costs_the_call_nothing(outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / "call_1.jsonl").symlink_to("/dev/full")
    session = MemorySession()
    world = World(outbox, opens(session), event_log=tmp_path)
    log = world.runner._sessions._log
    assert log is not None
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        for _ in range(1000):
            log.write("recv", '{"type": "rate_limits.updated"}', 0.0)
        log.write("recv", '{"type": "rate_limits.updated"}', 0.0)
        world.leg.caller_hangs_up()
    assert [message["type"] for message in await world.messages()] == ["call.started", "call.ended"]


async def test_a_card_number_leaves_by_no_door(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[dict[str, Any]] = []
    session = MemorySession()
    world = World(outbox, opens(session))
    monkeypatch.setattr(world.runner._report, "log", _Log(logged))

    def react(event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=None):
                session.says("response.created", response={"id": "r0", "conversation_id": "c", "output": []})
                for words in ("I have 4111 1111", " 1111 1111."):
                    session.says("response.output_audio_transcript.delta", response_id="r0", item_id="a0", delta=words)
                session.says("response.done", response={"id": "r0", "status": "completed", "output": []})
            case ResponseCreate():
                session.says(
                    "conversation.item.input_audio_transcription.completed",
                    item_id="u1",
                    transcript="my card is 4111 1111 1111 1111",
                )
                session.transcribe(event, "My card is four one one one" + ", one one one one" * 3 + ".")
            case SessionUpdate():
                session.says("session.updated", session={})

    session.react = react
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        session.caller_turn("u1")
        await settle(lambda: len(world.runner.record.turns) == 1)
        for digit in "4111111111111111":
            world.leg.on_event(Digit(digit, 100))
        world.leg.caller_hangs_up()
    messages = await world.messages()
    everything = json.dumps([messages, world.registry.find("call_1"), logged])
    assert "1111" not in everything
    assert "one one one" not in everything
    turn = messages[1]["data"]
    assert (turn["transcript"], turn["asr_transcript"]) == ("My card is [card number].", "my card is [card number]")
    assert turn["asr_difference"] == {"word_error_rate": 0.0, "differs": []}
    assert messages[2]["data"]["quality"]["digits"] == "[card number]"
    assert messages[2]["data"]["transcript"][0]["text"] == "I have [card number]."


class _Log:
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = lines

    def info(self, event: str, **fields: Any) -> None:
        self._lines.append({"event": event, **fields})

    warning = error = info


@pytest.mark.parametrize(("letter", "lines"), [("x", 20), ("x", 150), ("\u00e9", 20), ('"', 20)])
async def test_the_end_of_a_call_stays_below_20_kb_however_much_was_said(
    outbox: Outbox, letter: str, lines: int
) -> None:
    kept = set()
    for length in range(20, 1200, 20):
        record = World(outbox, fails("refused")).runner.record
        for number in range(lines):
            record.lines.caller_said(f"u{number}", letter * length, 1.0)
        body = encode_body("call.ended", 1.0, "call_" + 32 * "0", 9999, encode_data(record.ended_data()), gap=True)
        assert len(body) < 20_000
        kept.add(b'"transcript":null' not in body)
    assert kept == {True, False}
