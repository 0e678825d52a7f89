"""SQLite as an outbox store, and what only a file has: plans, versions, modes, synchronisation."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.errors import ConfigError
from service.outbox import sqlite
from service.outbox.message import MessageFilter
from service.outbox.schema import MIGRATIONS
from service.outbox.sqlite import SqliteOutboxStore
from service.outbox.store import OutboxError
from tests.outbox.store_conformance import LEASE_S, NOW_S, StoreConformance, fill, only


class TestSqlite(StoreConformance):
    """`open_store` of this folder's conftest opens a file."""


def test_claiming_reads_only_calls_that_have_something_to_send(path: Path, store: SqliteOutboxStore) -> None:
    statements: list[str] = []
    fill(store)
    store._db.set_trace_callback(statements.append)
    store.claim(8, NOW_S, LEASE_S)
    store._db.set_trace_callback(None)
    with sqlite3.connect(path) as db:
        plans = [
            row[3]
            for statement in statements
            if statement.startswith(("SELECT", "UPDATE"))
            for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    db.close()
    assert any("calls_due" in plan for plan in plans)
    assert any("messages_ready" in plan for plan in plans)
    assert [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan and "endpoint" not in plan] == []


def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    db = sqlite3.connect(path)
    for statement in MIGRATIONS[0]:
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO calls (call_id, worker_id, lease_until_s, opened_at_s) VALUES ('a', 'w', 0, 0)")
    db.commit()
    db.close()
    store = SqliteOutboxStore(path)
    store.append("a", "claim.updated", b"{}", NOW_S, NOW_S, ("C7K-4QX-92M", b"{}"))
    assert store.kept_claim("C7K-4QX-92M") == b"{}"
    store.close()


def test_a_will_goes_with_its_call(store: SqliteOutboxStore) -> None:
    fill(store)
    store.note("a", b"{}")
    store.end_call("a", NOW_S)
    assert store._db.execute("SELECT count(*) FROM wills").fetchone() == (0,)


def test_the_file_is_its_owners_alone(path: Path, store: SqliteOutboxStore) -> None:
    fill(store)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    SqliteOutboxStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match=r"outbox\.path.*newer"):
        SqliteOutboxStore(path)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"no database" * 1000)])
def test_a_path_that_is_no_database_is_refused_by_the_settings_name(path: Path, make: Callable[[Path], Any]) -> None:
    make(path)
    with pytest.raises(ConfigError, match=r"outbox\.path"):
        SqliteOutboxStore(path)


def test_a_missing_folder_is_refused_by_the_settings_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"outbox\.path"):
        SqliteOutboxStore(tmp_path / "none" / "outbox.db")


def test_an_append_is_synced_to_disk_whatever_was_done_before(store: SqliteOutboxStore) -> None:
    fill(store, count=1)
    store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
    store.append("a", "call.ended", b"{}", NOW_S, NOW_S)
    (level,) = store._db.execute("PRAGMA synchronous").fetchone()
    assert level == 2, "FULL: the log is synced at each commit"


def test_a_store_that_cannot_be_written_says_so(path: Path, store: SqliteOutboxStore) -> None:
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(OutboxError, match=r"outbox\.path"):
        store.check()
    with pytest.raises(OutboxError, match=r"outbox\.path"):
        store.open_call("a", "worker-1", NOW_S, LEASE_S)
    store._db.execute("PRAGMA query_only = OFF")
    store.check()


def test_a_file_that_is_locked_for_long_is_opened_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 1)
    SqliteOutboxStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as backup:
        backup.execute("BEGIN EXCLUSIVE")
        store = SqliteOutboxStore(path)
        assert store.stats(NOW_S).pending == 0
        store.close()


def test_a_lock_in_the_way_of_an_update_is_no_wrong_setting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutboxError, match=r"outbox\.path.*locked"):
            SqliteOutboxStore(path)


@pytest.mark.parametrize("version", [0, 1])
def test_what_only_looks_neither_makes_nor_updates_a_file(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE photos (name TEXT)")
        db.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"outbox\.path.*(no outbox|older)"):
        SqliteOutboxStore(path, create=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_removed_under_its_worker_is_noticed_and_still_serves(
    path: Path, store: SqliteOutboxStore, replaced: bool
) -> None:
    fill(store, count=1)
    store.check()
    path.rename(path.with_name("elsewhere.db"))
    if replaced:
        path.touch()
    with pytest.raises(OutboxError, match=r"outbox\.path.*removed or replaced"):
        store.check()
    store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)


def test_others_get_in_between_the_steps_of_a_long_replay(
    path: Path, store: SqliteOutboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "REPLAYED_AT_ONCE", 2)
    fill(store, count=5)
    for _ in range(5):
        store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
    other, again = SqliteOutboxStore(path), []
    store._db.set_trace_callback(
        lambda statement: again.extend(other.claim(1, NOW_S, LEASE_S)) if statement == "BEGIN IMMEDIATE" else None
    )
    assert store.replay(MessageFilter(call_id="a"), NOW_S) == 5
    store._db.set_trace_callback(None)
    assert [claim.seq for claim in again] == [1], "the first of the call goes first"
    other.close()


def test_listing_what_waits_does_not_read_what_was_sent(store: SqliteOutboxStore) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.find(MessageFilter(state="ready"), 100)
    store._db.set_trace_callback(None)
    # As it is asked, with a limit that the planner does not know.
    asked = statements[-1].removesuffix("100") + "?"
    plan = store._db.execute(f"EXPLAIN QUERY PLAN {asked}", (100,)).fetchall()
    assert "messages_ready" in plan[0][3]


APPENDING = """
import sys
from pathlib import Path
from service.outbox.sqlite import SqliteOutboxStore
store = SqliteOutboxStore(Path(sys.argv[1]))
store.open_call(sys.argv[2], sys.argv[2], 0.0, 30.0)
for turn in range(50):
    store.append(sys.argv[2], "t", b"{}", 0.0, 0.0)
"""


def test_workers_that_start_at_once_share_the_file(path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", APPENDING, str(path), f"w{number}"]) for number in range(3)]
    assert [worker.wait(timeout=30) for worker in workers] == [0, 0, 0]
    store = SqliteOutboxStore(path)
    assert store.stats(0.0).pending == 150
    store.close()
