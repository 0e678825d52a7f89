"""Whole calls in memory: everything that is billed is counted, and limits of cost are kept."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.app import COST_LIMIT, Worker
from service.billing.limits import Budget
from service.call.wrap_up import WRAP_UP_S
from service.clock import Clock
from service.config import Config, Transcription
from service.outbox.outbox import Outbox
from service.realtime.commands import ResponseCreate
from tests.call.test_endurance import Call, Server, talking
from tests.call.test_runner import MODEL, USAGE, MemoryLeg, World, opens

REPORT_USD = Decimal("0.00304")
"""USAGE at the prices of MODEL: 60 text and 40 audio in, 10 text and 20 audio out."""


class HandClock(Clock):
    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__(monotonic=lambda: self.now_s)


def done(response_id: str, status: str, purpose: str | None = None, usage: object = USAGE) -> dict[str, Any]:
    metadata = {"purpose": purpose, "item_id": "u9"} if purpose else None
    return {"id": response_id, "status": status, "metadata": metadata, "output": [], "usage": usage}


def account(world: World, purpose: str) -> dict[str, Any]:
    found = world.runner.record.ledger.usage()["by_purpose"]
    return dict(found.get(purpose, {"reports": 0}))


@pytest.mark.parametrize("purpose", [None, "transcription"])
@pytest.mark.parametrize("status", ["completed", "cancelled", "failed", "incomplete"])
async def test_a_response_is_paid_for_however_it_ended(outbox: Outbox, status: str, purpose: str | None) -> None:
    session = Server(greets=False)
    world = World(outbox, opens(session))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        session.says("response.done", response=done("r7", status, purpose))
        await call.until(lambda: account(world, purpose or "agent")["reports"] == 1)
        world.leg.caller_hangs_up()
    ended = (await world.messages())[-1]["data"]
    assert ended["cost_usd"] == str(REPORT_USD)
    assert ended["cost"] == {purpose or "agent": str(REPORT_USD)}
    assert ended["cost_complete"] is True
    assert world.counted("claimline_cost_usd_total", model=MODEL, purpose=purpose or "agent") == float(REPORT_USD)


@pytest.mark.parametrize("report", [None, {}])
async def test_a_response_that_reports_nothing_leaves_the_cost_open(outbox: Outbox, report: object) -> None:
    session = Server(greets=False)
    world = World(outbox, opens(session))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        session.says("response.done", response=done("r7", "cancelled", usage=report))
        await call.until(lambda: not call.record.ledger.complete)
        world.leg.caller_hangs_up()
    assert (await world.messages())[-1]["data"]["cost_complete"] is False


async def test_a_response_that_never_ends_leaves_the_cost_open(outbox: Outbox) -> None:
    session = Server(transcribes=False)
    world = World(outbox, opens(session))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await call.until(lambda: account(world, "agent")["reports"] == 1)
        session.says("response.created", response={"id": "r8", "metadata": {"purpose": "transcription"}, "output": []})
        await call.until(session.inbox.empty)
        world.leg.caller_hangs_up()
    ended = (await world.messages())[-1]["data"]
    assert ended["cost_usd"] == str(REPORT_USD)
    assert ended["cost_complete"] is False


async def test_what_a_second_session_does_again_is_paid_for_again(outbox: Outbox) -> None:
    first, second = Server(transcribes=False), Server()
    transcription = Transcription(flush_timeout_s=0.3, asr_model="whisper-1")
    world = World(outbox, opens(first, second), shared={"transcription": transcription})
    heard = {"item_id": "u1", "transcript": "words", "content_index": 0, "usage": {"type": "duration", "seconds": 30}}
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.caller_turn("u1")
        first.says("conversation.item.input_audio_transcription.completed", **heard)
        await call.until(lambda: account(world, "asr")["reports"] == 1)
        first.breaks()
        await call.until(lambda: account(world, "transcription")["reports"] == 1)
        second.says("conversation.item.input_audio_transcription.completed", **heard)
        second.says("conversation.item.input_audio_transcription.completed", **heard)
        await call.until(lambda: account(world, "asr")["reports"] == 2)
        await call.until(lambda: account(world, "agent")["reports"] == 2)
        world.leg.caller_hangs_up()
    ended = (await world.messages())[-1]["data"]
    assert ended["cost"] == {"agent": "0.00608", "asr": "0.006", "transcription": str(REPORT_USD)}


async def test_a_model_without_a_price_is_warned_of_once_and_never_free(outbox: Outbox) -> None:
    session = Server(greets=False)
    world = World(outbox, opens(session))
    with capture_logs() as logs:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            call = await talking(world, group)
            session.says("session.updated", session={"model": "gpt-realtime-99"})
            session.says("response.done", response=done("r7", "completed"))
            session.says("response.done", response=done("r8", "completed", "transcription"))
            await call.until(lambda: account(world, "transcription")["reports"] == 1)
            world.leg.caller_hangs_up()
    ended = (await world.messages())[-1]["data"]
    assert ended["cost_usd"] is None
    assert ended["cost"] == {"agent": None, "transcription": None}
    assert ended["cost_complete"] is False
    assert world.counted("claimline_unpriced_total", model="gpt-realtime-99") == 2
    assert [line["model"] for line in logs if line["event"] == "model_unpriced"] == ["gpt-realtime-99"]
    assert not world.services.unpriced.is_new("gpt-realtime-99"), "the next call of the worker is silent"


# -- audio tokens --------------------------------------------------------------------------------------------------


async def test_audio_tokens_are_compared_with_the_audio(outbox: Outbox) -> None:
    session = Server(greets=False)
    world = World(outbox, opens(session))
    usage = {
        "input_tokens": 41,
        "output_tokens": 35,
        "input_token_details": {"text_tokens": 30, "audio_tokens": 11, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 5, "audio_tokens": 30},
    }
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        session.caller_turn("u1")  # 900 ms: 9 tokens
        session.says("response.created", response={"id": "r2", "output": []})
        pcm = b64encode(bytes(48 * 1600)).decode()  # 1600 ms: 32 tokens
        session.says("response.output_audio.delta", response_id="r2", item_id="a2", delta=pcm)
        session.says("response.done", response={**done("r2", "completed", usage=usage)})
        await call.until(lambda: account(world, "agent")["reports"] == 1)
        world.leg.caller_hangs_up()
    ended = (await world.messages())[-1]["data"]
    by_purpose = ended["usage"]["by_purpose"]
    assert by_purpose["agent"]["expected_audio_tokens"] == {"input": 9, "output": 32}
    assert by_purpose["transcription"]["expected_audio_tokens"] == {"input": 9, "output": 0}
    assert by_purpose["agent"]["cached_share"] == 0.0

    def difference(purpose: str, direction: str, sign: str) -> float:
        labels = {"model": MODEL, "purpose": purpose, "direction": direction, "sign": sign}
        return world.counted("claimline_audio_token_difference_total", **labels)

    assert difference("agent", "input", "over") == 2
    assert difference("agent", "output", "under") == 2
    assert difference("agent", "input", "under") == 0
    assert difference("transcription", "input", "over") == 31, "the fake reports 40"


async def test_the_audio_of_a_lost_session_is_not_in_the_next(outbox: Outbox) -> None:
    first, second = Server(greets=False), Server(greets=False)
    world = World(outbox, opens(first, second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.caller_turn("u1")
        await call.until(partial(transcribed, call, 1))
        first.breaks()
        await call.until(lambda: world.runner._session is second)
        call.caller_speaks(1000)
        second.caller_turn("u2")
        second.says("response.created", response={"id": "r2", "output": []})
        second.says("response.done", response=done("r2", "completed"))
        await call.until(lambda: account(world, "agent")["reports"] == 1)
        world.leg.caller_hangs_up()
    assert account(world, "agent")["expected_audio_tokens"] == {"input": 9, "output": 0}


# -- limits --------------------------------------------------------------------------------------------------------


def transcribed(call: Call, turns: int) -> bool:
    return len(call.record.turns) >= turns


def told_to_end(session: Server) -> list[dict[str, Any]]:
    return [item for item in session.told if item["role"] == "system" and "limit" in item["content"][0]["text"]]


async def test_at_its_limit_a_call_is_wrapped_up_and_then_ended(outbox: Outbox) -> None:
    clock, session = HandClock(), Server()
    budget = Budget(call_usd=2 * REPORT_USD, warn_share=0.5)
    world = World(outbox, opens(session), clock=clock, shared={"budget": budget})
    with capture_logs() as logs:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            call = await talking(world, group)
            await call.until(lambda: account(world, "agent")["reports"] == 1)
            call.line_plays(200)
            assert told_to_end(session) == []
            assert world.counted("claimline_cost_limit_total", limit="call", event="warned") == 1
            session.says("response.done", response=done("r9", "completed", "transcription"))
            await call.until(lambda: account(world, "transcription")["reports"] == 1)
            call.line_plays(200)
            assert len(told_to_end(session)) == 1
            assert [event.response for event in session.of(ResponseCreate)] == [None, None], "greeting and goodbye"
            clock.now_s += WRAP_UP_S - 1
            call.line_plays(20)
            assert "BYE" not in world.leg.did
            clock.now_s += 1
            call.line_plays(20)
    assert world.leg.did == ["180", "200", "BYE"]
    ended = (await world.messages())[-1]["data"]
    assert (ended["result"], ended["reason"]) == ("success", "cost_limit")
    assert world.counted("claimline_cost_limit_total", limit="call", event="reached") == 1
    assert [line["event"] for line in logs if line["event"].startswith("cost_limit")] == [
        "cost_limit_near",
        "cost_limit_reached",
    ]


async def test_at_its_limit_a_call_goes_on_in_turn_context(outbox: Outbox) -> None:
    session = Server()
    transcription = Transcription(flush_timeout_s=0.3, context="full")
    budget = Budget(call_usd=2 * REPORT_USD, warn_share=0.8, then="turn_context")
    world = World(outbox, opens(session), shared={"budget": budget, "transcription": transcription})
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        for turns in (1, 2):
            call.caller_speaks(1000)
            session.caller_turn(f"u{turns}")
            await call.until(partial(transcribed, call, turns))
            call.line_plays(20)
        world.leg.caller_hangs_up()
    requests = [event.response for event in session.of(ResponseCreate) if event.response is not None]
    assert ["input" in request for request in requests] == [False, True]
    assert requests[1]["input"] == [{"type": "item_reference", "id": "u2"}]
    assert told_to_end(session) == []
    assert world.runner.record.ending is not None
    assert world.runner.record.ending.reason == "hung_up_early"


async def test_the_hours_limit_ends_calls_and_refuses_new_ones_while_it_lasts(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    worker = Worker(Config(limits={"hour_usd": "1"}))  # type: ignore[arg-type]
    worker._clock = clock = HandClock()
    worker._not_ready = []
    worker._services = services = worker._call_services(outbox)
    assert worker._not_ready_because(outbox) == []
    services.budget.open_call().spend(Decimal(1), clock.now_s)
    async with asyncio.TaskGroup() as calls:
        worker._calls = calls
        leg = MemoryLeg()
        worker._on_invite(leg)
    assert leg.did == ["503 retry 5"]
    assert worker._not_ready_because(outbox) == [COST_LIMIT]
    registry = worker._metrics.registry
    assert registry.get_sample_value("claimline_calls_total", {"result": "rejected", "reason": "cost_limit"}) == 1
    clock.now_s += 3600
    assert worker._not_ready_because(outbox) == []


def test_limits_that_cannot_see_a_models_costs_are_said_at_the_start() -> None:
    with capture_logs() as logs:
        Worker(Config(limits={"call_usd": "1"}, realtime={"model": "house"}))  # type: ignore[arg-type]
        Worker(Config(realtime={"model": "house"}))  # type: ignore[arg-type]
        Worker(Config(limits={"call_usd": "1"}))  # type: ignore[arg-type]
    assert [line["models"] for line in logs if line["event"] == "limits_blind"] == [["house"]]
