"""The claim beside the conversation: what the end of a call waits for, and what it does not."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Any, Literal

import pytest

from service.call.actions import ClaimChanged, HangUp, Send
from service.call.goodbye import HANG_UP_GRACE_S
from service.call.intake import DECISION_LIMIT_S, ClaimIntake
from service.outbox.outbox import Outbox
from service.realtime import events
from service.realtime.commands import ClientEvent, ItemCreate, ResponseCancel, ResponseCreate, SessionUpdate
from tests.call.test_conversation import Call
from tests.call.test_runner import USAGE, MemorySession, World, opens, settle

Manner = Literal["answers", "is slow", "begins", "refuses", "is silent"]
SLOW_S = 0.1
"""Well within the flush of `World`."""


def is_claim_request(event: ClientEvent) -> bool:
    return isinstance(event, ResponseCreate) and (event.response or {}).get("metadata", {}).get("purpose") == "claim"


class Server(MemorySession):
    """Transcribes at once; `manner` says what becomes of a request for the claim."""

    def __init__(self, manner: Manner) -> None:
        super().__init__()
        self.react = self._react
        self._manner = manner

    @property
    def asked(self) -> int:
        return sum(map(is_claim_request, self.sent))

    def _react(self, event: ClientEvent) -> None:
        if is_claim_request(event):
            assert isinstance(event, ResponseCreate)
            self._claim(event)
        elif isinstance(event, ResponseCreate) and event.response is not None:
            self.transcribe(event, "I'm Maria Lopez.")
        elif isinstance(event, SessionUpdate):
            self.says("session.updated", session={})

    def _claim(self, event: ResponseCreate) -> None:
        assert event.response is not None
        noted = {"value": "Maria Lopez", "turns": [1], "confirmed": False, "unknown": False}
        call = {"id": "n", "type": "function_call", "name": "note_claim", "call_id": "n"}
        call["arguments"] = json.dumps({"claims": [{"fields": {"policyholder": noted}}]})
        response: dict[str, Any] = {"id": "r", "conversation_id": None, "metadata": event.response["metadata"]}
        if self._manner == "refuses":
            self.says("error", error={"code": "invalid_value", "event_id": event.event_id})
        if self._manner in {"answers", "begins"}:
            self.says("response.created", response={**response, "output": []})
        done = {**response, "status": "completed", "output": [call], "usage": USAGE}
        if self._manner == "answers":
            self.says("response.done", response=done)
        elif self._manner == "is slow":
            asyncio.get_running_loop().call_later(SLOW_S, lambda: self.says("response.done", response=done))


async def carry(outbox: Outbox, server: Server, extract: Literal["turn", "end", "off"]) -> list[dict[str, Any]]:
    """One turn, a goodbye of the agent's that notes a name, and the caller hangs up."""
    world = World(outbox, opens(server), extract=extract)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        server.caller_turn("u1")
        await settle(lambda: len(world.runner.record.turns) == 1)
        arguments = json.dumps({"reason": "completed", "claim": {"policyholder": "Mario Lopes", "injuries": False}})
        item = {"id": "f", "type": "function_call", "name": "end_call", "call_id": "f", "arguments": arguments}
        done = {"id": "r1", "conversation_id": "c", "status": "completed", "output": [item], "usage": USAGE}
        server.says("response.done", response=done)
        await settle(lambda: bool(world.runner.record.noted_claim))
        world.leg.caller_hangs_up()
    return await world.messages()


@pytest.mark.parametrize("manner", ["answers", "is slow"])
@pytest.mark.parametrize("extract", ["turn", "end"])
async def test_the_end_of_the_call_has_the_claim_of_its_last_turn(
    outbox: Outbox, extract: Literal["turn", "end"], manner: Manner
) -> None:
    server = Server(manner)
    messages = await carry(outbox, server, extract)
    assert server.asked == 1
    assert [one["type"] for one in messages] == [
        "call.started", "turn.transcribed", "claim.updated", "claim.updated", "call.ended",
    ]  # fmt: skip
    ended = messages[-1]["data"]
    assert ended["claim"] == {"policyholder": "Maria Lopez", "injuries": False}
    sources = {name: state["source"] for name, state in ended["claims"][0]["fields"].items()}
    assert sources == {"policyholder": "transcript", "injuries": "agent"}


@pytest.mark.parametrize("manner", ["begins", "refuses", "is silent"])
async def test_a_server_that_gives_no_claim_costs_no_transcript(outbox: Outbox, manner: Manner) -> None:
    server = Server(manner)
    messages = await carry(outbox, server, "turn")
    assert [one["type"] for one in messages] == ["call.started", "turn.transcribed", "claim.updated", "call.ended"]
    assert messages[1]["data"]["transcript"] == "I'm Maria Lopez."
    fields = messages[-1]["data"]["claims"][0]["fields"]
    assert {name: (state["value"], state["source"]) for name, state in fields.items()} == {
        "policyholder": ("Mario Lopes", "agent"),
        "injuries": (False, "agent"),
    }
    # What is refused is tried once more at the end, and what does not come is not asked for when time is up.
    assert server.asked == (2 if manner == "refuses" else 1)
    # It is no response of the agent's.
    assert not any(isinstance(event, ResponseCancel) for event in server.sent)


async def test_off_leaves_the_agents_notes_as_they_are(outbox: Outbox) -> None:
    server = Server("answers")
    messages = await carry(outbox, server, "off")
    assert server.asked == 0
    assert [one["type"] for one in messages] == ["call.started", "turn.transcribed", "call.ended"]
    assert messages[-1]["data"]["claim"] == {"policyholder": "Mario Lopes", "injuries": False}
    assert messages[-1]["data"]["claims"] == []


# -- by hand, 20 ms at a time ------------------------------------------------------------------------------------------


def intake(extract: Literal["turn", "end"]) -> ClaimIntake:
    return ClaimIntake(
        extract=extract,
        timeout_s=15.0,
        instructions="",
        today=lambda: date(2026, 11, 21),
        new_reference=lambda: "C7K-4QX-92M",
    )


@pytest.fixture
def call() -> Call:
    return Call(claims=intake("turn"))


def test_nothing_is_asked_for_when_the_time_is_up() -> None:
    call = Call(claims=intake("end"))
    call.caller_begins("u1")
    call.wait(400)
    call.caller_ends("u1")
    call.transcript("u1", "Maria Lopez.")
    call.do(call.conversation.close())
    call.do(call.conversation.abandon("flush_timeout", call.now_s))
    assert not any(map(is_claim_request, call.sent(ResponseCreate)))


def outputs(call: Call) -> list[str]:
    return [one.item["output"] for one in call.sent(ItemCreate) if one.item["type"] == "function_call_output"]


def agent_calls(call: Call, name: str, call_id: str, arguments: str = "{}") -> None:
    item = events.Item(id=call_id, type="function_call", name=name, call_id=call_id, arguments=arguments)
    response = events.Response(id=f"resp_{call_id}", status="completed", output=[item])
    call.server(events.ResponseCreated(response=events.Response(id=f"resp_{call_id}", conversation_id="conv")))
    call.server(events.ResponseDone(response=response))


def test_the_agent_does_not_hang_up_before_its_submission_is_decided(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(400)
    call.caller_ends("u1")
    agent_calls(call, "submit_claim", "c1")
    agent_calls(call, "end_call", "c2", '{"reason": "completed"}')
    call.wait(int(HANG_UP_GRACE_S * 1000) + 1000)
    assert call.of(HangUp) == []
    assert outputs(call) == []
    call.wait(int(DECISION_LIMIT_S * 1000))
    (output,) = outputs(call)
    assert output.startswith("Not submitted yet")


def test_a_caller_who_has_to_go_is_given_a_reference_at_once(call: Call) -> None:
    agent_calls(call, "pause_claim", "c1")
    (output,) = outputs(call)
    assert "C7K-4QX-92M" in output
    (changed,) = call.of(ClaimChanged)
    assert changed.change.claim.state == "paused"
    # And the agent is asked to say it.
    assert isinstance(call.actions[-1], Send)
    assert call.actions[-1].event == ResponseCreate(event_id="agent_response")


def test_a_session_that_broke_meanwhile_is_not_given_the_output_of_a_call_it_does_not_know(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(400)
    call.caller_ends("u1")
    agent_calls(call, "submit_claim", "c1")
    call.conversation.session_lost()
    call.do(call.conversation.resume(call.now_s))
    call.wait(int(DECISION_LIMIT_S * 1000) + 100)
    assert outputs(call) == []
    notes = [one.item["content"][0]["text"] for one in call.sent(ItemCreate) if one.item.get("role") == "system"]
    assert [note.startswith("Not submitted yet") for note in notes] == [True]
