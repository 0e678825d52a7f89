"""What every outbox store must do, whatever it is kept in: order, leases, failures, gaps, mending, dead workers.

A store is held against it by a subclass in a test module, whose fixture `open_store` opens the same store again and
again, as processes that share it would:

    class TestPostgres(StoreConformance):
        @pytest.fixture
        def open_store(self, ...) -> Iterator[Callable[[], OutboxStore]]: ...

and by `tests.outbox.test_order`, which needs only a way to open one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from service.errors import LocalProtocolError
from service.outbox.message import Claim, LeftCall, MessageFilter, encode_data
from service.outbox.store import OutboxStore

NOW_S = 1_762_300_000.0
LEASE_S = 30.0


def fill(store: OutboxStore, call_id: str = "a", count: int = 3, now_s: float = NOW_S) -> list[str]:
    """A call with so many messages; gives their ids."""
    store.open_call(call_id, "worker-1", now_s, LEASE_S)
    return [
        store.append(call_id, "turn.transcribed", encode_data({"turn": turn}), now_s, now_s).webhook_id
        for turn in range(1, count + 1)
    ]


def only(claims: list[Claim]) -> Claim:
    """The one there is."""
    (claim,) = claims
    return claim


def data_of(claim: Claim) -> dict[str, Any]:
    """`data` of its body."""
    data: dict[str, Any] = json.loads(claim.body)["data"]
    return data


def echo_will(call: LeftCall) -> list[tuple[str, bytes]]:
    """Last words that tell what the store handed over: the call's messages and its will."""
    types = [type_ for type_, _ in call.messages]
    return [("call.ended", encode_data({"types": types, "will": (call.will or b"").decode()}))]


def finish(store: OutboxStore, worker_id: str = "worker-1", lapsed_before_s: float = NOW_S + LEASE_S + 1) -> str | None:
    """Close a call of that worker."""
    return store.finish_call_of(worker_id, lapsed_before_s, NOW_S, echo_will)


def ended(store: OutboxStore, call_id: str = "a") -> dict[str, Any]:
    """`data` of the call's last message, whose type is call.ended."""
    last = store.find(MessageFilter(call_id=call_id), 100)[-1]
    assert last.type == "call.ended"
    data: dict[str, Any] = json.loads(store.body(last.webhook_id) or b"")["data"]
    return data


def fail(store: OutboxStore, claim: Claim, now_s: float, delay_s: float = 5.0) -> None:
    """The endpoint failed, and is to be tried again in a while."""
    store.retry(claim, "HTTP 500", now_s, now_s + delay_s, now_s + delay_s)


class StoreConformance:
    """Fixtures: `open_store` opens the same store each time, `store` is one that is open. Both are closed after."""

    # -- order and leases ----------------------------------------------------------------------------------------------

    def test_seq_counts_from_one_in_each_call_also_after_purging(self, store: OutboxStore) -> None:
        fill(store, "a", 2)
        fill(store, "b", 1)
        while claims := store.claim(8, NOW_S, LEASE_S):
            for claim in claims:
                store.sent(claim, NOW_S)
        assert store.purge(NOW_S + 1, dead=False, limit=100) == 3
        assert store.append("a", "call.ended", b"{}", NOW_S, NOW_S).seq == 3

    def test_every_message_has_an_id_of_its_own_that_can_be_signed(self, store: OutboxStore) -> None:
        ids = fill(store, "a", 5) + fill(store, "b", 5)
        assert len(set(ids)) == 10
        # Standard Webhooks: the id is followed by a dot in what is signed.
        assert not any("." in one for one in ids)

    def test_a_call_has_one_message_in_flight(self, store: OutboxStore) -> None:
        fill(store)
        assert only(store.claim(8, NOW_S, LEASE_S)).seq == 1
        assert store.claim(8, NOW_S, LEASE_S) == []

    def test_a_message_in_flight_when_the_process_dies_comes_again_unchanged_when_its_lease_lapses(
        self,
        open_store: Callable[[], OutboxStore],
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
        self,
        store: OutboxStore,
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

    def test_an_append_needs_an_open_call(self, store: OutboxStore) -> None:
        with pytest.raises(LocalProtocolError, match="nobody"):
            store.append("nobody", "call.started", b"{}", NOW_S, NOW_S)
        fill(store, "a")
        store.end_call("a", NOW_S)
        with pytest.raises(LocalProtocolError):
            store.append("a", "turn.transcribed", b"{}", NOW_S, NOW_S)

    def test_opening_may_be_repeated_but_an_id_is_never_shared(self, store: OutboxStore) -> None:
        store.open_call("a", "worker-1", NOW_S, LEASE_S)
        store.open_call("a", "worker-1", NOW_S, LEASE_S)
        with pytest.raises(LocalProtocolError):
            store.open_call("a", "worker-2", NOW_S, LEASE_S)
        store.append("a", "call.started", b"{}", NOW_S, NOW_S)
        with pytest.raises(LocalProtocolError):
            store.open_call("a", "worker-1", NOW_S, LEASE_S)

    def test_renewing_concerns_the_open_calls_of_one_worker(self, store: OutboxStore) -> None:
        for call_id, worker_id in (("a", "worker-1"), ("b", "worker-1"), ("c", "worker-2")):
            store.open_call(call_id, worker_id, NOW_S, LEASE_S)
        store.end_call("b", NOW_S)
        assert store.renew_calls("worker-1", NOW_S, LEASE_S) == 1

    def test_the_calls_that_have_waited_longest_go_first_and_no_more_than_asked_for(self, store: OutboxStore) -> None:
        for number, call_id in enumerate("cab"):
            fill(store, call_id, 2, NOW_S + number)
        assert {claim.call_id for claim in store.claim(2, NOW_S + 9, LEASE_S)} == {"c", "a"}
        assert only(store.claim(8, NOW_S + 9, LEASE_S)).call_id == "b"

    def test_what_an_ended_call_has_left_is_still_delivered(self, store: OutboxStore) -> None:
        fill(store, count=1)
        store.end_call("a", NOW_S)
        assert only(store.claim(8, NOW_S, LEASE_S)).seq == 1

    def test_two_processes_share_what_is_kept_and_never_a_message_in_flight(
        self, open_store: Callable[[], OutboxStore]
    ) -> None:
        first, second = open_store(), open_store()
        fill(first, "a", 2)
        fill(second, "b", 2)
        assert second.append("a", "call.ended", b"{}", NOW_S, NOW_S).seq == 3
        taken = [*first.claim(1, NOW_S, LEASE_S), *second.claim(8, NOW_S, LEASE_S)]
        assert sorted(claim.call_id for claim in taken) == ["a", "b"]
        assert first.claim(8, NOW_S, LEASE_S) == []
        second.sent(taken[0], NOW_S)
        assert only(first.claim(8, NOW_S, LEASE_S)).seq == 2
        second.disable(taken[1], "HTTP 410")
        assert first.stats(NOW_S).endpoint == "disabled"

    # -- the endpoint --------------------------------------------------------------------------------------------------

    def test_while_the_endpoint_fails_one_message_probes_and_the_others_spend_no_tries(
        self, store: OutboxStore
    ) -> None:
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

    def test_a_probe_that_is_never_settled_is_repeated_when_its_lease_lapses(self, store: OutboxStore) -> None:
        fill(store)
        fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        only(store.claim(1, NOW_S + 5, LEASE_S))
        assert store.claim(1, NOW_S + 5 + LEASE_S - 1, LEASE_S) == []
        only(store.claim(1, NOW_S + 5 + LEASE_S, LEASE_S))

    def test_a_message_the_endpoint_cannot_digest_does_not_stop_the_other_calls(self, store: OutboxStore) -> None:
        fill(store, "poison", 1, NOW_S - 10)
        fill(store, "well", 20)
        now_s, delivered = NOW_S, 0
        for _ in range(60):
            for claim in store.claim(1, now_s, LEASE_S):
                if claim.call_id == "poison":
                    store.retry(claim, "HTTP 500", now_s, now_s + min(300.0, 5.0 * claim.attempt), now_s + 1.0)
                else:
                    store.sent(claim, now_s)
                    delivered += 1
            now_s += 1.0
        assert delivered == 20
        assert store.find(MessageFilter(call_id="poison"), 1)[0].state == "ready"

    def test_410_stops_everything_until_resume_and_survives_a_restart(
        self, open_store: Callable[[], OutboxStore]
    ) -> None:
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

    def test_resume_does_not_wait_for_the_table(self, store: OutboxStore) -> None:
        fill(store)
        fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S, delay_s=86_400.0)
        store.resume()
        assert only(store.claim(1, NOW_S, LEASE_S)).seq == 1

    # -- a clock that is set back --------------------------------------------------------------------------------------

    def test_what_waits_or_was_in_flight_is_not_held_up_by_hours(self, store: OutboxStore) -> None:
        fill(store, "queued", 2)
        fill(store, "left", 1)
        queued, left = sorted(store.claim(2, NOW_S, LEASE_S), key=lambda claim: claim.call_id, reverse=True)
        store.sent(queued, NOW_S)
        again = store.claim(8, NOW_S - 3 * 3600, LEASE_S)
        assert {(claim.call_id, claim.seq) for claim in again} == {("queued", 2), (left.call_id, left.seq)}
        assert store.claim(8, NOW_S - 3 * 3600, LEASE_S) == []

    def test_an_endpoint_that_failed_is_probed_again_and_then_waited_for_as_ever(self, store: OutboxStore) -> None:
        fill(store)
        fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        now_s = NOW_S - 3 * 3600
        probe = only(store.claim(1, now_s, LEASE_S))
        assert store.claim(1, now_s + LEASE_S - 1, LEASE_S) == []
        fail(store, probe, now_s)
        assert store.claim(1, now_s + 4, LEASE_S) == []
        only(store.claim(1, now_s + 5, LEASE_S))

    def test_a_wait_of_a_day_that_the_endpoint_asked_for_is_kept(self, store: OutboxStore) -> None:
        fill(store)
        fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S, delay_s=86_400.0)
        assert store.claim(1, NOW_S - 1, LEASE_S) == [], "read a moment before it failed"
        assert store.claim(1, NOW_S + 86_399, LEASE_S) == []

    # -- bodies --------------------------------------------------------------------------------------------------------

    def test_after_a_message_was_given_up_the_next_one_says_gap_and_the_one_after_does_not(
        self,
        store: OutboxStore,
    ) -> None:
        fill(store, count=4)
        store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422")
        after = only(store.claim(1, NOW_S, LEASE_S))
        assert (after.seq, data_of(after)["gap"]) == (3, True)
        store.sent(after, NOW_S)
        assert "gap" not in data_of(only(store.claim(1, NOW_S, LEASE_S)))

    def test_two_given_up_in_a_row_and_the_process_restarted_still_leave_a_gap(
        self,
        open_store: Callable[[], OutboxStore],
    ) -> None:
        store = open_store()
        fill(store, count=3)
        for _ in range(2):
            store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422")
        store.close()
        assert data_of(only(open_store().claim(1, NOW_S, LEASE_S)))["gap"] is True

    def test_repeating_an_earlier_message_does_not_hide_a_gap_behind_it(self, store: OutboxStore) -> None:
        ids = fill(store, count=4)
        store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422")
        assert store.replay(MessageFilter(webhook_id=ids[0]), NOW_S) == 1
        store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        after = only(store.claim(1, NOW_S, LEASE_S))
        assert (after.seq, data_of(after).get("gap")) == (3, True)
        store.sent(after, NOW_S)
        assert store.replay(MessageFilter(webhook_id=ids[0]), NOW_S) == 1
        store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        assert "gap" not in data_of(only(store.claim(1, NOW_S, LEASE_S))), "said once"

    def test_data_cannot_overwrite_the_place_in_the_call(self, store: OutboxStore) -> None:
        store.open_call("a", "worker-1", NOW_S, LEASE_S)
        store.append("a", "call.started", encode_data({"seq": 9, "call_id": "b", "line": "1"}), NOW_S, NOW_S)
        assert data_of(only(store.claim(1, NOW_S, LEASE_S))) == {"call_id": "a", "seq": 1, "line": "1"}

    def test_the_timestamp_is_the_events_not_the_tries(self, store: OutboxStore) -> None:
        store.open_call("a", "worker-1", NOW_S, LEASE_S)
        store.append("a", "call.started", b"{}", 1_762_300_000.25, NOW_S)
        assert json.loads(only(store.claim(1, NOW_S + 9, LEASE_S)).body)["timestamp"] == "2025-11-04T23:46:40.250Z"

    # -- looking and mending -------------------------------------------------------------------------------------------

    def test_replay_repeats_a_dead_message_before_what_waits_with_its_own_id_and_body(self, store: OutboxStore) -> None:
        ids = fill(store, count=3)
        died = only(store.claim(1, NOW_S, LEASE_S))
        store.give_up(died, "HTTP 422")
        assert store.replay(MessageFilter(webhook_id=ids[0]), NOW_S) == 1
        again = only(store.claim(1, NOW_S, LEASE_S))
        assert (again.webhook_id, again.body) == (died.webhook_id, died.body)

    def test_replay_by_call_and_by_time(self, store: OutboxStore) -> None:
        fill(store, "a", 2, NOW_S)
        fill(store, "b", 2, NOW_S + 100)
        while claims := store.claim(8, NOW_S + 200, LEASE_S):
            for claim in claims:
                store.sent(claim, NOW_S + 200)
        assert store.replay(MessageFilter(state="dead"), NOW_S) == 0
        assert store.replay(MessageFilter(since_s=NOW_S + 50, until_s=NOW_S + 150), NOW_S) == 2
        assert store.replay(MessageFilter(call_id="a"), NOW_S) == 2
        assert {claim.call_id for claim in store.claim(8, NOW_S + 200, LEASE_S)} == {"a", "b"}

    def test_find_gives_the_newest_in_order(self, store: OutboxStore) -> None:
        fill(store, "a", 3, NOW_S)
        fill(store, "b", 2, NOW_S + 1)
        assert [(one.call_id, one.seq) for one in store.find(MessageFilter(), 3)] == [("a", 3), ("b", 1), ("b", 2)]

    def test_purge_keeps_what_was_not_delivered(self, store: OutboxStore) -> None:
        fill(store, count=3)
        store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422")
        assert store.purge(NOW_S, dead=True, limit=100) == 0
        assert store.purge(NOW_S + 1, dead=False, limit=100) == 1
        assert store.purge(NOW_S + 1, dead=True, limit=100) == 1
        assert [one.seq for one in store.find(MessageFilter(), 9)] == [3]

    def test_stats(self, store: OutboxStore) -> None:
        fill(store, count=3)
        store.give_up(only(store.claim(1, NOW_S, LEASE_S)), "HTTP 422: no")
        fail(store, only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        stats = store.stats(NOW_S + 60)
        assert (stats.pending, stats.oldest_age_s, stats.dead) == (2, 60.0, 1)
        assert (stats.endpoint, stats.endpoint_error) == ("failing", "HTTP 500")

    def test_replay_leaves_what_waits_alone(self, store: OutboxStore) -> None:
        fill(store, count=2)
        store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        assert store.replay(MessageFilter(call_id="a"), NOW_S) == 1
        assert [one.state for one in store.find(MessageFilter(), 9)] == ["ready", "ready"]

    def test_purge_takes_no_more_than_it_may_and_at_last_the_call(self, store: OutboxStore) -> None:
        fill(store, count=2)
        store.end_call("a", NOW_S)
        for _ in range(2):
            store.sent(only(store.claim(1, NOW_S, LEASE_S)), NOW_S)
        assert store.purge(NOW_S + 1, dead=False, limit=1) == 1
        with pytest.raises(LocalProtocolError):
            store.open_call("a", "worker-1", NOW_S, LEASE_S)
        assert store.purge(NOW_S + 1, dead=False, limit=1) == 1
        assert store.purge(NOW_S + 1, dead=False, limit=1) == 0
        store.open_call("a", "worker-1", NOW_S, LEASE_S)

    def test_the_body_is_shown_as_it_will_be_sent_and_none_of_an_unknown_message(self, store: OutboxStore) -> None:
        ids = fill(store, count=1)
        shown = store.body(ids[0])
        assert shown == only(store.claim(1, NOW_S, LEASE_S)).body
        assert store.body("msg_none") is None

    def test_checking_changes_nothing(self, store: OutboxStore) -> None:
        fill(store)
        before = store.stats(NOW_S)
        store.check()
        assert store.stats(NOW_S) == before

    # -- calls whose worker died ---------------------------------------------------------------------------------------

    def test_a_call_is_closed_with_its_last_words_once_however_many_try(
        self, open_store: Callable[[], OutboxStore]
    ) -> None:
        first, second = open_store(), open_store()
        fill(first, "a", 2)
        fill(first, "b", 1)
        first.note("a", b"the will")
        assert sorted(filter(None, (finish(first), finish(second), finish(first), finish(second)))) == ["a", "b"]
        told = ended(first, "a")
        assert (told["types"], told["will"], told["seq"]) == (["turn.transcribed"] * 2, "the will", 3)
        assert ended(first, "b")["will"] == ""
        with pytest.raises(LocalProtocolError):
            first.append("a", "turn.transcribed", b"{}", NOW_S, NOW_S)
        with pytest.raises(LocalProtocolError):
            first.note("a", b"{}")

    def test_a_call_is_closed_whole_or_not_at_all(self, store: OutboxStore) -> None:
        fill(store)

        def breaks(_: LeftCall) -> list[tuple[str, bytes]]:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.finish_call_of("worker-1", NOW_S + 2 * LEASE_S, NOW_S, breaks)
        assert len(store.find(MessageFilter(call_id="a"), 100)) == 3
        assert finish(store) == "a"

    def test_a_lease_that_was_renewed_in_between_keeps_the_call(self, store: OutboxStore) -> None:
        fill(store)
        assert store.open_workers() == {"worker-1": NOW_S + LEASE_S}
        store.renew_calls("worker-1", NOW_S + LEASE_S, LEASE_S)
        assert finish(store) is None
        assert store.open_workers() == {"worker-1": NOW_S + 2 * LEASE_S}

    def test_a_will_stands_until_the_next_one_or_the_end_of_its_call(self, store: OutboxStore) -> None:
        fill(store, count=0)
        store.append("a", "call.started", b"{}", NOW_S, NOW_S, will=b"of the message")
        store.append("a", "claim.updated", b"{}", NOW_S, NOW_S)
        store.open_call("b", "worker-1", NOW_S + 1, LEASE_S)
        store.note("b", b"the first")
        store.note("b", b"the second")
        store.open_call("c", "worker-1", NOW_S + 2, LEASE_S)
        store.append("c", "call.ended", b"{}", NOW_S, NOW_S, will=b"too late")
        store.end_call("c", NOW_S)
        assert [finish(store, lapsed_before_s=NOW_S + 100) for _ in "abc"] == ["a", "b", None]
        assert (ended(store, "a")["will"], ended(store, "b")["will"]) == ("of the message", "the second")
        assert store.open_workers() == {}

    # -- insurance claims ----------------------------------------------------------------------------------------------

    def test_a_claim_is_kept_with_the_message_that_tells_of_it_and_only_with_it(self, store: OutboxStore) -> None:
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

    def test_purging_removes_claims_of_that_age(self, store: OutboxStore) -> None:
        fill(store, count=0)
        store.append("a", "claim.updated", b"{}", NOW_S, NOW_S, ("old", b"{}"))
        store.append("a", "claim.updated", b"{}", NOW_S, NOW_S + 10, ("new", b"{}"))
        store.purge(NOW_S + 5, dead=False, limit=100)
        assert (store.kept_claim("old"), store.kept_claim("new")) == (None, b"{}")

    # -- age -----------------------------------------------------------------------------------------------------------

    def test_a_message_dies_by_age_and_the_next_says_gap(self, store: OutboxStore) -> None:
        fill(store, "a", 2)
        store.append("a", "call.ended", b"{}", NOW_S, NOW_S + 100)
        assert store.expire(NOW_S, "too old", NOW_S + 200) == 0
        assert store.expire(NOW_S + 50, "too old", NOW_S + 200) == 2
        claim = only(store.claim(8, NOW_S + 200, LEASE_S))
        assert (claim.seq, data_of(claim)["gap"]) == (3, True)
        assert store.stats(NOW_S + 200).dead == 2

    def test_a_message_in_flight_does_not_die_and_a_replayed_one_is_young_again(self, store: OutboxStore) -> None:
        fill(store, "a", 1)
        claim = only(store.claim(8, NOW_S, LEASE_S))
        assert store.expire(NOW_S + 1, "too old", NOW_S + 2) == 0
        fail(store, claim, NOW_S + 2)
        assert store.expire(NOW_S + 1, "too old", NOW_S + 2) == 1
        assert store.replay(MessageFilter(call_id="a"), NOW_S + 300) == 1
        assert store.expire(NOW_S + 299, "too old", NOW_S + 301) == 0
        assert only(store.claim(8, NOW_S + 301, LEASE_S)).webhook_id == claim.webhook_id
