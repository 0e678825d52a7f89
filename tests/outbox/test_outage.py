"""An endpoint that is away, or misbehaves, and what comes after; weeks pass by a clock wound by hand.

Only the time in which an endpoint that hangs is waited for is real.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate, chain, repeat, takewhile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.app import Worker
from service.config import LOOPBACK, Config
from service.config import Outbox as OutboxSection
from service.outbox.backoff import Outcome, Verdict
from service.outbox.commands import add_parsers
from service.outbox.delivery import EXPIRE_S, Deliverer, MessageSender
from service.outbox.message import Claim, MessageFilter
from service.outbox.outbox import Outbox
from service.outbox.pace import BURST_S
from service.outbox.presence import Presence
from service.outbox.receiver import Fault, Receiver
from service.outbox.sender import Sender
from service.outbox.signature import Secret
from service.outbox.takeover import Takeover
from tests.outbox.hand_clock import HandClock
from tests.outbox.many_messages import write_messages

DAY_S = 86_400.0
PUBLISHED_S = (1, 5, 5, 5, 5, 5, 10, 20, 40, 80, 160, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000)
"""docs/webhooks.md; every 24 h after that."""
DEFAULT_MAX_AGE_S = Config().webhook.max_age_s


class NoJitter(random.Random):
    """The table as it is published."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@dataclass
class Delivery:
    """A running deliverer, its two clocks, and what it tried when."""

    outbox: Outbox
    wall: HandClock
    monotonic: HandClock = field(default_factory=lambda: HandClock(50.0))
    tries: list[tuple[float, Claim, Outcome]] = field(default_factory=list)
    """Wall clock, and how it ended."""

    def note(self, claim: Claim, outcome: Outcome, _took_s: float) -> None:
        """A try has ended."""
        self.tries.append((self.wall.now_s, claim, outcome))

    async def wind(self, time_s: float) -> None:
        """Let so long pass at once; returns when the deliverer has seen it."""
        self.wall.advance(time_s)
        self.monotonic.advance(time_s)
        await self.monotonic.looked_at()

    async def until_tries(self, count: int) -> None:
        """So many have ended."""
        async with asyncio.timeout(10.0):
            while len(self.tries) < count:  # noqa: ASYNC110 -- the deliverer tells nobody
                await asyncio.sleep(0.0005)

    async def until_sent(self) -> None:
        """Nothing waits any more."""
        async with asyncio.timeout(20.0):
            while (await self.outbox.stats()).pending:  # noqa: ASYNC110 -- nor does the store
                await asyncio.sleep(0.001)


@pytest.fixture
def wall() -> HandClock:
    return HandClock()


@pytest.fixture
async def outbox(path: Path, wall: HandClock) -> AsyncIterator[Outbox]:
    async with await Outbox.open(path, clock=wall) as opened:
        yield opened


@asynccontextmanager
async def delivering(
    outbox: Outbox,
    wall: HandClock,
    sender: MessageSender,
    *,
    parallel_calls: int = 4,
    max_per_s: float = 1e4,
    max_age_s: float = DEFAULT_MAX_AGE_S,
) -> AsyncIterator[Delivery]:
    delivery = Delivery(outbox, wall)
    deliverer = Deliverer(
        outbox,
        sender,
        parallel_calls=parallel_calls,
        max_per_s=max_per_s,
        max_age_s=max_age_s,
        on_attempt=delivery.note,
        clock=delivery.monotonic,
        rng=NoJitter(),
        poll_s=0.001,
    )
    task = asyncio.create_task(deliverer.run())
    try:
        yield delivery
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def sender_to(url: str, secrets: Sequence[Secret], clock: HandClock, timeout_s: float = 5.0) -> Sender:
    return Sender(
        url, secrets, allowed_networks=LOOPBACK, connect_timeout_s=timeout_s, timeout_s=timeout_s, clock=clock
    )


class Scripted:
    """A sender that has its answers from a function."""

    timeout_s = 1.0

    def __init__(self, answer: Callable[[Claim], Outcome]) -> None:
        self.answer = answer

    async def send(self, claim: Claim) -> Outcome:
        """As told."""
        return self.answer(claim)


def well(claim: Claim) -> Outcome:
    return Outcome(Verdict.DELIVERED, "HTTP 204")


def down(claim: Claim) -> Outcome:
    return Outcome(Verdict.RETRY, "HTTP 503")


async def say(outbox: Outbox, call_id: str, turns: int) -> None:
    """A whole call."""
    await outbox.open_call(call_id, "worker-1")
    for turn in range(1, turns + 1):
        await outbox.append(call_id, "turn.transcribed", {"turn": turn})
    await outbox.end_call(call_id)


async def test_a_receiver_that_is_away_for_a_week_loses_nothing_and_is_probed_on_the_published_table(
    outbox: Outbox, wall: HandClock, secrets: tuple[Secret, ...], unused_port: int
) -> None:
    begun_s = wall.now_s
    table = list(chain(PUBLISHED_S, repeat(DAY_S, 7)))
    due_s = list(takewhile(lambda at_s: at_s < 7 * DAY_S, accumulate(table)))
    sender = sender_to(f"http://127.0.0.1:{unused_port}/", secrets, wall)
    async with sender, delivering(outbox, wall, sender) as delivery:
        await say(outbox, "call_0", 3)
        await delivery.until_tries(1)
        for number, (wait_s, _) in enumerate(zip(table, due_s, strict=False), 1):
            await say(outbox, f"call_{number}", 3)
            await delivery.wind(wait_s - 0.5)
            assert len(delivery.tries) == number, f"not before {wait_s} s"
            await delivery.wind(0.5)
            await delivery.until_tries(number + 1)
        away = len(delivery.tries)
        assert [at_s - begun_s for at_s, _, _ in delivery.tries] == [0.0, *due_s]
        assert {outcome.verdict for _, _, outcome in delivery.tries} == {Verdict.RETRY}
        tried = await outbox.find(MessageFilter(), 1000)
        assert sum(message.attempts for message in tried) == away, "what waits spends no tries"
        assert (await outbox.stats()).dead == 0

    async with Receiver(secrets, clock=wall) as receiver:
        sender = sender_to(receiver.url, secrets, wall)
        async with sender, delivering(outbox, wall, sender) as delivery:
            await delivery.wind(DAY_S)
            await delivery.until_sent()
    by_call: dict[str, list[int]] = defaultdict(list)
    for message in receiver.messages:
        by_call[message.call_id].append(message.seq)
    assert by_call == {f"call_{number}": [1, 2, 3] for number in range(len(due_s) + 1)}
    assert [arrival.verdict for arrival in receiver.arrivals] == ["taken"] * len(receiver.messages)
    assert not any(message.gap for message in receiver.messages)


@pytest.mark.parametrize(
    ("fault", "waits_s"),
    [
        (Fault("status", 500), (1, 5)),
        (Fault("status", 502), (1, 5)),
        (Fault("status", 401), (1, 5)),
        (Fault("status", 429), (1, 5)),
        (Fault("status", 429, "7"), (7, 7)),
        (Fault("status", 503, "3600"), (3600, 3600)),
        (Fault("status", 429, "0"), (1, 1)),
        (Fault("redirect"), (1, 5)),
        (Fault("close"), (1, 5)),
        (Fault("hang"), (1, 5)),
        (Fault("drip"), (1, 5)),
        (Fault("forget"), (1, 5)),
    ],
    ids=lambda value: f"{value.misdeed} {value.status} {value.retry_after}" if isinstance(value, Fault) else "",
)
async def test_after_any_misdeed_the_message_comes_again_when_it_is_due_and_the_others_have_waited(
    fault: Fault, waits_s: tuple[int, int], outbox: Outbox, wall: HandClock, secrets: tuple[Secret, ...]
) -> None:
    failing = Fault(fault.misdeed, fault.status, fault.retry_after, first=2)
    for call_id in ("call_1", "call_2", "call_3"):
        await say(outbox, call_id, 2)
    async with Receiver(secrets, fault=failing, clock=wall) as receiver:
        waited_for = fault.misdeed in {"hang", "drip"}
        sender = sender_to(receiver.url, secrets, wall, timeout_s=0.5 if waited_for else 5.0)
        async with sender, delivering(outbox, wall, sender, parallel_calls=1) as delivery:
            await delivery.until_tries(1)
            for number, wait_s in enumerate(waits_s, 1):
                await delivery.wind(wait_s - 0.1)
                assert len(delivery.tries) == len(receiver.arrivals) == number
                assert (await outbox.stats()).endpoint == "failing"
                await delivery.wind(0.1)
                await delivery.until_tries(number + 1)
            await delivery.wind(300.0)
            await delivery.until_sent()
            stats = await outbox.stats()
    assert (stats.endpoint, stats.dead) == ("ok", 0)
    assert len(receiver.arrivals) == 6 + 2, "six messages, two failures"
    assert [(one.call_id, one.seq) for one in sorted(receiver.messages, key=lambda one: one.call_id)] == [
        (f"call_{call}", seq) for call in (1, 2, 3) for seq in (1, 2)
    ]
    again = [arrival.verdict for arrival in receiver.arrivals].count("duplicate")
    assert again == (2 if fault.misdeed == "forget" else 0)


async def test_a_refusal_kills_one_message_and_the_next_of_the_call_says_gap(
    outbox: Outbox, wall: HandClock, secrets: tuple[Secret, ...]
) -> None:
    await say(outbox, "call_1", 3)
    async with Receiver(secrets, fault=Fault("status", 422, first=1), clock=wall) as receiver:
        sender = sender_to(receiver.url, secrets, wall)
        async with sender, delivering(outbox, wall, sender) as delivery:
            await delivery.until_sent()
    assert [(one.seq, one.gap) for one in receiver.messages] == [(2, True), (3, False)]
    (dead,) = await outbox.find(MessageFilter(state="dead"), 9)
    assert (dead.seq, dead.last_error) == (1, "HTTP 422: told to fail")


async def test_what_is_too_old_is_given_up_while_the_endpoint_is_away_and_the_call_goes_on(
    outbox: Outbox, wall: HandClock
) -> None:
    gaps: dict[int, bool] = {}
    sender = Scripted(down)
    await outbox.open_call("call_1", "worker-1")
    for turn in (1, 2):
        await outbox.append("call_1", "turn.transcribed", {"turn": turn})
    with capture_logs() as logs:
        async with delivering(outbox, wall, sender, max_age_s=3 * DAY_S) as delivery:
            await delivery.until_tries(1)
            await delivery.wind(2 * DAY_S)
            await outbox.append("call_1", "call.ended", {"turns": 2})
            await delivery.wind(EXPIRE_S + 1)
            assert (await outbox.stats()).dead == 0
            await delivery.wind(DAY_S)
            await delivery.wind(EXPIRE_S + 1)
            assert [one.state for one in await outbox.find(MessageFilter(), 9)] == ["dead", "dead", "ready"]

            def take(claim: Claim) -> Outcome:
                gaps[claim.seq] = b'"gap":true' in claim.body
                return well(claim)

            sender.answer = take
            await delivery.wind(DAY_S)
            await delivery.until_sent()
    assert gaps == {3: True}
    assert [(line["messages"], line["log_level"]) for line in logs if line["event"] == "webhooks_too_old"] == [
        (2, "error")
    ]


async def test_a_backlog_drains_at_the_rate_that_is_set(outbox: Outbox, wall: HandClock, path: Path) -> None:
    rate, backlog = 50.0, 150
    sender = Scripted(down)
    async with delivering(outbox, wall, sender, max_per_s=rate, parallel_calls=8) as delivery:
        write_messages(path, calls=backlog, per_call=1, at_s=wall.now_s)
        await delivery.until_tries(1)
        await delivery.wind(30.0)
        sender.answer = well
        failed = len(delivery.tries)
        passed_s, step_s = 0.0, 0.05
        await delivery.wind(DAY_S)
        while len(delivery.tries) - failed < backlog:
            await settled(delivery)
            sent = len(delivery.tries) - failed
            assert min(rate * passed_s, backlog) <= sent <= rate * (BURST_S + passed_s) + 1
            await delivery.wind(step_s)
            passed_s += step_s
        await delivery.until_sent()
    assert passed_s >= backlog / rate - BURST_S - step_s


async def settled(delivery: Delivery) -> None:
    """All that may leave now has left."""
    while True:
        before = len(delivery.tries)
        await delivery.monotonic.looked_at()
        if len(delivery.tries) == before:
            return


async def test_410_stops_everything_until_an_operator_resumes_from_another_process(
    outbox: Outbox, wall: HandClock, path: Path, secrets: tuple[Secret, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    await say(outbox, "call_1", 2)
    await say(outbox, "call_2", 1)
    async with Receiver(secrets, fault=Fault("status", 410, first=1), clock=wall) as receiver:
        sender = sender_to(receiver.url, secrets, wall)
        async with sender, delivering(outbox, wall, sender, parallel_calls=1) as delivery:
            await delivery.until_tries(1)
            for _ in range(3):
                await delivery.wind(DAY_S)
            await say(outbox, "call_3", 1)
            assert (await outbox.stats()).endpoint == "disabled"
            assert len(receiver.arrivals) == 1
            # Commands read the machine's clock: none of their effects here depends on it.
            assert resume(path) == 0
            await delivery.until_sent()
    assert "4 messages are waiting" in capsys.readouterr().out
    assert sorted((one.call_id, one.seq) for one in receiver.messages) == [
        ("call_1", 1),
        ("call_1", 2),
        ("call_2", 1),
        ("call_3", 1),
    ]


def resume(path: Path) -> int:
    """`claimline outbox resume`."""
    parser = argparse.ArgumentParser("claimline")
    add_parsers(parser.add_subparsers(required=True))
    args = parser.parse_args(["outbox", "resume"])
    status: int = args.run(args, Config(outbox=OutboxSection(path=path)))
    return status


async def test_a_receiver_that_lied_gets_the_whole_call_by_a_replay(
    outbox: Outbox, wall: HandClock, secrets: tuple[Secret, ...]
) -> None:
    await say(outbox, "call_1", 3)
    async with Receiver(secrets, fault=Fault("lie", first=2), clock=wall) as receiver:
        sender = sender_to(receiver.url, secrets, wall)
        async with sender, delivering(outbox, wall, sender) as delivery:
            await delivery.until_sent()
            assert len(receiver.messages) == 1
            assert await outbox.replay(MessageFilter(call_id="call_1")) == 3
            await delivery.until_sent()
    assert sorted(message.seq for message in receiver.messages) == [1, 2, 3]
    ids = [arrival.webhook_id for arrival in receiver.arrivals]
    assert ids[:3] == ids[3:], "under the same ids"


async def test_a_worker_shows_which_state_the_endpoint_is_in(outbox: Outbox, wall: HandClock, tmp_path: Path) -> None:
    worker = Worker(Config())
    takeover = Takeover(outbox, Presence(tmp_path / "outbox.db", "w"), "w")
    registry = worker._metrics.registry

    async def until_shown(state: str) -> None:
        tending = asyncio.create_task(worker._tend(outbox, takeover))
        async with asyncio.timeout(5.0):
            while not registry.get_sample_value("claimline_webhook_endpoint_state", {"state": state}):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        tending.cancel()

    await say(outbox, "call_1", 1)
    (claim,) = await outbox.claim(1, 30.0)
    await outbox.retry(claim, "HTTP 500", message_delay_s=1.0, endpoint_delay_s=1.0)
    await until_shown("failing")
    wall.advance(1.0)
    (claim,) = await outbox.claim(1, 30.0)
    await outbox.disable(claim, "HTTP 410")
    await until_shown("disabled")
    await outbox.resume()
    await until_shown("ok")


async def test_a_disk_that_refuses_is_named_in_the_log_though_no_call_is_up(outbox: Outbox, tmp_path: Path) -> None:
    await outbox._run(outbox._store._db.execute, "PRAGMA query_only = ON")  # type: ignore[attr-defined]
    worker = Worker(Config(outbox=OutboxSection(retention_days=0)))
    takeover = Takeover(outbox, Presence(tmp_path / "outbox.db", "w"), "w")
    with capture_logs() as logs:
        tending = asyncio.create_task(worker._tend(outbox, takeover))
        async with asyncio.timeout(5.0):
            while outbox.writable or worker._metrics.registry.get_sample_value("claimline_outbox_writable") != 0:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        tending.cancel()
    problems = [line["problem"] for line in logs if line["event"] == "outbox_unusable"]
    assert problems
    assert "readonly" in problems[-1]
