"""A long conversation gives way to a summary, safely: nothing is lost that was not summed up."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from service.call.editing import MAX_SUMMARY_CHARS, RETRY_S, TIMEOUT_S, TURNS_KEPT, TURNS_REPLACED, Editing
from service.call.lines import Lines
from service.config import Transcription
from service.outbox.outbox import Outbox
from service.realtime.commands import ItemCreate, ItemDelete, ResponseCreate, SessionUpdate
from service.realtime.events import ContentPart, Item, Response
from service.transcript.request import Context
from tests.call.test_endurance import PCM_20_MS, Call, Server, talking
from tests.call.test_money import transcribed
from tests.call.test_runner import MODEL, World, opens

TURNS = TURNS_KEPT + TURNS_REPLACED


def usage(tokens: int) -> dict[str, Any]:
    details = {"text_tokens": tokens, "audio_tokens": 0, "cached_tokens": 0}
    return {"input_tokens": tokens, "output_tokens": 0, "input_token_details": details}


class Talk:
    """An `Editing`, and the lines of its call."""

    def __init__(self, turns: int = 0, above_tokens: int | None = 1000) -> None:
        self.editing = Editing(above_tokens)
        self.lines = Lines()
        self.last: str | None = None
        for number in range(1, turns + 1):
            self.turn(number)

    def turn(self, number: int, words: str = "") -> None:
        self.add(Item(id=f"u{number}", type="message", role="user"))
        self.lines.caller_said(f"u{number}", words or f"caller {number}", 0.0)
        self.add(Item(id=f"a{number}", type="message", role="assistant"))
        self.lines.agent_says(f"a{number}", f"agent {number}", 0.0)

    def add(self, item: Item) -> None:
        assert self.editing.item_added(item, self.last) == ()
        self.lines.place(item.id, self.last)
        self.last = item.id

    def request(self, now_s: float = 0.0, tokens: int = 2000) -> dict[str, Any] | None:
        self.editing.responded(usage(tokens))
        request = self.editing.request(self.lines, now_s)
        return request.response if request is not None else None

    def answer(self, text: str = "They crashed.", status: str = "completed", now_s: float = 1.0) -> ItemCreate | None:
        number = self.editing._attempts
        output = [Item(id="o", type="message", content=[ContentPart(type="output_text", text=text)])]
        metadata = {"purpose": "summary", "item_id": f"summary_{number}"}
        return self.editing.summarized(Response(id="r", status=status, output=output, metadata=metadata), now_s)

    def placed(self, create: ItemCreate) -> tuple[str, ...]:
        return self.editing.item_added(Item(id=create.item["id"], type="message", role="system"), None)


def words_of(request: dict[str, Any] | None) -> str:
    assert request is not None
    return str(request["input"][0]["content"][0]["text"])


def test_the_older_turns_are_summed_up_and_then_deleted() -> None:
    talk = Talk(TURNS)
    request = talk.request()
    assert request is not None
    assert (request["conversation"], request["output_modalities"], request["tools"]) == ("none", ["text"], [])
    assert request["metadata"]["purpose"] == "summary"
    assert words_of(request).splitlines() == [
        line for number in range(1, 5) for line in (f"Caller: caller {number}", f"Agent: agent {number}")
    ]
    create = talk.answer()
    assert create is not None
    assert create.previous_item_id == "root"
    assert create.item["role"] == "system"
    assert "They crashed." in create.item["content"][0]["text"]
    assert talk.placed(create) == ("u1", "a1", "u2", "a2", "u3", "a3", "u4", "a4")
    assert talk.editing.replaced("u4")
    assert not talk.editing.replaced("u5")
    assert len(talk.lines.in_order()) == 2 * TURNS, "the record keeps everything"


def test_nothing_is_asked_for_below_the_limit_or_without_one() -> None:
    assert Talk(TURNS).request(tokens=1000) is None
    assert Talk(TURNS, above_tokens=None).request(tokens=100_000) is None


def test_a_short_call_is_left_alone_however_many_tokens_it_has() -> None:
    assert Talk(TURNS - 1).request(tokens=100_000) is None


def test_one_summary_at_a_time() -> None:
    talk = Talk(TURNS)
    assert talk.request() is not None
    assert talk.editing.awaiting
    assert talk.request() is None


@pytest.mark.parametrize(
    ("status", "text"), [("failed", ""), ("incomplete", "They"), ("cancelled", "They"), ("completed", "  ")]
)
def test_a_summary_that_fails_changes_nothing_and_is_not_tried_again_at_once(status: str, text: str) -> None:
    talk = Talk(TURNS)
    assert talk.request() is not None
    assert talk.answer(text, status, now_s=1.0) is None
    assert not talk.editing.awaiting
    assert not talk.editing.replaced("u1")
    assert talk.request(now_s=RETRY_S) is None
    assert words_of(talk.request(now_s=RETRY_S + 1)).startswith("Caller: caller 1")


def test_a_summary_that_the_server_will_not_ask_for_or_take_changes_nothing() -> None:
    for answered in (False, True):
        talk = Talk(TURNS)
        talk.request()
        if answered:
            assert talk.answer() is not None
        talk.editing.refused("something else", 2.0)
        assert talk.editing.awaiting
        talk.editing.refused("summary_1", 2.0)
        assert not talk.editing.awaiting
        assert not talk.editing.replaced("u1")
        assert talk.editing.told_first() is None


def test_a_summary_that_does_not_come_is_given_up_and_not_taken_late() -> None:
    talk = Talk(TURNS)
    talk.request()
    talk.editing.expire(TIMEOUT_S - 0.1)
    assert talk.editing.awaiting
    talk.editing.expire(TIMEOUT_S)
    assert not talk.editing.awaiting
    assert talk.answer(now_s=TIMEOUT_S + 1) is None


def test_the_next_summary_stands_for_the_one_before_it_too() -> None:
    talk = Talk(TURNS)
    talk.request()
    first = talk.answer("They crashed on Elm Street.")
    assert first is not None
    talk.placed(first)
    for number in range(TURNS + 1, TURNS + TURNS_REPLACED + 1):
        talk.turn(number)
    said = words_of(talk.request(now_s=500.0)).splitlines()
    assert said[0].endswith("They crashed on Elm Street.")
    assert said[1] == "Caller: caller 5"
    second = talk.answer("They crashed.", now_s=501.0)
    assert second is not None
    assert second.item["id"] != first.item["id"]
    assert talk.placed(second) == ("summary_1", "u5", "a5", "u6", "a6", "u7", "a7", "u8", "a8")


def test_what_the_summary_could_not_be_told_stays() -> None:
    talk = Talk()
    talk.add(Item(id="u0", type="message", role="user", content=[ContentPart(type="input_audio")]))
    talk.lines.caller_said("u0", "", 0.0)  # its transcript failed
    for number in range(1, TURNS + 1):
        talk.turn(number)
    assert "u0" not in _deleted(talk)


def test_a_tools_call_and_its_output_go_together_or_stay() -> None:
    talk = Talk(1)
    talk.add(Item(id="f1", type="function_call", call_id="c1", name="request_human"))
    talk.add(Item(id="o1", type="function_call_output", call_id="c1"))
    talk.add(Item(id="f2", type="function_call", call_id="c2", name="request_human"))
    for number in range(2, TURNS + 1):
        talk.turn(number)
    talk.add(Item(id="o2", type="function_call_output", call_id="c2"))
    deleted = _deleted(talk)
    assert {"f1", "o1"} <= set(deleted)
    assert not {"f2", "o2"} & set(deleted)


def test_what_is_gone_already_is_not_deleted_again() -> None:
    talk = Talk(TURNS)
    talk.request()
    talk.editing.item_deleted("a2")
    create = talk.answer()
    assert create is not None
    assert "a2" not in talk.placed(create)


def _deleted(talk: Talk) -> tuple[str, ...]:
    assert talk.request() is not None
    create = talk.answer()
    assert create is not None
    return talk.placed(create)


def test_a_summary_has_a_bound() -> None:
    talk = Talk(TURNS)
    talk.request()
    create = talk.answer("x" * 100_000)
    assert create is not None
    assert len(create.item["content"][0]["text"]) < MAX_SUMMARY_CHARS + 200


def test_a_new_session_forgets_the_attempt_and_is_told_the_summary_in_force() -> None:
    talk = Talk(TURNS)
    talk.request()
    talk.editing.session_lost()
    assert talk.editing.told_first() is None
    assert talk.answer() is None

    talk = Talk(TURNS)
    talk.request()
    create = talk.answer("They crashed.")
    assert create is not None
    talk.placed(create)
    talk.editing.session_lost()
    told = talk.editing.told_first()
    assert told is not None
    assert (told.item, told.previous_item_id) == (create.item, None)


# -- in a call -----------------------------------------------------------------------------------------------------


class LongServer(Server):
    """Speaks a word after each turn, reports many tokens, and sums up when asked to."""

    def __init__(self, *, sums_up: bool = True, takes_it: bool = True) -> None:
        super().__init__(greets=False)
        self.sums_up, self.takes_it = sums_up, takes_it
        self.react = self._react_long

    def _react_long(self, event: Any) -> None:
        match event:
            case ResponseCreate(response={"metadata": {"purpose": "summary"}}):
                if self.sums_up:
                    self.transcribe(event, "They crashed on Elm Street.")
            case ItemCreate(previous_item_id="root") if not self.takes_it:
                self.says("error", error={"code": "invalid_value", "message": "no", "event_id": event.event_id})
            case ItemDelete(item_id=item_id):
                self.says("conversation.item.deleted", item_id=item_id)
            case _:
                self._react(event)

    def agent_answers(self, item: str, previous: str, tokens: int) -> None:
        self.says("response.created", response={"id": f"r_{item}", "output": []})
        added = {"id": item, "type": "message", "role": "assistant", "content": []}
        self.says("conversation.item.added", previous_item_id=previous, item=added)
        self.says("response.output_audio_transcript.delta", response_id=f"r_{item}", item_id=item, delta=f"says {item}")
        self.says("response.output_audio.delta", response_id=f"r_{item}", item_id=item, delta=PCM_20_MS * 5)
        response = {"id": f"r_{item}", "status": "completed", "output": [added], "usage": usage(tokens)}
        self.says("response.done", response=response)

    @property
    def summaries(self) -> list[ResponseCreate]:
        wanted = (event for event in self.of(ResponseCreate) if event.response is not None)
        return [event for event in wanted if event.response["metadata"]["purpose"] == "summary"]


async def talk_for(call: Call, server: LongServer, turns: range, tokens: int = 5000) -> None:
    for number in turns:
        call.caller_speaks(200)
        server.caller_turn(f"u{number}")
        server.agent_answers(f"a{number}", f"u{number}", tokens)
        await call.until(partial(transcribed, call, number))
        await call.until(server.inbox.empty)
        call.line_plays(200)
        await call.until(server.inbox.empty)


def world_of(outbox: Outbox, *servers: LongServer, context: Context = "turn") -> World:
    transcription = Transcription(flush_timeout_s=0.3, context=context)
    return World(outbox, opens(*servers), shared={"summarize_above_tokens": 1000, "transcription": transcription})


async def test_a_long_call_is_shortened_and_its_record_keeps_everything(outbox: Outbox) -> None:
    server = LongServer()
    world = world_of(outbox, server, context=20)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await talk_for(call, server, range(1, TURNS + 1))
        await call.until(lambda: len(server.of(ItemDelete)) == 8)
        assert not world.runner._conversation.agent.speaking, "a summary is no response of the agent"
        await talk_for(call, server, range(TURNS + 1, TURNS + 2))
        world.leg.caller_hangs_up()
    assert len(server.summaries) == 1
    kinds = [event for event in server.sent if isinstance(event, ItemCreate | ItemDelete)]
    assert isinstance(kinds[0], ItemCreate), "the summary stands before anything is deleted"
    assert kinds[0].previous_item_id == "root"
    assert [event.item_id for event in server.of(ItemDelete)] == ["u1", "a1", "u2", "a2", "u3", "a3", "u4", "a4"]
    last = [event.response for event in server.of(ResponseCreate) if event.response is not None][-1]
    assert [one["id"] for one in last["input"]] == ["u5", "u6", "u7", "u8", "u9"], "no request names what is gone"
    ended = (await world.messages())[-1]["data"]
    assert [line["text"] for line in ended["transcript"]][:2] == ["words of u1", "says a1"]
    assert len(ended["transcript"]) == 2 * (TURNS + 1)
    assert ended["turns"] == TURNS + 1
    assert ended["cost"]["summary"] == "0.00304"
    assert ended["cost_complete"] is True
    assert world.counted("claimline_realtime_errors_total", code="invalid_value") == 0
    assert world.counted("claimline_cost_usd_total", model=MODEL, purpose="summary") == 0.00304


async def test_a_turn_whose_transcript_is_owed_holds_the_summary_up(outbox: Outbox) -> None:
    server = LongServer()
    world = world_of(outbox, server)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await talk_for(call, server, range(1, TURNS), tokens=10)
        server.transcribes = False
        server.caller_turn(f"u{TURNS}")
        server.agent_answers(f"a{TURNS}", f"u{TURNS}", 5000)
        await call.until(lambda: f"oob_u{TURNS}" in [event.event_id for event in server.of(ResponseCreate)])
        await call.until(server.inbox.empty)
        call.line_plays(400)
        assert server.summaries == []
        server.transcribe(server.of(ResponseCreate)[-1], "late words")
        await call.until(lambda: len(call.record.turns) == TURNS)
        call.line_plays(100)
        assert len(server.summaries) == 1
        world.leg.caller_hangs_up()


async def test_a_summary_that_the_server_does_not_take_deletes_nothing(outbox: Outbox) -> None:
    server = LongServer(takes_it=False)
    world = world_of(outbox, server)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await talk_for(call, server, range(1, TURNS + 1))
        await call.until(lambda: world.counted("claimline_realtime_errors_total", code="invalid_value") == 1)
        await talk_for(call, server, range(TURNS + 1, TURNS + 3))
        world.leg.caller_hangs_up()
    assert server.of(ItemDelete) == []
    assert len(server.summaries) == 1


async def test_a_new_session_is_told_the_summary_in_place_of_what_it_stands_for(outbox: Outbox) -> None:
    first, second = LongServer(), LongServer()
    world = world_of(outbox, first, second)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await talk_for(call, first, range(1, TURNS + 1))
        await call.until(lambda: len(first.of(ItemDelete)) == 8)
        await call.until(first.inbox.empty)
        first.breaks()
        await call.until(lambda: world.runner._session is second)
        world.leg.caller_hangs_up()
    texts = [item["content"][0]["text"] for item in second.told]
    assert "They crashed on Elm Street." in texts[0]
    assert second.told[0]["role"] == "system"
    assert texts[1:] == [text for n in range(5, TURNS + 1) for text in (f"words of u{n}", f"says a{n}")]
    assert second.of(ItemDelete) == []
    ended = (await world.messages())[-1]["data"]
    assert len(ended["transcript"]) == 2 * TURNS


async def test_a_summary_on_its_way_when_the_caller_hangs_up_is_waited_for_and_paid(outbox: Outbox) -> None:
    server = LongServer(sums_up=False)
    world = world_of(outbox, server)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await talk_for(call, server, range(1, TURNS + 1))
        world.leg.caller_hangs_up()
        await call.until(lambda: bool(server.of(SessionUpdate)) and server.inbox.empty())
        server.transcribe(server.summaries[0], "They crashed.")
    ended = (await world.messages())[-1]["data"]
    assert ended["cost"]["summary"] == "0.00304"
    assert [event for event in server.of(ItemCreate) if event.previous_item_id == "root"] == []


async def test_a_session_that_breaks_before_the_summary_tells_every_line(outbox: Outbox) -> None:
    first, second = LongServer(sums_up=False), LongServer()
    world = world_of(outbox, first, second)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await talk_for(call, first, range(1, TURNS + 1))
        assert len(first.summaries) == 1
        first.breaks()
        await call.until(lambda: world.runner._session is second)
        world.leg.caller_hangs_up()
    assert len(second.told) == 2 * TURNS
    assert {item["role"] for item in second.told} == {"user", "assistant"}
