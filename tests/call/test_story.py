"""A whole call in memory: a spelled name, a policy number the agent misheard, a correction, "you got my name wrong".

The first six turns, and the agent's answers to them, are those of a published recording of such a call
(developers.openai.com/cookbook, "Transcribing User Audio with a Separate Realtime Request").
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import pytest

from service.outbox.outbox import Outbox
from service.realtime.commands import ClientEvent, ItemCreate, ResponseCreate, SessionUpdate
from service.schemas import schema_json
from tests.call.test_runner import USAGE, MemorySession, World, opens, settle

NAME = "My full legal name is M-I-N-H-A-J-U-L H-O-Q-U-E"


def said(value: object, *turns: int, confirmed: bool = False) -> dict[str, Any]:
    return {"value": value, "turns": list(turns), "confirmed": confirmed, "unknown": value is None}


@dataclass(frozen=True)
class Turn:
    """What the caller says, what the agent does then, and what the extraction finds once it has the transcript."""

    caller: str
    agent: str
    noted: dict[str, Any] = field(default_factory=dict)
    tool: str | None = None


MISHEARD = "E G 0 0 7 - P X 7 5"
STORY = (
    Turn("Hello.", "Thank you for calling. May I please have your full legal name as it appears on your policy?"),
    Turn(
        NAME,
        "Thank you, Minhajul Hoque. Next, could you please provide your policy number? Remember, it's usually in a"
        " format like XXXX-XXXX.",
        {"policyholder": said("Minhajul Hoque", 2)},
    ),
    Turn(
        "My policy number is X007-PX75.",
        f"Thank you. Just to confirm, I heard your policy number as {MISHEARD}. Is that correct?",
        {"policy_number": said("X007-PX75", 3)},
    ),
    Turn(
        "No, I said X007-PX75.",
        f"Thank you for clarifying. I've got it now. Your policy number is {MISHEARD}. Let's move on. Could you tell me"
        " the type of accident, is it auto, home, or something else?",
        {"policy_number": said("X007-PX75", 3, 4, confirmed=True)},
    ),
    Turn(
        "It's an auto, but I think you got my name wrong, can you ask me again?",
        "Of course, I'm happy to correct that. Could you please spell your full legal name for me?",
        {"kind": said("auto", 5, confirmed=True), "policyholder": said("Minhajul Hoque", 2)},
    ),
    Turn(
        "Yeah, my full legal name is Minhajul Haque.",
        "Your full legal name is M-I-N-H-A-J-U-L, H-A-Q-U-E, and your policy number is X 0 0 7, P X 7 5. Correct?",
        {"policyholder": said("Minhajul Haque", 6)},
    ),
    Turn(
        "Yes, that's right.",
        "Then I will submit it.",
        {"policyholder": said("Minhajul Haque", 6, 7, confirmed=True)},
        tool="submit_claim",
    ),
    Turn(
        "My phone is 555 014 2278. It was yesterday at noon, I was hit at a red light, nobody is hurt, the car drives,"
        " and there's no report and nobody saw it.",
        "Your phone is 5 5 5, 0 1 4, 2 2 7 8, and the rest as you say. Is all of it right?",
        {
            "phone": said("555 014 2278", 8),
            "incident_at": said("2026-11-20T12:00", 8),
            "account": said("I was hit at a red light.", 8),
            **{name: said(False, 8, confirmed=True) for name in ("injuries", "report_filed", "witnesses")},
            "drivable": said(True, 8, confirmed=True),
        },
    ),
    Turn(
        "All of it.",
        "Thank you, I submit it now.",
        {
            "phone": said("555 014 2278", 8, 9, confirmed=True),
            "incident_at": said("2026-11-20T12:00", 8, 9, confirmed=True),
            "account": said("I was hit at a red light.", 8, 9, confirmed=True),
        },
        tool="submit_claim",
    ),
)


class ScriptedServer(MemorySession):
    """Answers as the story has it: the agent at once, transcripts and the claim when they are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.tool_outputs: list[str] = []
        self.react = self._react

    def play(self, number: int) -> None:
        """The caller's turn, and the agent's answer."""
        turn = STORY[number - 1]
        self.caller_turn(f"u{number}")
        self._agent(f"a{number}", turn.agent, turn.tool)

    def _agent(self, item: str, text: str, tool: str | None = None) -> None:
        output: list[dict[str, Any]] = [{"id": item, "type": "message", "role": "assistant", "content": []}]
        if tool is not None:
            output.append({"id": f"f{item}", "type": "function_call", "name": tool, "call_id": item, "arguments": "{}"})
        response = {"id": f"r{item}", "conversation_id": "c", "output": []}
        self.says("response.created", response=response)
        for word in re.findall(r"\S+\s*", text):
            self.says("response.output_audio_transcript.delta", response_id=f"r{item}", item_id=item, delta=word)
        self.says("response.done", response={**response, "status": "completed", "output": output, "usage": USAGE})

    def _note(self, event: ResponseCreate) -> None:
        assert event.response is not None
        lines = event.response["input"][0]["content"][0]["text"]
        latest = max(int(one) for one in re.findall(r"^caller (\d+):", lines, re.MULTILINE))
        standing = json.loads(event.response["input"][0]["content"][1]["text"])["claims"][0]["fields"]
        noted: dict[str, Any] = {}
        for turn in STORY[:latest]:
            noted |= turn.noted
        new = {name: entry for name, entry in noted.items() if entry != standing.get(name)}
        call = {"id": "n", "type": "function_call", "name": "note_claim", "call_id": "n"}
        call["arguments"] = json.dumps({"claims": [{"fields": new}]})
        response = {"id": event.event_id, "conversation_id": None, "metadata": event.response["metadata"], "output": []}
        self.says("response.created", response=response)
        self.says("response.done", response={**response, "status": "completed", "output": [call], "usage": USAGE})

    def _react(self, event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=None):
                pass
            case ResponseCreate(response={"metadata": {"purpose": "claim"}}):
                self._note(event)
            case ResponseCreate(response={"metadata": {"item_id": str(item_id)}}):
                self.transcribe(event, STORY[int(item_id[1:]) - 1].caller)
            case ItemCreate(item={"type": "function_call_output", "output": str(output)}):
                self.tool_outputs.append(output)
            case SessionUpdate():
                self.says("session.updated", session={})
            case _:
                pass


Played = tuple[World, ScriptedServer, list[dict[str, Any]]]


async def play(outbox: Outbox) -> Played:
    """The whole story as `call_1`, and the messages it left."""
    server = ScriptedServer()
    world = World(outbox, opens(server), extract="turn")
    record = world.runner.record
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: record.answered_s is not None)
        for number, turn in enumerate(STORY, 1):
            server.play(number)
            outputs = sum(one.tool is not None for one in STORY[:number])
            await settle(lambda: len(record.turns) == number and len(server.tool_outputs) == outputs)  # noqa: B023
            for name, entry in turn.noted.items():
                await settle(lambda: 1 in record.claims and name in record.claims[1].fields)  # noqa: B023
                await settle(lambda: list(record.claims[1].fields[name].turns) == entry["turns"])  # noqa: B023
        world.leg.caller_hangs_up()
    return world, server, await world.messages()


@pytest.fixture
async def played(outbox: Outbox) -> Played:
    return await play(outbox)


async def test_the_story_ends_with_the_right_claim_and_shows_where_the_agent_heard_wrong(played: Played) -> None:
    world, server, messages = played
    data = {kind: [one["data"] for one in messages if one["type"] == kind] for kind in {m["type"] for m in messages}}

    assert [one["transcript"] for one in data["turn.transcribed"]] == [turn.caller for turn in STORY]

    # The conflict stands from the agent's first mistake until the caller agreed to what they had said.
    conflicts = {one["turn"]: one["fields"]["policy_number"]["conflict"] for one in data["claim.updated"][1:]}
    wrong = {"agent": "EG007PX75", "caller": "X007-PX75"}
    assert {turn: found and {k: found[k] for k in wrong} for turn, found in conflicts.items()} == {
        **dict.fromkeys((3, 4, 5, 6), wrong),
        **dict.fromkeys((7, 8, 9), None),
    }
    assert world.counted("claimline_claim_conflicts_total", field="policy_number") == 1

    names = [(one["turn"], one["fields"]["policyholder"]["value"]) for one in data["claim.updated"]]
    assert {name for turn, name in names if turn < 6} == {"Minhajul Hoque"}
    assert {name for turn, name in names if turn > 6} == {"Minhajul Haque"}

    # The first try to submit is told what is missing, the second is accepted.
    assert "phone: not asked yet" in server.tool_outputs[0]
    assert "policy" not in server.tool_outputs[0]
    (submitted,) = data["claim.submitted"]
    assert submitted["reference"] in server.tool_outputs[1]
    assert submitted["missing"] == []

    (ended,) = data["call.ended"]
    assert ended["claim"] == {
        "policyholder": "Minhajul Haque",
        "policy_number": "X007-PX75",
        "kind": "auto",
        "phone": "5550142278",
        "incident_at": "2026-11-20T12:00",
        "injuries": False,
        "drivable": True,
        "report_filed": False,
        "witnesses": False,
        "account": "I was hit at a red light.",
    }
    assert [one["fields"] for one in ended["claims"]] == [submitted["fields"]]
    assert {state["conflict"] for state in submitted["fields"].values()} == {None}
    assert submitted["fields"]["policy_number"]["turns"] == [3, 4]
    assert world.counted("claimline_claims_total", state="submitted") == 1
    assert set(ended["cost"]) == {"agent", "transcription", "claim"}


async def test_every_message_of_it_is_as_its_schema_says_and_follows_the_turn_it_is_from(played: Played) -> None:
    _, _, messages = played
    transcribed = 0
    for seq, message in enumerate(messages, 1):
        jsonschema.Draft202012Validator(json.loads(schema_json(message["type"]) or b"")).validate(message)
        assert message["data"]["seq"] == seq
        if message["type"] == "turn.transcribed":
            transcribed = message["data"]["turn"]
        elif message["type"].startswith("claim."):
            assert message["data"]["turn"] == transcribed


async def test_what_was_submitted_is_kept_for_another_call(played: Played, outbox: Outbox) -> None:
    _, _, messages = played
    submitted = next(one["data"] for one in messages if one["type"] == "claim.submitted")
    kept = await outbox.kept_claim(submitted["reference"])
    assert kept is not None
    assert kept == {name: submitted[name] for name in ("reference", "state", "fields", "missing")}


async def test_an_earlier_claim_is_looked_up_by_a_later_call(played: Played, outbox: Outbox) -> None:
    _, _, messages = played
    reference = next(one["data"]["reference"] for one in messages if one["type"] == "claim.submitted")
    server = ScriptedServer()
    world = World(outbox, opens(server), extract="turn")
    world.runner = type(world.runner)("call_2", world.leg, world.services)
    arguments = json.dumps({"reference": reference.replace("-", " "), "policyholder": "Minhajul Hoque"})
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        call = {"id": "f", "type": "function_call", "name": "resume_claim", "call_id": "f", "arguments": arguments}
        done = {"id": "r", "conversation_id": "c", "status": "completed", "output": [call], "usage": USAGE}
        server.says("response.done", response=done)
        await settle(lambda: len(server.tool_outputs) == 1)
        world.leg.caller_hangs_up()
    assert "This claim was submitted" in server.tool_outputs[0]
    assert '"policy_number": "X007-PX75"' in server.tool_outputs[0]
    assert [one.reference for one in world.runner.record.claims.values()] == [reference]
