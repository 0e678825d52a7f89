"""The store: order, leases, the endpoint's failures, gaps, and what survives."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import ConfigError, LocalProtocolError
from service.outbox.message import Claim, MessageFilter, encode_data
from service.outbox.schema import MIGRATIONS
from service.outbox.sqlite import SqliteOutboxStore
from service.outbox.store import OutboxError

NOW_S = 1_762_300_000.0
LEASE_S = 30.0


def fill(store: SqliteOutboxStore, call_id: str = "a", count: int = 3, now_s: float = NOW_S) -> list[str]:
    """A call with so many messages; gives their ids."""
    store.open_call(call_id, "worker-1", now_s, LEASE_S)
    return [
        store.append(call_id, "turn.transcribed", encode_data({"turn": turn}), now_s, now_s).webhook_id
        for turn in range(1, count + 1)
    ]


def only(claims: list[Claim]) -> Claim:
    (claim,) = claims
    return claim


def data_of(claim: Claim) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(claim.body)["data"]
    return data


def fail(store: SqliteOutboxStore, claim: Claim, now_s: float, delay_s: float = 5.0) -> None:
    store.retry(claim, "HTTP 500", now_s + delay_s, now_s + delay_s)


# -- order and leases --------------------------------------------------------------------------------------------------


def test_seq_counts_from_one_in_each_call_also_after_purging(store: SqliteOutboxStore) -> None:
    fill(store, "a", 2)
    fill(store, "b", 1)
    while claims := store.claim(8, NOW_S, LEASE_S):
        for claim in claims:
            store.sent(claim, NOW_S)
    assert store.purge(NOW_S + 1, dead=False, limit=100) == 3
    assert store.append("a", "call.ended", b"{}", NOW_S, NOW_S).seq == 3


def test_a_call_has_one_message_in_flight(store: SqliteOutboxStore) -> None:
    fill(store)
    assert only(store.claim(8, NOW_S, LEASE_S)).seq == 1
    assert store.claim(8, NOW_S, LEASE_S) == []


def test_a_message_in_flight_when_the_process_dies_comes_again_unchanged_when_its_lease_lapses(
    open_store: Callable[[], SqliteOutboxStore],
) -> None:
    store = open_store()
    fill(store)
    lost = only(store.claim(8, NOW_S, LEASE_S))
    store.close()
    store = open_store()
    assert store.claim(8, NOW_S + LEASE_S - 1, LEASE_S) == []
    again = only(store.claim(8, NOW_S + LEASE_S, LEASE_S))
    assert (again.webhook_id, again.body, again.attempt) == (lost.webhook_id, lost.body, 2)


def test_who_lost_the_lease_can_still_say_that_it_was_delivered_but_not_that_it_failed(
    store: SqliteOutboxStore,
) -> None:
    fill(store, count=2)
    slow = only(store.claim(8, NOW_S, LEASE_S))
    second = only(store.claim(8, NOW_S + LEASE_S, LEASE_S))
    fail(store, slow, NOW_S + LEASE_S)
    assert store.stats(NOW_S).endpoint == "ok"
    store.sent(slow, NOW_S + LEASE_S)
    assert store.claim(8, NOW_S + LEASE_S, LEASE_S) == [], "the other deliverer still has this call"
    fail(store, second, NOW_S + LEASE_S)
    assert store.find(MessageFilter(state="sent"), 9)[0].seq == 1


def test_an_append_needs_an_open_call(store: SqliteOutboxStore) -> None:
    with pytest.raises(LocalProtocolError, match="nobody"):
        store.append("nobody", "call.started", b"{}", NOW_S, NOW_S)
    fill(store, "a")
    store.end_call("a", NOW_S)
    with pytest.raises(LocalProtocolError):
        store.append("a", "turn.transcribed", b"{}", NOW_S, NOW_S)


def test_opening_may_be_repeated_but_an_id_is_never_shared(store: SqliteOutboxStore) -> None:
    store.open_call("a", "worker-1", NOW_S, LEASE_S)
    store.open_call("a", "worker-1", NOW_S, LEASE_S)
    with pytest.raises(LocalProtocolError):
        store.open_call("a", "worker-2", NOW_S, LEASE_S)
    store.append("a", "call.started", b"{}", NOW_S, NOW_S)
    with pytest.raises(LocalProtocolError):
        store.open_call("a", "worker-1", NOW_S, LEASE_S)


def test_renewing_concerns_the_open_calls_of_one_worker(store: SqliteOutboxStore) -> None:
    for call_id, worker_id in (("a", "worker-1"), ("b", "worker-1"), ("c", "worker-2")):
        store.open_call(call_id, worker_id, NOW_S, LEASE_S)
    store.end_call("b", NOW_S)
    assert store.renew_calls("worker-1", NOW_S, LEASE_S) == 1


# -- the endpoint ------------------------------------------------------------------------------------------------------


def test_while_the_endpoint_fails_one_message_probes_and_the_others_spend_no_tries(store: SqliteOutboxStore) -> None:
    for call_id in "abc":
        fill(store, call_id, 1)
    for claim in store.claim(3, NOW_S, LEASE_S):
        fail(store, claim, NOW_S)
    assert store.stats(NOW_S).endpoint == "failing"
    assert store.claim(3, NOW_S + 4, LEASE_S) == []
    probe = only(store.claim(3, NOW_S + 5, LEASE_S))
    assert probe.endpoint_failures == 1, "three tries side by side are one failure"
    assert store.claim(3, NOW_S + 6, LEASE_S) == []
    store.sent(probe, NOW_S + 6)
    assert store.stats(NOW_S).endpoint == "ok"
    assert len(store.claim(3, NOW_S + 6, LEASE_S)) == 2


def test_a_probe_that_is_never_settled_is_repeated_when_its_lease_lapses(store: SqliteOutboxStore) -> None:
    fill(store)
    fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
    only(store.claim(1, NOW_S + 5, LEASE_S))
    assert store.claim(1, NOW_S + 5 + LEASE_S - 1, LEASE_S) == []
    only(store.claim(1, NOW_S + 5 + LEASE_S, LEASE_S))


def test_a_message_the_endpoint_cannot_digest_does_not_stop_the_other_calls(store: SqliteOutboxStore) -> None:
    fill(store, "poison", 1, NOW_S - 10)
    fill(store, "well", 20)
    now_s, delivered = NOW_S, 0
    for _ in range(60):
        for claim in store.claim(1, now_s, LEASE_S):
            if claim.call_id == "poison":
                store.retry(claim, "HTTP 500", now_s + min(300.0, 5.0 * claim.attempt), now_s + 1.0)
            else:
                store.sent(claim, now_s)
                delivered += 1
        now_s += 1.0
    assert delivered == 20
    assert store.find(MessageFilter(call_id="poison"), 1)[0].state == "ready"


def test_410_stops_everything_until_resume_and_survives_a_restart(open_store: Callable[[], SqliteOutboxStore]) -> None:
    store = open_store()
    fill(store, "a", 2)
    fill(store, "b", 1)
    store.disable(store.claim(1, NOW_S, LEASE_S)[0], "HTTP 410")
    assert store.stats(NOW_S).endpoint == "disabled"
    store.close()
    store = open_store()
    assert store.claim(8, NOW_S + 1e6, LEASE_S) == []
    store.resume()
    assert sorted(claim.seq for claim in store.claim(8, NOW_S, LEASE_S)) == [1, 1]


def test_resume_does_not_wait_for_the_table(store: SqliteOutboxStore) -> None:
    fill(store)
    fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S, delay_s=86_400.0)
    store.resume()
    assert only(store.claim(1, NOW_S, LEASE_S)).seq == 1


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_after_a_message_was_given_up_the_next_one_says_gap_and_the_one_after_does_not(
    store: SqliteOutboxStore,
) -> None:
    fill(store, count=4)
    store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
    store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422")
    after = only(store.claim(1, NOW_S, LEASE_S))
    assert (after.seq, data_of(after)["gap"]) == (3, True)
    store.sent(after, NOW_S)
    assert "gap" not in data_of(only(store.claim(1, NOW_S, LEASE_S)))


def test_two_given_up_in_a_row_and_the_process_restarted_still_leave_a_gap(
    open_store: Callable[[], SqliteOutboxStore],
) -> None:
    store = open_store()
    fill(store, count=3)
    for _ in range(2):
        store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422")
    store.close()
    assert data_of(only(open_store().claim(1, NOW_S, LEASE_S)))["gap"] is True


def test_data_cannot_overwrite_the_place_in_the_call(store: SqliteOutboxStore) -> None:
    store.open_call("a", "worker-1", NOW_S, LEASE_S)
    store.append("a", "call.started", encode_data({"seq": 9, "call_id": "b", "line": "1"}), NOW_S, NOW_S)
    assert data_of(only(store.claim(1, NOW_S, LEASE_S))) == {"call_id": "a", "seq": 1, "line": "1"}


def test_the_timestamp_is_the_events_not_the_tries(store: SqliteOutboxStore) -> None:
    store.open_call("a", "worker-1", NOW_S, LEASE_S)
    store.append("a", "call.started", b"{}", 1_762_300_000.25, NOW_S)
    assert json.loads(only(store.claim(1, NOW_S + 9, LEASE_S)).body)["timestamp"] == "2025-11-04T23:46:40.250Z"


# -- looking and mending -----------------------------------------------------------------------------------------------


def test_replay_repeats_a_dead_message_before_what_waits_with_its_own_id_and_body(store: SqliteOutboxStore) -> None:
    ids = fill(store, count=3)
    died = only(store.claim(1, NOW_S, LEASE_S))
    store.give_up(died, "HTTP 422")
    assert store.replay(MessageFilter(webhook_id=ids[0]), NOW_S) == 1
    again = only(store.claim(1, NOW_S, LEASE_S))
    assert (again.webhook_id, again.body) == (died.webhook_id, died.body)


def test_replay_by_call_and_by_time(store: SqliteOutboxStore) -> None:
    fill(store, "a", 2, NOW_S)
    fill(store, "b", 2, NOW_S + 100)
    while claims := store.claim(8, NOW_S + 200, LEASE_S):
        for claim in claims:
            store.sent(claim, NOW_S + 200)
    assert store.replay(MessageFilter(state="dead"), NOW_S) == 0
    assert store.replay(MessageFilter(since_s=NOW_S + 50, until_s=NOW_S + 150), NOW_S) == 2
    assert store.replay(MessageFilter(call_id="a"), NOW_S) == 2
    assert {claim.call_id for claim in store.claim(8, NOW_S + 200, LEASE_S)} == {"a", "b"}


def test_find_gives_the_newest_in_order(store: SqliteOutboxStore) -> None:
    fill(store, "a", 3, NOW_S)
    fill(store, "b", 2, NOW_S + 1)
    assert [(one.call_id, one.seq) for one in store.find(MessageFilter(), 3)] == [("a", 3), ("b", 1), ("b", 2)]


def test_purge_keeps_what_was_not_delivered(store: SqliteOutboxStore) -> None:
    fill(store, count=3)
    store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
    store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422")
    assert store.purge(NOW_S, dead=True, limit=100) == 0
    assert store.purge(NOW_S + 1, dead=False, limit=100) == 1
    assert store.purge(NOW_S + 1, dead=True, limit=100) == 1
    assert [one.seq for one in store.find(MessageFilter(), 9)] == [3]


def test_stats(store: SqliteOutboxStore) -> None:
    fill(store, count=3)
    store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422: no")
    fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
    stats = store.stats(NOW_S + 60)
    assert (stats.pending, stats.oldest_age_s, stats.dead) == (2, 60.0, 1)
    assert (stats.endpoint, stats.endpoint_error) == ("failing", "HTTP 500")


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


# -- insurance claims --------------------------------------------------------------------------------------------------


def test_a_claim_is_kept_with_the_message_that_tells_of_it_and_only_with_it(store: SqliteOutboxStore) -> None:
    fill(store, count=1)
    store.append("a", "claim.updated", b"{}", NOW_S, NOW_S, ("C7K-4QX-92M", b'{"state":"open"}'))
    assert store.kept_claim("C7K-4QX-92M") == b'{"state":"open"}'
    store.append("a", "claim.updated", b"{}", NOW_S, NOW_S, ("C7K-4QX-92M", b'{"state":"paused"}'))
    assert store.kept_claim("C7K-4QX-92M") == b'{"state":"paused"}'
    store.end_call("a", NOW_S)
    with pytest.raises(LocalProtocolError):
        store.append("a", "claim.updated", b"{}", NOW_S, NOW_S, ("C7K-4QX-92M", b"lost"))
    assert store.kept_claim("C7K-4QX-92M") == b'{"state":"paused"}'
    assert store.kept_claim("XXX-XXX-XXX") is None


def test_purging_removes_claims_of_that_age(store: SqliteOutboxStore) -> None:
    fill(store, count=0)
    store.append("a", "claim.updated", b"{}", NOW_S, NOW_S, ("old", b"{}"))
    store.append("a", "claim.updated", b"{}", NOW_S, NOW_S + 10, ("new", b"{}"))
    store.purge(NOW_S + 5, dead=False, limit=100)
    assert (store.kept_claim("old"), store.kept_claim("new")) == (None, b"{}")


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


# -- the file ----------------------------------------------------------------------------------------------------------


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


# -- age ---------------------------------------------------------------------------------------------------------------


def test_a_message_dies_by_age_and_the_next_says_gap(store: SqliteOutboxStore) -> None:
    fill(store, "a", 2)
    store.append("a", "call.ended", b"{}", NOW_S, NOW_S + 100)
    assert store.expire(NOW_S, "too old", NOW_S + 200) == 0
    assert store.expire(NOW_S + 50, "too old", NOW_S + 200) == 2
    claim = only(store.claim(8, NOW_S + 200, LEASE_S))
    assert (claim.seq, data_of(claim)["gap"]) == (3, True)
    assert store.stats(NOW_S + 200).dead == 2


def test_a_message_in_flight_does_not_die_and_a_replayed_one_is_young_again(store: SqliteOutboxStore) -> None:
    fill(store, "a", 1)
    claim = only(store.claim(8, NOW_S, LEASE_S))
    assert store.expire(NOW_S + 1, "too old", NOW_S + 2) == 0
    fail(store, claim, NOW_S + 2)
    assert store.expire(NOW_S + 1, "too old", NOW_S + 2) == 1
    assert store.replay(MessageFilter(call_id="a"), NOW_S + 300) == 1
    assert store.expire(NOW_S + 299, "too old", NOW_S + 301) == 0
    assert only(store.claim(8, NOW_S + 301, LEASE_S)).webhook_id == claim.webhook_id
