"""The session breaks, ages, or is refused for good: the caller stays, no turn is lost or told twice."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.call.leg import Digit
from service.outbox.outbox import Outbox
from service.realtime.client import SessionError
from service.realtime.commands import (
    AudioAppend,
    AudioCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    ResponseCreate,
    SessionUpdate,
)
from tests.call.test_runner import MemorySession, World, opens, settle

PCM_20_MS = b64encode(b"\x10\x00" * 480).decode()
VOICE = (np.sin(np.arange(160) / 3) * 6000).astype("<i2").tobytes()


class Server(MemorySession):
    """Greets, transcribes by item, closes politely; what it must not do is switched off by name."""

    def __init__(self, *, transcribes: bool = True, greets: bool = True) -> None:
        super().__init__()
        self.transcribes = transcribes
        self.greets = greets
        self.react = self._react

    def _react(self, event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=None):
                if self.greets:
                    self.greet()
            case ResponseCreate():
                if self.transcribes:
                    assert event.response is not None
                    self.transcribe(event, f"words of {event.response['metadata']['item_id']}")
            case ItemCreate(item={"type": "message"}):
                self.says("conversation.item.added", previous_item_id=None, item={"status": "completed", **event.item})
            case SessionUpdate():
                self.says("session.updated", session={})
            case _:
                pass

    def breaks(self) -> None:
        self.inbox.put_nowait(SessionError("closed", "gone"))

    def agent_says(self, item: str, text: str, ms: int, *, done: bool) -> None:
        self.says("response.created", response={"id": f"r_{item}", "conversation_id": "c", "output": []})
        self.says("response.output_audio_transcript.delta", response_id=f"r_{item}", item_id=item, delta=text)
        self.says("response.output_audio.delta", response_id=f"r_{item}", item_id=item, delta=PCM_20_MS * (ms // 20))
        if done:
            self.says("response.output_audio.done", response_id=f"r_{item}", item_id=item)
            self.agent_done(item)

    def agent_done(self, item: str, *output: dict[str, Any]) -> None:
        spoken = {"id": item, "type": "message"}
        self.says("response.done", response={"id": f"r_{item}", "status": "completed", "output": [spoken, *output]})

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.sent if isinstance(event, kind)]

    @property
    def told(self) -> list[dict[str, Any]]:
        return [event.item for event in self.of(ItemCreate)]


class Call:
    """A call on its way, with the caller's audio by hand."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def record(self) -> Any:
        return self.world.runner.record

    def caller_speaks(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.world.leg.audio.put_uplink(VOICE, self.world.services.clock.monotonic())
            self.world.leg.on_tick()

    def line_plays(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.world.leg.on_tick()
            self.world.leg.audio.take_downlink(self.world.services.clock.monotonic())

    async def until(self, reached: Callable[[], bool]) -> None:
        await settle(reached)

    async def turns(self) -> list[tuple[str, str]]:
        messages = await self.world.messages()
        return [
            (message["data"]["transcript"], message["data"]["source"])
            for message in messages
            if message["type"] == "turn.transcribed"
        ]


async def talking(world: World, group: asyncio.TaskGroup) -> Call:
    group.create_task(world.runner.run())
    call = Call(world)
    await call.until(lambda: call.record.answered_s is not None)
    return call


async def test_a_pending_transcript_is_asked_again_with_the_audio(outbox: Outbox) -> None:
    first, second = Server(transcribes=False), Server()
    world = World(outbox, opens(first, second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.caller_turn("u1")
        await call.until(lambda: any(event.response for event in first.of(ResponseCreate)))
        first.breaks()
        await call.until(lambda: len(call.record.turns) == 1)
        world.leg.caller_hangs_up()
    assert world.leg.did == ["180", "200"]
    assert await call.turns() == [("words of u1", "out_of_band")]
    (again,) = [item for item in second.told if item["id"] == "u1"]
    assert again["content"][0]["type"] == "input_audio"
    # 900 ms at 24 kHz PCM16, as base64.
    assert len(again["content"][0]["audio"]) == pytest.approx(900 * 48 * 4 / 3, rel=0.03)
    assert world.counted("claimline_realtime_reconnects_total", reason="closed") == 1


async def test_what_was_said_is_told_as_text_and_the_owed_answer_is_asked_for(outbox: Outbox) -> None:
    first, second = Server(), Server()
    world = World(outbox, opens(first, second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        first.says("response.output_audio_transcript.delta", response_id="r1", item_id="a1", delta="Hello, your name?")
        await call.until(lambda: bool(call.record.lines.in_order()))
        call.line_plays(200)
        call.caller_speaks(1000)
        first.caller_turn("u1")
        await call.until(lambda: len(call.record.turns) == 1)
        first.breaks()
        await call.until(lambda: any(event.response is None for event in second.of(ResponseCreate)))
        world.leg.caller_hangs_up()
    texts = [(item["role"], item["content"][0].get("text")) for item in second.told]
    assert texts == [("assistant", "Hello, your name?"), ("user", "words of u1")]
    assert await call.turns() == [("words of u1", "out_of_band")]


async def test_the_unfinished_turn_is_heard_again_from_its_beginning(outbox: Outbox) -> None:
    first, second = Server(), Server()
    world = World(outbox, opens(first, second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=400)
        await call.until(lambda: world.runner._conversation._speech.open_ms(1000) > 0)
        first.breaks()
        await call.until(lambda: world.runner._session is second)
        assert len(second.of(AudioAppend)) == pytest.approx(600 / 20, abs=1)
        assert [event for event in second.of(ResponseCreate) if event.response is None] == []
        world.leg.caller_hangs_up()
        await call.until(lambda: bool(second.of(AudioCommit)))
        second.says("input_audio_buffer.committed", item_id="n1", previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": "n1", "type": "message", "role": "user", "status": "completed", "content": content}
        second.says("conversation.item.added", previous_item_id=None, item=item)
    assert await call.turns() == [("words of n1", "out_of_band")]


async def test_audio_while_there_is_no_session_is_not_lost(outbox: Outbox) -> None:
    first, second = Server(), Server()
    world = World(outbox, opens(first, SessionError("unreachable", "no"), second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.breaks()
        await call.until(lambda: world.runner._session is None)
        call.caller_speaks(600)
        await call.until(lambda: world.runner._session is second)
        assert len(second.of(AudioAppend)) >= 600 / 20
        world.leg.caller_hangs_up()


async def test_the_line_is_not_dead_while_a_session_is_awaited(outbox: Outbox) -> None:
    first = Server()
    world = World(outbox, opens(first, SessionError("unreachable", "no")), reconnect_timeout_s=30.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await call.until(lambda: world.runner._playout.heard("a1") is not None)
        call.line_plays(200)
        first.breaks()
        await call.until(lambda: world.runner._resuming_since_s is not None)
        world.runner._conversation.agent.bridge(0.5)
        assert world.runner._playout.idle
        world.runner._conversation.agent.bridge(1.0)
        assert not world.runner._playout.idle
        world.leg.caller_hangs_up()


async def test_a_session_that_cannot_be_had_again_ends_with_an_apology(outbox: Outbox) -> None:
    first = Server(transcribes=False)
    world = World(outbox, opens(first, SessionError("unreachable", "no")), reconnect_timeout_s=0.05)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.caller_turn("u1")
        await call.until(lambda: any(event.response for event in first.of(ResponseCreate)))
        first.breaks()
        await call.until(lambda: world.runner._playout.heard("claimline_apology") is not None)
        assert "BYE" not in world.leg.did
        call.line_plays(9000)
    assert world.leg.did == ["180", "200", "BYE"]
    messages = await world.messages()
    assert (messages[1]["data"]["source"], messages[1]["data"]["reason"]) == ("none", "session_lost")
    assert (messages[-1]["data"]["result"], messages[-1]["data"]["reason"]) == ("upstream_error", "session_unreachable")


@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key"])
async def test_a_fatal_code_is_never_tried_again(outbox: Outbox, code: str) -> None:
    first, never = Server(), Server()
    world = World(outbox, opens(first, never))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        first.says("error", error={"type": "invalid_request_error", "code": code, "message": "no money"})
        await call.until(lambda: world.runner._playout.heard("claimline_apology") is not None)
        call.line_plays(9000)
    assert never.sent == []
    assert world.leg.did == ["180", "200", "BYE"]
    assert world.leg.bye_reason == "session lost"
    assert world.counted("claimline_realtime_errors_total", code=code) >= 1
    assert world.runner.record.ending is not None
    assert world.runner.record.ending.result == "upstream_error"


async def test_an_old_session_is_exchanged_in_a_pause(outbox: Outbox) -> None:
    first, second = Server(), Server()
    world = World(outbox, opens(first, second), session_max_s=0.3)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(200)
        await call.until(lambda: world.runner._playout.heard("a1") is not None)
        call.line_plays(200)
        await call.until(lambda: world.runner._session is second)
        call.caller_speaks(1000)
        second.caller_turn("u2")
        await call.until(lambda: len(call.record.turns) == 1)
        world.leg.caller_hangs_up()
    assert first.closed
    assert world.leg.did == ["180", "200"]
    assert await call.turns() == [("words of u2", "out_of_band")]
    assert world.counted("claimline_realtime_reconnects_total", reason="session_age") == 1


async def test_a_session_that_breaks_while_the_last_words_are_awaited(outbox: Outbox) -> None:
    first, second = Server(transcribes=False), Server()
    world = World(outbox, opens(first, second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.caller_turn("u1")
        await call.until(lambda: any(event.response for event in first.of(ResponseCreate)))
        world.leg.caller_hangs_up()
        first.breaks()
    assert await call.turns() == [("words of u1", "out_of_band")]


async def test_a_session_that_says_it_has_expired_is_replaced_though_it_stays_open(outbox: Outbox) -> None:
    first, second = Server(), Server()
    world = World(outbox, opens(first, second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        message = "Your session hit the maximum duration of 60 minutes."
        first.says("error", error={"type": "invalid_request_error", "code": "session_expired", "message": message})
        await call.until(lambda: world.runner._session is second)
        call.caller_speaks(1000)
        second.caller_turn("u1")
        await call.until(lambda: len(call.record.turns) == 1)
        world.leg.caller_hangs_up()
    assert first.closed
    assert world.leg.did == ["180", "200"]
    assert world.counted("claimline_realtime_reconnects_total", reason="session_expired") == 1


async def test_an_answer_that_was_breaking_off_is_told_as_far_as_it_came(outbox: Outbox) -> None:
    first, second = Server(greets=False), Server(greets=False)
    world = World(outbox, opens(first, second))
    words = "So that I can find your policy, may I have your full legal name?"
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        first.agent_says("a1", words, 2000, done=False)
        await call.until(lambda: world.runner._playout.heard("a1") is not None)
        first.breaks()
        await call.until(lambda: bool(second.told))
        call.line_plays(2200)
        world.leg.caller_hangs_up()
    (told,) = second.told
    # The words come at once, two seconds of their four as audio; the caller hears these to their end.
    assert told["content"][0]["text"] == "So that I can find your policy,"
    assert world.runner._playout.heard("a1") is not None
    assert [event.response for event in second.of(ResponseCreate)] == [None]


async def test_an_answer_that_is_interrupted_after_the_break_becomes_what_was_heard(outbox: Outbox) -> None:
    first, second = Server(greets=False), Server(greets=False)
    world = World(outbox, opens(first, second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        first.agent_says("a1", "one two three four", 2000, done=True)
        await call.until(lambda: world.runner._playout.heard("a1") is not None)
        first.breaks()
        await call.until(lambda: world.runner._session is second)
        call.line_plays(1000)
        second.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
        await call.until(lambda: call.record.barge_ins == 1)
        world.leg.caller_hangs_up()
    # The second session has no audio of it that could be truncated.
    assert second.of(ItemTruncate) == []
    assert [event.item_id for event in second.of(ItemDelete)] == ["a1"]
    assert [item["content"][0]["text"] for item in second.told] == ["one two three four", "one two"]
    assert "id" not in second.told[-1]


async def test_a_tool_call_that_was_pending_is_not_answered_to_a_session_that_never_made_it(outbox: Outbox) -> None:
    first, second = Server(greets=False), Server(greets=False)
    world = World(outbox, opens(first, second))
    tool = {"id": "f1", "type": "function_call", "name": "request_human", "call_id": "c1", "arguments": "{}"}
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        first.agent_says("a1", "A person will call you back.", 400, done=False)
        first.agent_done("a1", tool)
        first.breaks()
        await call.until(lambda: bool(second.of(ResponseCreate)))
        world.leg.caller_hangs_up()
    assert call.record.human_requested
    assert [item["type"] for item in second.told] == ["message"]
    assert len(second.of(ResponseCreate)) == 1


async def test_a_goodbye_that_outlives_its_session_can_still_be_interrupted(outbox: Outbox) -> None:
    first, second = Server(greets=False), Server(greets=False)
    world = World(outbox, opens(first, second))
    tool = {"id": "f1", "type": "function_call", "name": "end_call", "call_id": "c1", "arguments": "{}"}
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        first.agent_says("a1", "Goodbye.", 2000, done=False)
        first.agent_done("a1", tool)
        first.breaks()
        await call.until(lambda: world.runner._session is second)
        assert second.of(ResponseCreate) == []
        call.line_plays(500)
        second.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
        await call.until(lambda: call.record.barge_ins == 1)
        world.leg.caller_hangs_up()
    assert "function_call_output" not in {item["type"] for item in second.told}


async def test_an_owed_answer_is_asked_for_ahead_of_the_audio_that_may_hold_the_next_turn(outbox: Outbox) -> None:
    first, second = Server(), Server(greets=False)
    world = World(outbox, opens(first, SessionError("unreachable", "no"), second))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        call.caller_speaks(1000)
        first.caller_turn("u1")
        await call.until(lambda: len(call.record.turns) == 1)
        first.breaks()
        await call.until(lambda: world.runner._session is None)
        call.caller_speaks(600)
        await call.until(lambda: bool(second.of(AudioAppend)))
        world.leg.caller_hangs_up()
    kinds = [type(event) for event in second.sent]
    assert kinds.index(ResponseCreate) < kinds.index(AudioAppend)


async def test_digits_are_in_the_record(outbox: Outbox) -> None:
    first = Server()
    world = World(outbox, opens(first))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        await talking(world, group)
        world.leg.on_event(Digit("4", 100))
        world.leg.on_event(Digit("2", 100))
        world.leg.caller_hangs_up()
    assert world.runner.record.digits == "42"
