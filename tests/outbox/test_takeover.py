"""Calls whose worker died: who closes them, when, once, and what is said in their place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service.outbox.last_words import last_words
from service.outbox.message import LeftCall, MessageFilter, encode_data
from service.outbox.outbox import CALL_LEASE_S, Outbox
from service.outbox.presence import Presence
from service.outbox.sqlite import SqliteOutboxStore
from service.outbox.takeover import Finished, Takeover
from service.schemas import schema_json

NOW_S = 1_762_300_000.0
AT = "2025-11-04T23:46:40.000Z"
ENDED = {"ended_at": AT, "duration_s": 3.5, "result": "server_error", "reason": "interrupted", "turns": 2} | {
    "usage": {"total": {}},
    "cost_usd": "0.01",
    "cost": {"agent": "0.01"},
    "cost_complete": False,
    "quality": None,
}


def turn(number: int, text: str = "", source: str = "none") -> dict[str, Any]:
    return {
        "turn": number,
        "item_id": f"u{number}",
        "transcript": text,
        "source": source,
        "suspect": None,
        "asr_transcript": None,
        "asr_confidence": None,
        "asr_difference": None,
        "spoken_at": AT,
        "duration_ms": 900,
        "model": "m",
        "usage": None,
        "cost_usd": None,
    } | ({"reason": "interrupted"} if source == "none" else {})


def will(*turns: dict[str, Any], **ended: Any) -> bytes:
    return encode_data({"turns": list(turns), "ended": ENDED | ended})


def leave(store: SqliteOutboxStore, call_id: str = "a", worker_id: str = "dead") -> None:
    """A call with one turn told and one open, whose worker then says nothing any more."""
    store.open_call(call_id, worker_id, NOW_S, CALL_LEASE_S)
    store.append(call_id, "call.started", b"{}", NOW_S, NOW_S, will=will(turns=0))
    store.note(call_id, will(turn(1), turns=1))
    told = encode_data(turn(1, "Hello.", "out_of_band"))
    store.append(call_id, "turn.transcribed", told, NOW_S, NOW_S, will=will(turns=1))
    store.note(call_id, will(turn(2)))


def finish(store: SqliteOutboxStore, worker_id: str = "dead", lapsed_before_s: float = NOW_S + CALL_LEASE_S + 1) -> Any:
    return store.finish_call_of(worker_id, lapsed_before_s, NOW_S, lambda call: last_words(call, NOW_S))


def said(store: SqliteOutboxStore, call_id: str = "a") -> list[dict[str, Any]]:
    bodies = [store.body(one.webhook_id) for one in store.find(MessageFilter(call_id=call_id), 100)]
    return [json.loads(body) for body in bodies if body is not None]


# -- what is said ------------------------------------------------------------------------------------------------------


def test_open_turns_and_the_end_are_told_in_the_call_s_order(store: SqliteOutboxStore) -> None:
    leave(store)
    assert finish(store) == "a"
    messages = said(store)
    assert [one["type"] for one in messages] == ["call.started", *["turn.transcribed"] * 2, "call.ended"]
    assert [one["data"]["seq"] for one in messages] == [1, 2, 3, 4]
    last, ended = messages[2]["data"], messages[3]["data"]
    assert (last["item_id"], last["source"], last["reason"], last["transcript"]) == ("u2", "none", "interrupted", "")
    assert (ended["result"], ended["reason"], ended["turns"]) == ("server_error", "interrupted", 2)
    assert (ended["cost_usd"], ended["cost_complete"]) == ("0.01", False)
    assert [(line["speaker"], line["text"]) for line in ended["transcript"]] == [("caller", "Hello."), ("caller", "")]
    for message in messages[1:]:
        schema = json.loads(schema_json(message["type"]) or b"")
        assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(message)] == []


def test_a_call_of_a_version_that_left_no_will_is_ended_with_what_is_known() -> None:
    told = ("turn.transcribed", encode_data(turn(1, "Hello.", "out_of_band")))
    ((type_, data),) = last_words(LeftCall("a", (("call.started", b"{}"), told), None), NOW_S)
    ended = {"call_id": "a", "seq": 3} | json.loads(data)
    assert (type_, ended["turns"], ended["transcript"][0]["text"]) == ("call.ended", 1, "Hello.")
    schema = json.loads(schema_json("call.ended") or b"")
    body = {"type": type_, "timestamp": AT, "data": ended}
    assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(body)] == []


def test_what_was_purged_is_not_told_again() -> None:
    words = last_words(LeftCall("a", (), will(turn(2))), NOW_S)
    assert [type_ for type_, _ in words] == ["turn.transcribed", "call.ended"]
    assert json.loads(words[1][1])["turns"] == 2


@pytest.mark.parametrize("types", [(), ("call.started", "call.ended")])
def test_a_call_that_told_nothing_or_all_owes_nothing(types: tuple[str, ...]) -> None:
    left = LeftCall("a", tuple((type_, b"{}") for type_ in types), will(turn(1)) if types else None)
    assert last_words(left, NOW_S) == []


def test_a_transcript_too_large_for_a_webhook_is_left_out() -> None:
    told = tuple(("turn.transcribed", encode_data(turn(n, "x" * 500, "out_of_band"))) for n in range(1, 60))
    ((_, data),) = last_words(LeftCall("a", told, will(turns=59)), NOW_S)
    assert json.loads(data)["transcript"] is None
    assert len(data) < 20_000


# -- the store ---------------------------------------------------------------------------------------------------------


def test_killed_between_the_last_message_and_the_end_says_nothing_twice(store: SqliteOutboxStore) -> None:
    leave(store)
    store.append("a", "turn.transcribed", encode_data(turn(2)), NOW_S, NOW_S, will=will(turns=2))
    store.append("a", "call.ended", b"{}", NOW_S, NOW_S)
    assert finish(store) == "a"
    assert len(said(store)) == 4
    assert store.open_workers() == {}


def test_a_note_is_no_sync_and_a_message_is(store: SqliteOutboxStore) -> None:
    leave(store)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (1,), "NORMAL"
    store.append("a", "claim.updated", b"{}", NOW_S, NOW_S, will=will())
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"


# -- who is gone -------------------------------------------------------------------------------------------------------

WORKER = """
import sys, time
from pathlib import Path
from service.outbox.presence import Presence
with Presence(Path(sys.argv[1]), sys.argv[2]):
    print("here", flush=True)
    time.sleep(60)
"""


def test_a_worker_is_here_until_its_process_dies(path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(path), "w/1"], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline() == b"here\n"
        with Presence(path, "me") as presence:
            assert (presence.of("w/1"), presence.of("me"), presence.of("nobody")) == ("here", "here", "unknown")
            presence.sweep()
            assert presence.of("w/1") == "here"
            worker.kill()
            worker.wait()
            assert presence.of("w/1") == "gone"
            presence.sweep()
            assert (presence.of("w/1"), presence.of("me")) == ("unknown", "here")
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
    assert list(path.parent.iterdir()) == [], "marks go with their workers"


def test_who_ends_by_an_error_is_gone_at_once(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Presence(path, "broken"):
        raise ZeroDivisionError
    with Presence(path, "me") as presence:
        assert presence.of("broken") == "gone"


def test_marks_that_cannot_be_removed_break_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, missing_ok: bool = False) -> None:
        raise PermissionError

    path.with_name(f"{path.name}.worker-dead").touch()
    monkeypatch.setattr(Path, "unlink", refuse)
    with Presence(path, "me") as presence:
        presence.sweep()
        assert presence.of("dead") == "gone"


def test_without_room_for_a_mark_a_worker_is_unknown(tmp_path: Path) -> None:
    with Presence(tmp_path / "none" / "outbox.db", "me") as presence:
        assert presence.of("me") == "unknown"


# -- the takeover ------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


async def test_a_dead_worker_s_calls_are_closed_at_once_and_a_living_one_s_never(
    path: Path, open_store: Callable[[], SqliteOutboxStore]
) -> None:
    store, clock = open_store(), Clock()
    leave(store, "a", "dead")
    leave(store, "b", "alive")
    leave(store, "c", "me")
    dead = path.with_name(f"{path.name}.worker-dead")
    dead.touch()
    async with await Outbox.open(path, clock=clock) as outbox:
        with Presence(path, "alive"), Presence(path, "me") as presence:
            takeover = Takeover(outbox, presence, "me", clock)
            assert await takeover.finish() == [Finished("a", "dead")]
            assert not dead.exists()
            clock.now_s += 10 * CALL_LEASE_S
            assert await takeover.finish() == []
    assert said(store, "a")[-1]["type"] == "call.ended"
    assert said(store, "b")[-1]["type"] == "turn.transcribed"


async def test_of_a_worker_that_cannot_be_told_calls_wait_for_their_lease(
    path: Path, open_store: Callable[[], SqliteOutboxStore]
) -> None:
    store, clock = open_store(), Clock()
    leave(store, "a", "elsewhere")
    async with await Outbox.open(path, clock=clock) as outbox:
        woken: list[bool] = []
        outbox.on_ready(lambda: woken.append(True))
        with Presence(path, "me") as presence:
            takeover = Takeover(outbox, presence, "me", clock)
            clock.now_s += CALL_LEASE_S - 1
            assert await takeover.finish() == []
            clock.now_s += 2
            assert await takeover.finish() == [Finished("a", "elsewhere")]
        assert woken, "the deliverer looks at once"
