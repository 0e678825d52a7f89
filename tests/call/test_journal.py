"""A call's journal while the disk is full: nothing is lost or reordered, what waits is counted and bounded."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.app import Worker
from service.call import journal
from service.call.journal import Backlog, Journal
from service.config import Config
from service.outbox.last_words import last_words
from service.outbox.message import MessageFilter
from service.outbox.outbox import Outbox
from service.outbox.sqlite import SqliteOutboxStore
from service.realtime.commands import ClientEvent, ResponseCreate, SessionUpdate
from tests.call.test_runner import MemorySession, World, opens


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RETRY_S", 0.005)


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """No file of this process may grow beyond the outbox's write-ahead log: the kernel refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(f"{path.name}-wal").stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 -- another thread's work
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(outbox: Outbox, call_id: str, backlog: Backlog) -> AsyncIterator[Journal]:
    one = Journal(outbox, call_id, "w", backlog)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(one.run())
        yield one
        one.finish()


async def told(outbox: Outbox) -> list[Any]:
    bodies = [await outbox.body(one.webhook_id) for one in await outbox.find(MessageFilter(), limit=10_000)]
    return [json.loads(body)["data"] for body in bodies if body is not None]


def open_turns(*items: str) -> dict[str, Any]:
    return {"turns": [{"item_id": item, "transcript": "", "spoken_at": "then"} for item in items], "ended": {}}


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    """For messages of any shape."""
    async with await Outbox.open(tmp_path / "outbox.db") as opened:
        yield opened


async def test_a_full_disk_is_waited_for_and_everything_is_written_in_order(outbox: Outbox, tmp_path: Path) -> None:
    backlog = Backlog()
    async with running(outbox, "a", backlog) as one:
        one.put("call.started", {"n": 0}, 1.0, will=open_turns())
        await until(lambda: backlog.messages == 0)
        with full_disk(tmp_path / "outbox.db"):
            for number in range(1, 50):
                one.put("turn.transcribed", {"n": number, "words": "x" * 500}, 1.0, will=open_turns())
                one.note(open_turns(f"u{number}"))
            await until(lambda: backlog.refused == {"a"})
            assert not outbox.writable
            assert not await outbox.check()
            assert backlog.messages > 0
            assert not one.full
        await until(lambda: backlog.messages == 0)
        assert backlog.refused == set()
        assert outbox.writable
        one.put("call.ended", {"n": 50}, 1.0)
    assert [(data["seq"], data["n"]) for data in await told(outbox)] == [(n + 1, n) for n in range(51)]


async def test_calls_on_a_full_disk_are_held_up_to_a_bound_each(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "HELD_MAX", 50)
    backlog = Backlog()
    async with running(outbox, "a", backlog) as one, running(outbox, "b", backlog) as other:
        for each in (one, other):
            each.put("call.started", {}, 1.0, will=open_turns())
        await until(lambda: backlog.messages == 0)
        with full_disk(tmp_path / "outbox.db"):
            other.put("turn.transcribed", {"words": "x" * 5000}, 1.0)
            for number in range(50):
                assert not one.full
                one.put("turn.transcribed", {"n": number, "words": "x" * 500}, 1.0)
            await until(lambda: backlog.refused == {"a", "b"})
            assert one.full
            assert not other.full
            assert backlog.messages == 51
    assert (backlog.messages, backlog.refused) == (0, set())
    assert len(await told(outbox)) == 53, "nothing was dropped"


async def test_wills_take_no_room_while_they_wait(outbox: Outbox, tmp_path: Path) -> None:
    backlog = Backlog()
    async with running(outbox, "a", backlog) as one:
        one.put("call.started", {}, 1.0, will=open_turns())
        await until(lambda: backlog.messages == 0)
        with full_disk(tmp_path / "outbox.db"):
            one.note(open_turns("u" * 9000))
            await until(lambda: backlog.refused == {"a"})
            for number in range(10_000):
                one.note(open_turns(f"u{number}", "x" * 9000))
            assert len(one._queue) == 1
        await until(lambda: not one._queue and not backlog.refused)
        one.put("turn.transcribed", {}, 1.0)
        await until(lambda: backlog.messages == 0)
        store = SqliteOutboxStore(tmp_path / "outbox.db")
        (newest,) = store._db.execute("SELECT data FROM wills").fetchone()
        store.close()
    assert json.loads(newest)["turns"][0]["item_id"] == "u9999"


async def test_a_call_that_another_worker_has_closed_goes_on_untold(outbox: Outbox) -> None:
    backlog = Backlog()
    async with running(outbox, "a", backlog) as one:
        one.put("call.started", {}, 1.0, will=open_turns())
        await until(lambda: backlog.messages == 0)
        await outbox.finish_call_of("w", lambda call: last_words(call, 1.0), lapsed=False)
        one.put("turn.transcribed", {}, 1.0)
        one.put("call.ended", {}, 1.0)
    assert (backlog.messages, backlog.refused) == (0, set())


async def test_a_call_that_holds_too_much_is_ended_and_all_of_it_is_told(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "HELD_MAX", 3)
    session = MemorySession()

    def react(event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=dict()):
                session.transcribe(event, "My car was hit. " * 200)
            case SessionUpdate():
                session.says("session.updated", session={})

    session.react = react
    world = World(outbox, opens(session))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await until(lambda: world.runner.record.answered_s is not None and not world.services.backlog.messages)
        with full_disk(tmp_path / "outbox.db"):
            for number in range(1, 5):
                session.caller_turn(f"u{number}")
                await until(lambda number=number: len(world.runner.record.turns) == number)  # type: ignore[misc]
            await until(lambda: "BYE" in world.leg.did)
    messages = await told(outbox)
    assert [data["seq"] for data in messages] == [1, 2, 3, 4, 5, 6]
    assert [data["turn"] for data in messages[1:-1]] == [1, 2, 3, 4]
    assert (messages[-1]["result"], messages[-1]["reason"]) == ("server_error", "outbox_full")


async def test_while_calls_wait_for_the_disk_no_new_ones_are_taken(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    worker = Worker(Config())
    worker._not_ready = []
    services = worker._call_services(outbox)
    assert worker._not_ready_because(outbox) == []
    services.backlog.refused.add("call_1")
    assert await outbox.check(), "there is room for a little"
    assert worker._not_ready_because(outbox) == ["outbox unwritable"]
    services.backlog.refused.clear()
    assert worker._not_ready_because(outbox) == []
