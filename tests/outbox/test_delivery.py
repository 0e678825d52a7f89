"""The deliverer on a real file, against senders in memory and a receiver that fails."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import standardwebhooks
from structlog.testing import capture_logs

from service.config import LOOPBACK
from service.outbox.backoff import Outcome, Verdict
from service.outbox.delivery import Deliverer, MessageSender
from service.outbox.message import Claim, MessageFilter
from service.outbox.outbox import Outbox
from service.outbox.receiver import Fault, Receiver
from service.outbox.sender import Sender
from service.outbox.signature import Secret
from tests.outbox.many_messages import write_messages

DELIVERED = Outcome(Verdict.DELIVERED, "HTTP 200")
FAILED = Outcome(Verdict.RETRY, "HTTP 500")
REFUSED = Outcome(Verdict.DEAD, "HTTP 422")


class MemorySender:
    """Answers from a list, `DELIVERED` when it is empty; remembers what it was given."""

    timeout_s = 1.0

    def __init__(self, answer: Callable[[Claim], Outcome] = lambda claim: DELIVERED, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.tried: list[tuple[str, int]] = []
        self.delivered: dict[str, list[int]] = defaultdict(list)
        self.flying: Counter[str] = Counter()
        self._answer = answer
        self._tried = asyncio.Event()

    async def send(self, claim: Claim) -> Outcome:
        self.flying[claim.call_id] += 1
        assert self.flying[claim.call_id] == 1, "one message of a call at a time"
        await asyncio.sleep(self.takes_s)
        self.flying[claim.call_id] -= 1
        self.tried.append((claim.call_id, claim.seq))
        outcome = self._answer(claim)
        if outcome.verdict is Verdict.DELIVERED:
            self.delivered[claim.call_id].append(claim.seq)
        self._tried.set()
        return outcome

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(10.0):
            while not reached():
                self._tried.clear()
                await self._tried.wait()


class NoJitterNoWait(random.Random):
    """Makes every table entry nothing."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


@asynccontextmanager
async def delivering(outbox: Outbox, sender: MessageSender, **options: object) -> AsyncIterator[Deliverer]:
    defaults = {"parallel_calls": 4, "max_per_s": 1e4, "max_age_s": 1e9, "rng": NoJitterNoWait(), "poll_s": 0.01}
    deliverer = Deliverer(outbox, sender, **(defaults | options))  # type: ignore[arg-type]
    task = asyncio.create_task(deliverer.run())
    try:
        yield deliverer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def fill(outbox: Outbox, calls: Sequence[str], count: int) -> None:
    for call_id in calls:
        await outbox.open_call(call_id, "worker-1")
    for turn in range(1, count + 1):
        for call_id in calls:
            await outbox.append(call_id, "turn.transcribed", {"turn": turn})


async def test_every_call_in_order_although_a_third_of_the_tries_fail(outbox: Outbox) -> None:
    rng = random.Random(7)
    sender = MemorySender(lambda claim: FAILED if rng.random() < 1 / 3 else DELIVERED)
    calls = [f"call_{number}" for number in range(5)]
    await fill(outbox, calls, 8)
    async with delivering(outbox, sender) as deliverer:
        assert (await deliverer.drain(20.0)).pending == 0
    assert sender.delivered == {call_id: list(range(1, 9)) for call_id in calls}


async def test_calls_are_delivered_side_by_side_up_to_the_bound(outbox: Outbox) -> None:
    opened = asyncio.Event()

    class Gated(MemorySender):
        begun = 0

        async def send(self, claim: Claim) -> Outcome:
            self.begun += 1
            await opened.wait()
            return await super().send(claim)

    sender = Gated()
    await fill(outbox, [f"call_{number}" for number in range(6)], 2)
    async with delivering(outbox, sender, parallel_calls=3) as deliverer:
        await deliverer.drain(0.1)
        assert sender.begun == 3
        opened.set()
        assert (await deliverer.drain(10.0)).pending == 0


async def test_a_call_whose_message_hangs_does_not_hold_up_the_others(outbox: Outbox) -> None:
    class Hanging(MemorySender):
        async def send(self, claim: Claim) -> Outcome:
            if claim.call_id == "stuck":
                await asyncio.Event().wait()
            return await super().send(claim)

    sender = Hanging()
    await fill(outbox, ["stuck", "fine"], 5)
    async with delivering(outbox, sender) as deliverer:
        await sender.until(lambda: len(sender.delivered["fine"]) == 5)
        assert (await deliverer.drain(0.05)).pending == 5


async def test_what_is_refused_is_given_up_and_the_call_goes_on_with_a_gap(outbox: Outbox) -> None:
    gaps: dict[int, bool] = {}

    def answer(claim: Claim) -> Outcome:
        gaps[claim.seq] = json.loads(claim.body)["data"].get("gap", False)
        return REFUSED if claim.seq == 2 else DELIVERED

    await fill(outbox, ["call_1"], 4)
    async with delivering(outbox, MemorySender(answer)) as deliverer:
        stats = await deliverer.drain(10.0)
    assert (stats.pending, stats.dead) == (0, 1)
    assert gaps == {1: False, 2: False, 3: True, 4: False}


async def test_while_the_endpoint_is_down_the_messages_that_wait_are_not_tried(outbox: Outbox) -> None:
    sender = MemorySender(lambda claim: FAILED)
    await fill(outbox, [f"call_{number}" for number in range(20)], 1)
    async with delivering(outbox, sender, rng=random.Random(1), parallel_calls=4) as deliverer:
        assert (await deliverer.drain(0.3)).endpoint == "failing"
    assert 1 <= len(sender.tried) <= 4
    assert sum(one.attempts for one in await outbox.find(MessageFilter())) == len(sender.tried)


async def test_throttling_is_honoured(outbox: Outbox, path: Path) -> None:
    await fill(outbox, ["call_1"], 2)
    sender = MemorySender(lambda claim: Outcome(Verdict.THROTTLED, "HTTP 429", retry_after_s=3600.0))
    async with delivering(outbox, sender) as deliverer:
        await deliverer.drain(0.2)
    assert len(sender.tried) == 1
    with sqlite3.connect(path) as db:
        (wait_s,) = db.execute("SELECT next_try_at_s - (julianday('now') - 2440587.5) * 86400 FROM endpoint").fetchone()
    db.close()
    assert 3590 < wait_s <= 3600


async def test_410_stops_delivery_and_drain_does_not_wait_for_it(outbox: Outbox) -> None:
    gone = True
    sender = MemorySender(lambda claim: Outcome(Verdict.DISABLED, "HTTP 410") if gone else DELIVERED)
    await fill(outbox, ["call_1"], 3)
    async with delivering(outbox, sender) as deliverer:
        with capture_logs() as logs:
            async with asyncio.timeout(10.0):
                stats = await deliverer.drain(60.0)
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["webhook_disabled"]
        assert (stats.endpoint, stats.pending, len(sender.tried)) == ("disabled", 3, 1)
        gone = False
        await outbox.resume()
        assert (await deliverer.drain(10.0)).pending == 0
    assert sender.delivered == {"call_1": [1, 2, 3]}


async def test_an_append_wakes_the_deliverer(outbox: Outbox) -> None:
    sender = MemorySender()
    async with delivering(outbox, sender, poll_s=3600.0):
        await asyncio.sleep(0)
        await fill(outbox, ["call_1"], 1)
        await sender.until(lambda: sender.tried == [("call_1", 1)])


async def test_attempts_are_reported(outbox: Outbox) -> None:
    answers = [FAILED, REFUSED, DELIVERED]
    seen: list[tuple[str, bool]] = []
    await fill(outbox, ["call_1"], 2)
    async with delivering(
        outbox,
        MemorySender(lambda claim: answers.pop(0)),
        on_attempt=lambda claim, outcome, took_s: seen.append((outcome.verdict.value, took_s >= 0.0)),
    ) as deliverer:
        await deliverer.drain(10.0)
    assert seen == [("retry", True), ("dead", True), ("delivered", True)]


async def test_an_outbox_that_cannot_be_written_for_a_while_does_not_end_delivery(outbox: Outbox, path: Path) -> None:
    await fill(outbox, ["call_1"], 2)
    store = outbox._store
    sender = MemorySender()
    await outbox._run(store._db.execute, "PRAGMA query_only = ON")  # type: ignore[attr-defined]
    async with delivering(outbox, sender) as deliverer:
        await asyncio.sleep(0.05)
        assert not await outbox.check()
        assert not outbox.writable
        assert sender.tried == []
        await outbox._run(store._db.execute, "PRAGMA query_only = OFF")  # type: ignore[attr-defined]
        assert (await deliverer.drain(10.0)).pending == 0
        assert outbox.writable


async def test_two_deliverers_on_one_file_never_have_a_message_in_flight_twice(path: Path) -> None:
    write_messages(path, calls=500, per_call=20, at_s=time.time(), data=b"{}")
    sender = MemorySender(takes_s=0.001)
    shares: Counter[str] = Counter()
    async with (
        await Outbox.open(path) as first,
        await Outbox.open(path) as second,
        delivering(first, sender, parallel_calls=16, on_attempt=lambda *_: shares.update("1")) as one,
        delivering(second, sender, parallel_calls=16, on_attempt=lambda *_: shares.update("2")) as other,
    ):
        await asyncio.gather(one.drain(30.0), other.drain(30.0))
    assert sender.delivered == {f"call_{number}": list(range(1, 21)) for number in range(500)}
    assert len(sender.tried) == len(set(sender.tried)) == 10_000
    assert min(shares.values()) > 1000, "both had their share"


async def test_a_receiver_killed_during_a_call_and_started_again_gets_all_in_order(
    outbox: Outbox, secrets: tuple[Secret, ...], secret_text: str, tmp_path: Path
) -> None:
    journal = tmp_path / "webhooks.jsonl"
    await outbox.open_call("call_1", "worker-1")
    first = Receiver(secrets, journal=journal)
    async with first:
        port = first.port
        sender = Sender(first.url, secrets, allowed_networks=LOOPBACK, connect_timeout_s=1.0, timeout_s=2.0)
        async with sender, delivering(outbox, sender, rng=random.Random(1)):
            await outbox.append("call_1", "call.started", {"line": "1"})
            await first.wait_for(lambda messages: len(messages) == 1, 10.0)
            first.fault = Fault("forget", first=10**6)
            await outbox.append("call_1", "turn.transcribed", {"turn": 1})
            await first.wait_for(lambda messages: len(messages) == 2, 10.0)
            await first.__aexit__(None, None, None)
            for turn in (2, 3):
                await outbox.append("call_1", "turn.transcribed", {"turn": turn})
            async with Receiver(secrets, port=port, journal=journal) as second:
                await second.wait_for(lambda messages: len(messages) == 2, 15.0)
    assert [one.seq for one in first.messages + second.messages] == [1, 2, 3, 4]
    arrivals = [one for one in first.arrivals + second.arrivals if one.verdict in {"taken", "duplicate"}]
    assert second.arrivals[0].verdict == "duplicate"
    by_id = defaultdict(set)
    for arrival in arrivals:
        standardwebhooks.Webhook(secret_text).verify(arrival.body, arrival.headers)
        by_id[arrival.webhook_id].add(arrival.body)
    assert {len(bodies) for bodies in by_id.values()} == {1}
    assert [json.loads(line)["data"]["seq"] for line in journal.read_text().splitlines()] == [1, 2, 3, 4]


async def test_a_receiver_that_fails_a_third_of_the_time_in_every_way_loses_nothing(
    outbox: Outbox, secrets: tuple[Secret, ...]
) -> None:
    rng = random.Random(3)
    calls = ["call_1", "call_2", "call_3"]
    async with Receiver(secrets, rng=rng) as receiver:
        sender = Sender(receiver.url, secrets, allowed_networks=LOOPBACK, connect_timeout_s=1.0, timeout_s=0.2)
        async with sender, delivering(outbox, sender) as deliverer:
            for misdeed in ("status", "close", "forget", "redirect", "hang"):
                receiver.fault = Fault(misdeed, probability=1 / 3)
                names = [f"{call_id}_{misdeed}" for call_id in calls]
                await fill(outbox, names, 4)
                assert (await deliverer.drain(20.0)).pending == 0
    by_call: dict[str, list[int]] = defaultdict(list)
    for message in receiver.messages:
        by_call[message.call_id].append(message.seq)
    assert len(by_call) == 15
    assert set(map(tuple, by_call.values())) == {(1, 2, 3, 4)}


async def test_cancelling_run_leaves_the_rest_for_the_next_start(path: Path) -> None:
    class Slow(MemorySender):
        async def send(self, claim: Claim) -> Outcome:
            await asyncio.Event().wait()
            raise AssertionError

    async with await Outbox.open(path) as outbox:
        await fill(outbox, ["call_1"], 2)
        async with delivering(outbox, Slow()) as deliverer:
            await deliverer.drain(0.05)
        assert (await outbox.stats()).pending == 2


@pytest.mark.parametrize("count", [1, 20])
async def test_closing_the_outbox_finishes_what_was_asked(path: Path, count: int) -> None:
    outbox = await Outbox.open(path)
    await outbox.open_call("call_1", "worker-1")
    appends = [asyncio.create_task(outbox.append("call_1", "t", {"n": number})) for number in range(count)]
    await asyncio.sleep(0)
    for task in appends:
        task.cancel()
    await outbox.close()
    await asyncio.gather(*appends, return_exceptions=True)
    async with await Outbox.open(path) as again:
        assert (await again.stats()).pending == count
