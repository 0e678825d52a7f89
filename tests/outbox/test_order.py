"""Whatever happens to tries and processes, each call is delivered in order and nothing is lost."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from service.outbox.message import Claim
from service.outbox.sqlite import SqliteOutboxStore
from service.outbox.store import OutboxStore

LEASE_S = 30.0
CALLS = ("a", "b", "c")


class Deliveries(RuleBasedStateMachine):
    """One store, an endpoint that does as it likes, and a process that dies at any moment."""

    open_store = staticmethod(SqliteOutboxStore)
    """A second store is held against the same machine by a subclass that opens it here."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox.db"
        self.store: OutboxStore = self.open_store(self.path)
        self.now_s = 1000.0
        self.appended: dict[str, int] = defaultdict(int)
        self.arrived: dict[str, list[int]] = defaultdict(list)
        self.given_up: dict[str, set[int]] = defaultdict(set)
        self.bodies: dict[str, bytes] = {}
        self.in_flight: list[Claim] = []

    @initialize()
    def open_calls(self) -> None:
        for call_id in CALLS:
            self.store.open_call(call_id, "worker", self.now_s, LEASE_S)

    @rule(call_id=st.sampled_from(CALLS))
    def append(self, call_id: str) -> None:
        self.appended[call_id] += 1
        assert self.store.append(call_id, "t", b"{}", self.now_s, self.now_s).seq == self.appended[call_id]

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        for claim in self.store.claim(limit, self.now_s, LEASE_S):
            assert claim.call_id not in {other.call_id for other in self.in_flight}, "one at a time within a call"
            assert self.bodies.setdefault(claim.webhook_id, claim.body) == claim.body, "the same bytes at every try"
            self.in_flight.append(claim)

    @precondition(lambda self: self.in_flight)
    @rule(noted=st.booleans())
    def arrive(self, noted: bool) -> None:
        claim = self.in_flight.pop(0)
        self.arrived[claim.call_id].append(claim.seq)
        if noted:
            self.store.sent(claim, self.now_s)
        else:
            self.lapse()

    @precondition(lambda self: self.in_flight)
    @rule()
    def fail(self) -> None:
        self.store.retry(self.in_flight.pop(0), "HTTP 500", self.now_s, self.now_s + 5.0, self.now_s + 1.0)

    @precondition(lambda self: self.in_flight)
    @rule()
    def refuse(self) -> None:
        claim = self.in_flight.pop(0)
        self.store.give_up(claim, "HTTP 422")
        self.given_up[claim.call_id].add(claim.seq)

    @rule(time_s=st.sampled_from((0.5, 5.0)))
    def wait(self, time_s: float) -> None:
        if not self.in_flight:
            self.now_s += time_s

    @rule()
    def lapse(self) -> None:
        self.in_flight.clear()
        self.now_s += LEASE_S

    @rule()
    def die(self) -> None:
        self.store.close()
        self.store = self.open_store(self.path)
        self.lapse()

    def teardown(self) -> None:
        while self.store.stats(self.now_s).pending:
            self.lapse()
            self.claim(3)
            while self.in_flight:
                self.arrive(True)
        self.store.close()
        self.folder.cleanup()
        for call_id in CALLS:
            assert self.arrived[call_id] == sorted(self.arrived[call_id])
            assert set(self.arrived[call_id]) | self.given_up[call_id] == set(range(1, self.appended[call_id] + 1))


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
