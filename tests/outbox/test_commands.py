"""`claimline outbox`, run in this process on a real file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from service.cli import main
from service.config import Config
from service.config import Outbox as OutboxSection
from service.errors import ClaimlineError, ConfigError
from service.outbox import sqlite
from service.outbox.commands import add_parsers
from service.outbox.message import MessageFilter, encode_data
from service.outbox.sqlite import SqliteOutboxStore

NOW_S = 1_762_300_000.0


def claimline(path: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser("claimline")
    add_parsers(parser.add_subparsers(required=True))
    args = parser.parse_args(["outbox", *arguments])
    status: int = args.run(args, Config(outbox=OutboxSection(path=path)))
    return status


@pytest.fixture
def ids(store: SqliteOutboxStore) -> list[str]:
    """Of one call: a message sent, one given up, one waiting."""
    store.open_call("call_1", "worker-1", NOW_S, 30.0)
    made = [
        store.append("call_1", "turn.transcribed", encode_data({"turn": turn}), NOW_S, NOW_S + turn).webhook_id
        for turn in (1, 2, 3)
    ]
    store.sent(store.claim(1, NOW_S + 10, 30.0)[0], NOW_S)
    store.give_up(store.claim(1, NOW_S + 10, 30.0)[0], "HTTP 422: no such policy")
    return made


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list(path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert claimline(path, "list", "--json") == 0
    assert [(one["webhook_id"], one["state"]) for one in lines(capsys)] == list(
        zip(ids, ("sent", "dead", "ready"), strict=True)
    )
    assert claimline(path, "list", "--dead", "--json") == 0
    assert [one["last_error"] for one in lines(capsys)] == ["HTTP 422: no such policy"]
    assert claimline(path, "list", "--call", "call_2", "--json") == 0
    assert lines(capsys) == []
    assert claimline(path, "list", "--pending", "--call", "call_1", "--json") == 0
    assert [one["seq"] for one in lines(capsys)] == [3]
    assert claimline(path, "list", "--limit", "2", "--json") == 0
    assert [one["seq"] for one in lines(capsys)] == [2, 3]
    assert claimline(path, "list") == 0
    out = capsys.readouterr().out
    assert "1 pending" in out
    assert all(one in out for one in ids)


def test_what_scripts_get_of_a_message(path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert claimline(path, "list", "--dead", "--json") == 0
    assert lines(capsys) == [
        {
            "webhook_id": ids[1],
            "call_id": "call_1",
            "seq": 2,
            "type": "turn.transcribed",
            "state": "dead",
            "attempts": 1,
            "last_error": "HTTP 422: no such policy",
            "created_at": "2025-11-04T23:46:42.000Z",
            "sent_at": None,
        }
    ]


def test_show(path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert claimline(path, "show", ids[2], "--json") == 0
    (shown,) = lines(capsys)
    assert shown["body"]["data"] == {"call_id": "call_1", "seq": 3, "gap": True, "turn": 3}
    assert claimline(path, "show", ids[0]) == 0
    assert json.loads(capsys.readouterr().out)["body"]["data"]["turn"] == 1
    with pytest.raises(ClaimlineError, match="msg_none"):
        claimline(path, "show", "msg_none")


def test_what_is_shown_steers_no_terminal(
    path: Path, store: SqliteOutboxStore, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Škoda \x1b[31m \x9b31m \u202e \U000e0041"
    store.open_call("call_1", "worker-1", NOW_S, 30.0)
    appended = store.append("call_1", "turn.transcribed", encode_data({"transcript": said}), NOW_S, NOW_S)
    assert claimline(path, "show", appended.webhook_id) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["body"]["data"]["transcript"] == said
    assert "Škoda" in out
    assert out.replace("\n", "").isprintable()


def test_replay(path: Path, ids: list[str], store: SqliteOutboxStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert claimline(path, "replay", ids[1], "--json") == 0
    assert lines(capsys) == [{"replayed": 1}]
    assert [one.state for one in store.find(MessageFilter(), 9)] == ["sent", "ready", "ready"]
    assert claimline(path, "replay", "--since", "2025-11-04T23:46:41Z", "--until", "2025-11-05T00:00", "--json") == 0
    assert lines(capsys) == [{"replayed": 1}]
    assert claimline(path, "replay", ids[1]) == 1, "nothing left to repeat"


def test_replay_of_a_call(path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert claimline(path, "replay", "--call", "call_1", "--dead", "--json") == 0
    assert lines(capsys) == [{"replayed": 1}]
    assert claimline(path, "replay", "--call", "call_1", "--json") == 0
    assert lines(capsys) == [{"replayed": 1}]
    assert claimline(path, "replay", "--call", "call_2", "--json") == 1
    assert lines(capsys) == [{"replayed": 0}]


def test_replay_needs_to_know_what(path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        claimline(path, "replay", "--dead")
    assert stopped.value.code == 2
    assert "--call" in capsys.readouterr().err


def test_resume(path: Path, ids: list[str], store: SqliteOutboxStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.disable(store.claim(1, NOW_S + 10, 30.0)[0], "HTTP 410")
    assert claimline(path, "list") == 0
    assert "endpoint disabled (HTTP 410)" in capsys.readouterr().out
    assert claimline(path, "resume", "--json") == 0
    assert lines(capsys) == [{"pending": 1}]
    assert store.stats(NOW_S).endpoint == "ok"


def test_purge(path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert claimline(path, "purge", "--older-than", "1h", "--dead", "--json") == 0
    assert lines(capsys) == [{"purged": 2}]
    assert claimline(path, "purge", "--older-than", "1h") == 0
    assert capsys.readouterr().out == "0 messages removed\n"
    assert claimline(path, "list", "--json") == 0
    assert [one["webhook_id"] for one in lines(capsys)] == [ids[2]], "what waits is never removed"
    with pytest.raises(SystemExit) as stopped:
        claimline(path, "purge", "--older-than", "soon")
    assert stopped.value.code == 2


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"outbox\.path.*none\.db"):
        claimline(tmp_path / "none.db", "list")
    assert not (tmp_path / "none.db").exists()


def test_a_number_too_large_for_the_store_is_wrong_use(path: Path, ids: list[str]) -> None:
    assert claimline(path, "list", "--limit", "1000000000") == 0
    with pytest.raises(SystemExit) as stopped:
        claimline(path, "list", "--limit", "99999999999999999999")
    assert stopped.value.code == 2


def test_whether_it_may_work_the_next_time_shows_in_the_exit_code(
    path: Path, ids: list[str], store: SqliteOutboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAIMLINE_OUTBOX__PATH", str(path))
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 1)
    assert main(["outbox", "resume"]) == 0
    store._db.execute("BEGIN IMMEDIATE")
    assert main(["outbox", "resume"]) == 1
    store._db.execute("ROLLBACK")
    monkeypatch.setenv("CLAIMLINE_OUTBOX__PATH", str(path.with_name("none.db")))
    assert main(["outbox", "resume"]) == 2


@pytest.mark.parametrize("command", ["list", "show", "replay", "resume", "purge"])
def test_every_help_has_an_example(command: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        claimline(path, command, "--help")
    assert stopped.value.code == 0
    assert f"claimline outbox {command}" in capsys.readouterr().out.split("example:")[1]
