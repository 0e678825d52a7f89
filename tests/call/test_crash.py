"""A worker that dies at any moment of a call: from what is on disk then, the next one tells all that was known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service.outbox.last_words import last_words
from service.outbox.message import MessageFilter
from service.outbox.outbox import Outbox
from service.outbox.sqlite import SqliteOutboxStore
from service.realtime.commands import ClientEvent, ResponseCreate, SessionUpdate
from service.schemas import schema_json
from tests.call.test_runner import MemorySession, World, opens, settle

NOW_S = 4e9
"""Behind all that the call itself writes."""
WORDS = {"u1": "My car was hit.", "u2": "On Elm Street.", "u3": ""}


class FilmedStore(SqliteOutboxStore):
    """Keeps what is on disk after every transaction: what a worker that is killed then leaves."""

    def __init__(self, path: Path) -> None:
        self.film: list[bytes] = []
        super().__init__(path)

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[None]:
        with super()._transaction(durable=durable):
            yield
        self.film.append(self._db.serialize())


class Left:
    """One picture of the film, and what the next worker makes of it."""

    def __init__(self, picture: bytes, path: Path) -> None:
        path.write_bytes(picture)
        store = SqliteOutboxStore(path)
        wills = [json.loads(data) for (data,) in store._db.execute("SELECT data FROM wills")]
        self.will: dict[str, Any] = wills[0] if wills else {"turns": []}
        told = [one["data"] for one in _messages(store) if one["type"] == "turn.transcribed"]
        self.journalled = [turn["item_id"] for turn in (*told, *self.will["turns"])]
        while store.finish_call_of("w", float("inf"), NOW_S, lambda call: last_words(call, NOW_S)):
            pass
        self.messages = _messages(store)
        store.close()

    @property
    def turns(self) -> list[dict[str, Any]]:
        return [one["data"] for one in self.messages if one["type"] == "turn.transcribed"]


def _messages(store: SqliteOutboxStore) -> list[dict[str, Any]]:
    bodies = [store.body(one.webhook_id) for one in store.find(MessageFilter(), 1000)]
    return [json.loads(body) for body in bodies if body is not None]


@pytest.fixture
async def left(tmp_path: Path) -> list[Left]:
    """A call of three turns: the second is transcribed before the first, the third never."""
    stores: list[FilmedStore] = []

    def open_store(path: Path) -> FilmedStore:
        stores.append(FilmedStore(path))
        return stores[-1]

    session = MemorySession()
    asked: dict[str, ResponseCreate] = {}

    def react(event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=None):
                session.greet()
            case ResponseCreate(response=dict() as response):
                asked[response["metadata"]["item_id"]] = event
            case SessionUpdate():
                session.says("session.updated", session={})

    session.react = react
    async with await Outbox.open(tmp_path / "outbox.db", open_store=open_store) as outbox:
        world = World(outbox, opens(session))
        record = world.runner.record

        async def written() -> None:
            await settle(lambda: not world.services.backlog.messages)
            for _ in range(3):
                await outbox.stats()

        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(world.runner.run())
            await settle(lambda: record.ledger.cost_usd is not None and record.answered_s is not None)
            await written()
            for item in ("u1", "u2"):
                session.caller_turn(item)
                await settle(lambda item=item: item in asked)  # type: ignore[misc]
                await written()
            for item in ("u2", "u1"):
                session.transcribe(asked[item], WORDS[item])
                done = 1 if item == "u2" else 2
                await settle(lambda done=done: record.ledger.as_json()["usage"]["total"]["reports"] > done)  # type: ignore[misc]
                await written()
            session.caller_turn("u3")
            await settle(lambda: "u3" in asked)
            await written()
            session.says("response.created", response={"id": "r9", "conversation_id": None, "output": []})
            await settle(session.inbox.empty)
            await written()
            world.leg.caller_hangs_up()
    return [Left(picture, tmp_path / f"{number}.db") for number, picture in enumerate(stores[0].film)]


async def test_killed_after_any_write_every_turn_is_told_once_and_in_order(left: list[Left]) -> None:
    order = [*WORDS]
    for number, one in enumerate(left):
        types = [message["type"] for message in one.messages]
        assert types in ([], ["call.started", *["turn.transcribed"] * (len(types) - 2), "call.ended"]), number
        assert [message["data"]["seq"] for message in one.messages] == list(range(1, len(types) + 1))
        assert [turn["item_id"] for turn in one.turns] == one.journalled == order[: len(one.turns)]
        assert [turn["turn"] for turn in one.turns] == list(range(1, len(one.turns) + 1))
        if types:
            ended = one.messages[-1]["data"]
            assert (ended["turns"], len([line for line in ended["transcript"] if line["speaker"] == "caller"])) == (
                len(one.turns),
                len(one.turns),
            )
    counts = [len(one.journalled) for one in left]
    assert counts == sorted(counts), "nothing that was journalled is forgotten"
    assert counts[-1] == 3


async def test_what_is_told_in_a_dead_worker_s_place_keeps_to_the_schemas(left: list[Left]) -> None:
    schemas = {
        name: json.loads(schema_json(name) or b"") for name in ("call.started", "turn.transcribed", "call.ended")
    }
    for one in left:
        for message in one.messages:
            errors = jsonschema.Draft202012Validator(schemas[message["type"]]).iter_errors(message)
            assert [error.message for error in errors] == []


async def test_a_turn_is_kept_when_its_item_is_in_the_conversation(left: list[Left]) -> None:
    """Before anything was asked, answered or reported for it."""
    kept = [one for one in left if [turn["item_id"] for turn in one.will["turns"]] == ["u1"]]
    assert any(one.will["ended"]["cost_complete"] for one in kept)
    assert kept[0].will["ended"]["usage"]["total"]["reports"] == 1, "the greeting"
    assert kept[0].turns[0]["duration_ms"] > 0


async def test_words_that_wait_for_an_earlier_turn_are_not_lost(left: list[Left]) -> None:
    waiting = [one for one in left if [turn["transcript"] for turn in one.will["turns"]] == ["", WORDS["u2"]]]
    assert waiting
    first, second = waiting[0].turns
    assert (first["source"], first["reason"]) == ("none", "interrupted")
    assert (second["source"], second["transcript"], "reason" in second) == ("out_of_band", WORDS["u2"], False)
    assert second["cost_usd"] is not None


async def test_the_account_is_kept_and_says_when_it_is_not_complete(left: list[Left]) -> None:
    ends = [one.messages[-1]["data"] for one in left if one.messages]
    reports = [end["usage"]["total"]["reports"] for end in ends]
    assert reports == sorted(reports)
    assert reports[-1] == 3
    assert {end["cost"].get("agent") for end in ends[-5:]} == {ends[-1]["cost"]["agent"]}
    assert ends[0]["reason"] == "interrupted"
    assert ends[-1]["reason"] != "interrupted"
    complete = [end["cost_complete"] for end in ends if end["reason"] == "interrupted"]
    assert True in complete
    assert complete[-1] is False, "a response was under way"
