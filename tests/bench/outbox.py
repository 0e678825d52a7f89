"""From a transcript to the backend: how soon, how many, and what a full outbox costs."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import tempfile
import time
from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from structlog.testing import capture_logs

from service.config import LOOPBACK, Config
from service.outbox.delivery import Deliverer
from service.outbox.outbox import PURGED_AT_ONCE, Outbox
from service.outbox.sender import Sender
from service.outbox.signature import parse_secrets
from service.outbox.sqlite import SqliteOutboxStore
from tests.bench.bench import SETTLE_S, Bench
from tests.bench.caller import Caller, converse
from tests.bench.figures import Figure, Measurement
from tests.bench.receiver import Receiver
from tests.bench.rtp import HOST
from tests.bench.stats import spread
from tests.bench.worker import Worker
from tests.outbox.hand_clock import HandClock
from tests.outbox.many_messages import DATA, write_messages

SECRET = "whsec_" + b64encode(b"a key for the bench, 32 bytes...").decode()
TURN_S = 0.12
"""The engine finds a turn about this often."""
PER_CALL = 10
CLAIMED = 800
PASSES = 3
LEASE_S = 30.0
OUTAGE_S = 86_400.0
WEBHOOK = Config().webhook


def measure(bench: Bench) -> Measurement:
    """Four runs, each with a file of its own."""
    lengths = bench.lengths
    with tempfile.TemporaryDirectory(prefix="claimline-outbox-") as scratch, Receiver() as receiver:
        soon = _transcript_to_receiver(bench, Path(scratch), receiver)
        bench.progress(f"{lengths.deliveries} messages through one deliverer")
        rate = asyncio.run(_throughput(Path(scratch) / "rate.db", receiver, lengths.deliveries))
        bench.progress(f"claiming beside {lengths.delivered_rows} delivered rows")
        claiming = _claiming(Path(scratch), lengths.delivered_rows)
        bench.progress("a receiver that is away for a day")
        with capture_logs():  # a warning for every try
            away = asyncio.run(_dead_receiver(Path(scratch) / "away.db", lengths.outage_calls))
    return Measurement(
        "Delivery",
        "a receiver in a process of its own, over loopback. Transcript: the engine's `response.done` leaving it to the"
        f" first byte of its `turn.transcribed` at the receiver, {lengths.transcripts} turns of one call with audio"
        f" both ways, worker, engine and receiver as processes. Rate: {lengths.deliveries} messages that waited, one"
        " deliverer with the default settings but `webhook.max_per_s`. Claiming: up to"
        f" {WEBHOOK.parallel_calls} messages of {CLAIMED} that wait, median, the least of {PASSES} passes, in an"
        f" empty file and beside {lengths.delivered_rows} delivered rows. Receiver away: a day by a clock wound by"
        f" hand, {lengths.outage_calls} calls of {PER_CALL} messages",
        (*soon, *rate, *claiming, *away),
    )


def _transcript_to_receiver(bench: Bench, scratch: Path, receiver: Receiver) -> Sequence[Figure]:
    turns = bench.lengths.transcripts
    bench.engine.be("turns", rounds=turns)
    worker = Worker(bench.engine.url, scratch, WEBHOOK__URL=receiver.url, WEBHOOK__SECRET=SECRET, CLAIM__EXTRACT="off")
    try:
        caller = Caller(worker.sip_port, 0)
        converse([caller], SETTLE_S + turns * TURN_S)
        caller.hang_up()
        (log,) = bench.engine.collect(1)
    finally:
        worker.close()
    arrived_ns = {
        data["item_id"]: first_ns
        for first_ns, body in receiver.collect()
        if (data := json.loads(body)["data"]).get("source") == "out_of_band"
    }
    waits = spread([(at_ns - log.transcripts[item]) / 1e6 for item, at_ns in arrived_ns.items()])
    return (
        Figure("transcripts", waits.count, ""),
        Figure("transcript → receiver p50", waits.p50, "ms"),
        Figure("transcript → receiver p95", waits.p95, "ms", aim=50),
        Figure("transcript → receiver max", waits.max, "ms"),
    )


async def _throughput(path: Path, receiver: Receiver, messages: int) -> Sequence[Figure]:
    write_messages(path, calls=messages // PER_CALL, per_call=PER_CALL, at_s=time.time())
    sender = _sender(receiver.url)
    async with await Outbox.open(path) as outbox, sender:
        deliverer = Deliverer(
            outbox, sender, parallel_calls=WEBHOOK.parallel_calls, max_per_s=1e6, max_age_s=WEBHOOK.max_age_s
        )
        running = asyncio.create_task(deliverer.run())
        await deliverer.drain(timeout_s=120.0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    first_ns = [at_ns for at_ns, _ in receiver.collect()]
    per_s = (len(first_ns) - 1) / (first_ns[-1] - first_ns[0]) * 1e9
    return (Figure("messages a second, one deliverer", per_s, "/s", least=300),)


def _claiming(scratch: Path, delivered_rows: int) -> Sequence[Figure]:
    empty, full = scratch / "empty.db", scratch / "full.db"
    now_s = time.time()
    write_messages(full, calls=delivered_rows // PER_CALL, per_call=PER_CALL, at_s=now_s - 86_400, sent=True)
    os.sync()  # or the disk is still busy with them
    passes = [(_claims_ms(empty, now_s, number), _claims_ms(full, now_s, number)) for number in range(PASSES)]
    few_ms, many_ms = (min(one) for one in zip(*passes, strict=True))
    with closing(SqliteOutboxStore(full)) as store:
        begun_s = time.perf_counter()
        store.stats(now_s)
        stats_ms = 1000 * (time.perf_counter() - begun_s)
        begun_s = time.perf_counter()
        store.purge(now_s - 3600, dead=False, limit=PURGED_AT_ONCE)
        purge_ms = 1000 * (time.perf_counter() - begun_s)
    return (
        Figure("claiming, empty file", few_ms, "ms"),
        Figure("claiming, beside delivered rows", many_ms, "ms"),
        Figure("how much slower", many_ms / few_ms, "times", aim=2),
        Figure("reading the gauges beside them", stats_ms, "ms"),
        Figure(f"removing {PURGED_AT_ONCE} of them", purge_ms, "ms"),
    )


def _claims_ms(path: Path, now_s: float, number: int) -> float:
    """Median of claiming while messages wait."""
    write_messages(path, calls=CLAIMED, per_call=1, at_s=now_s, prefix=f"waiting_{number}")
    took_ms = []
    with closing(SqliteOutboxStore(path)) as store:
        while True:
            begun_s = time.perf_counter()
            claims = store.claim(WEBHOOK.parallel_calls, now_s, LEASE_S)
            took_ms.append(1000 * (time.perf_counter() - begun_s))
            if not claims:
                return spread(took_ms).p50
            for claim in claims:
                store.sent(claim, now_s)


async def _dead_receiver(path: Path, calls: int) -> Sequence[Figure]:
    clock, tries = HandClock(), 0

    def tried(*_: object) -> None:
        nonlocal tries
        tries += 1

    with socket.socket() as refusing:
        refusing.bind((HOST, 0))
        sender = _sender(f"http://{HOST}:{refusing.getsockname()[1]}/")
        async with await Outbox.open(path, clock=clock) as outbox, sender:
            deliverer = Deliverer(
                outbox,
                sender,
                parallel_calls=WEBHOOK.parallel_calls,
                max_per_s=WEBHOOK.max_per_s,
                max_age_s=WEBHOOK.max_age_s,
                on_attempt=tried,
                clock=clock,
                rng=random.Random(1),
                poll_s=0.005,
            )
            running = asyncio.create_task(deliverer.run())
            append_ms = []
            for call in range(calls):
                await outbox.open_call(f"call_{call}", "worker-1")
                for _ in range(PER_CALL):
                    begun_s = time.perf_counter()
                    await outbox.append(f"call_{call}", "turn.transcribed", json.loads(DATA))
                    append_ms.append(1000 * (time.perf_counter() - begun_s))
                await outbox.end_call(f"call_{call}")
                clock.advance(OUTAGE_S / calls)
            stats = await outbox.stats()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    size_bytes = path.stat().st_size  # noqa: ASYNC240 -- nothing else runs
    return (
        Figure("away: messages waiting", stats.pending, ""),
        Figure("away: the oldest waits for", stats.oldest_age_s / 3600, "h"),
        Figure("away: tries spent", tries, ""),
        Figure("away: file, a message", size_bytes / stats.pending / 1000, "kB"),
        Figure("away: append p95", spread(append_ms).p95, "ms"),
    )


def _sender(url: str) -> Sender:
    return Sender(
        url,
        parse_secrets(SECRET),
        allowed_networks=LOOPBACK,
        connect_timeout_s=WEBHOOK.connect_timeout_s,
        timeout_s=WEBHOOK.timeout_s,
    )
