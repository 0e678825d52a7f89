"""Workers that are killed in the middle of calls, with a receiver that fails: what was journalled is delivered once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from service.engine.server import engine_server
from service.outbox.receiver import Fault, Receiver
from service.outbox.signature import parse_secrets
from service.outbox.sqlite import SqliteOutboxStore
from tests import peers
from tests.acceptance.cut_proxy import CutProxy, Watch, Way
from tests.acceptance.product import POLL_S, SECRET, Service, serving
from tests.bench.figures import Figure, Measurement
from tests.bench.machine import Conditions
from tests.bench.machine import Watch as MachineWatch
from tests.bench.report import Entry
from tests.bench.sip_call import CallFailed, SipCall
from tests.soak.agent import codeword_speech
from tests.soak.scripts import Turn, track
from tests.soak.verdict_on_kills import Delivered, Kept, Verdict, judged
from tests.soak.websocket_tap import WebsocketTap

CALLS = 3
FAILING = 1 / 3
MISDEEDS: tuple[Fault, ...] = (
    Fault("status", status=500, probability=FAILING),
    Fault("forget", probability=FAILING),
    Fault("close", probability=FAILING),
)
PAUSE_MS = 900
"""Between two codewords: longer than the silence that ends a turn."""
RECOGNITION_S = 0.3
"""Until then a transcript is pending: as long as the rest of a turn's way, so that a kill meets each as often."""
ANSWER_S = 20.0
DRAIN_S = 120.0
SETTINGS = {
    "REALTIME__SESSION__AUDIO__INPUT__TURN_DETECTION__SILENCE_DURATION_MS": "200",
    "CLAIM__EXTRACT": "off",
    # The lease of a message in flight outlives its try: whoever was killed with one holds up its call for so long.
    "WEBHOOK__TIMEOUT_S": "1",
}


@dataclass(frozen=True, slots=True)
class Run:
    """How many kills, and when: so many seconds after the worker is ready, or after its first call is answered."""

    kills: int
    life_s: tuple[float, float]
    from_answer: bool
    beside: float
    """How often the next worker is started while the one that is to die still lives, so that both share the outbox."""
    hurry: bool
    """At the end, do not wait for the leases of what the last worker had in flight."""


FULL = Run(200, (0.0, 6.0), from_answer=False, beside=0.5, hurry=False)
SHORT = Run(10, (0.6, 1.8), from_answer=True, beside=0.8, hurry=True)


@dataclass(slots=True)
class Tally:
    """What is counted while it happens."""

    kills: int = 0
    with_calls: int = 0
    """Kills while calls were open in the outbox."""
    answered: int = 0
    hung_up: int = 0
    """Calls that their callers had ended before."""
    committed: set[str] = field(default_factory=set)
    """Item ids of the turns that the engine told the service of."""
    kept: dict[str, Kept] = field(default_factory=dict)
    """By call: what was on disk after the kills."""


def measure(seed: int, progress: Callable[[str], None], *, short: bool = False) -> Entry:
    """Let it happen, and count."""
    run = SHORT if short else FULL
    with tempfile.TemporaryDirectory(prefix="claimline-soak-") as scratch:
        tally, verdict, conditions = asyncio.run(_happen(run, random.Random(seed), Path(scratch), progress))
    how = (
        f"`claimline serve` is killed (SIGKILL) {run.kills} times, {run.life_s[0]:g} to {run.life_s[1]:g} s after"
        f" {'its first call was answered' if run.from_answer else 'it was ready'}, and"
        f" started again on the same outbox, {100 * run.beside:g} % of the time before its predecessor dies; up to"
        f" {CALLS} calls at once, one in three hung up by its caller; the receiver answers a third of the requests with"
        " 500, or not at all, or takes them and loses the answer, until the last kill; what is journalled is read from"
        f" the file after each kill; seed {seed}"
    )
    return Entry(Measurement("Kills", how, figures(tally, verdict)), conditions)


async def _happen(
    run: Run, chance: random.Random, scratch: Path, progress: Callable[[str], None]
) -> tuple[Tally, Verdict, Conditions]:
    tally, outbox = Tally(), scratch / "outbox.db"
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(engine_server(codeword_speech(RECOGNITION_S), "127.0.0.1", 0))
        proxy = CutProxy(url, lambda _link: _commits(tally.committed))
        await stack.enter_async_context(proxy.running())
        receiver = await stack.enter_async_context(Receiver(parse_secrets(SECRET)))
        watch = MachineWatch([os.getpid()])

        async def begun() -> Service:
            return await stack.enter_async_context(serving(scratch, proxy.url, webhook_url=receiver.url, **SETTINGS))

        async with asyncio.TaskGroup() as group:
            successor = group.create_task(begun())
            for number in range(1, run.kills + 1):
                service = await successor
                receiver.fault = chance.choice(MISDEEDS)
                beside = number < run.kills and chance.random() < run.beside
                if beside:
                    successor = group.create_task(begun())
                async with _calling(service.sip_port, chance, tally) as answered:
                    if run.from_answer:
                        async with asyncio.timeout(ANSWER_S):
                            await answered.wait()
                    await asyncio.sleep(chance.uniform(*run.life_s))
                    up = _open_calls(outbox)
                    service.command.kill()
                    await service.command.exit_code()
                tally.kills += 1
                tally.with_calls += up > 0
                _note_kept(outbox, tally.kept)
                turns = sum(len(kept.turns) for kept in tally.kept.values())
                progress(
                    f"kill {number} of {run.kills}: {up} calls up; journalled so far: {turns} turns of"
                    f" {len(tally.kept)} calls"
                )
                if number == run.kills:
                    receiver.fault = Fault()
                    if run.hurry:
                        _end_leases(outbox)
                if not beside:
                    successor = group.create_task(begun())
            await successor
            async with asyncio.timeout(DRAIN_S):
                while not _all_sent(outbox):  # noqa: ASYNC110 -- another process's work
                    await asyncio.sleep(POLL_S)
        delivered = [Delivered(one.webhook_id, one.body, one.verdict) for one in receiver.arrivals]
        return tally, judged(tally.kept, delivered), watch.conditions()


def figures(tally: Tally, verdict: Verdict) -> tuple[Figure, ...]:
    """Counts, with what they should be."""
    journalled = {item for kept in tally.kept.values() for item in kept.turns}
    return (
        Figure("kills", tally.kills, ""),
        Figure("kills with calls open in the outbox", tally.with_calls, ""),
        Figure("calls answered", tally.answered, ""),
        Figure("calls that their callers had ended", tally.hung_up, ""),
        Figure("calls told of", verdict.calls, ""),
        Figure("calls answered, but killed before that was on disk", max(0, tally.answered - verdict.calls), ""),
        Figure("calls closed in a dead worker's place", verdict.interrupted, ""),
        Figure("calls without call.ended, or with two", verdict.not_ended_once, "", aim=0),
        Figure("calls with holes in seq or turn", verdict.not_numbered, "", aim=0),
        Figure("calls that arrived out of order", verdict.out_of_order, "", aim=0),
        Figure("turns journalled", len(journalled), ""),
        Figure("journalled turns not delivered", verdict.turns_missing, "", aim=0),
        Figure("journalled turns delivered as two messages", verdict.turns_twice, "", aim=0),
        Figure("calls whose turns were told in another order", verdict.turns_out_of_order, "", aim=0),
        Figure("turns delivered without a transcript", verdict.turns_interrupted, ""),
        Figure("turns committed by the engine, not journalled", len(tally.committed - journalled), ""),
        Figure("requests at the receiver", verdict.requests, ""),
        Figure("of them failed by it", verdict.failed, ""),
        Figure("duplicates", verdict.duplicates, ""),
        Figure("duplicates under another webhook-id", verdict.other_ids, "", aim=0),
        Figure("messages against their schema", verdict.against_schema, "", aim=0),
    )


# -- callers -----------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _calling(sip_port: int, chance: random.Random, tally: Tally) -> AsyncIterator[asyncio.Event]:
    """Callers who speak codewords until the block ends; the worker is dead then. Gives: the first is answered."""
    callers, answered = [], asyncio.Event()
    for _ in range(chance.randint(1, CALLS)):
        said = _codewords(chance)
        talk_s = chance.uniform(1.0, 4.0) if chance.random() < 1 / 3 else None
        callers.append(asyncio.create_task(_call(sip_port, said, talk_s, tally, answered)))
    try:
        yield answered
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


def _codewords(chance: random.Random) -> list[Turn]:
    said: list[Turn] = []
    begin_ms = chance.randint(100, 500)
    for number in range(6):
        said.append(Turn(str(number), begin_ms))
        begin_ms = said[-1].end_ms + PAUSE_MS
    return said


async def _call(
    sip_port: int, said: Sequence[Turn], talk_s: float | None, tally: Tally, answered: asyncio.Event
) -> None:
    """One call; it ends by itself after `talk_s`, or with its worker."""
    loop = asyncio.get_running_loop()
    rtp = peers.RtpPeer()
    call = SipCall(sip_port, rtp.port)
    try:
        await asyncio.to_thread(call.dial)
        tally.answered += 1
        answered.set()
        loop.add_reader(call.fileno(), call.receive)
        rtp.play(peers.encode(track(said, said[-1].end_ms / 1000 + 1.0), "PCMU"))
        await asyncio.sleep(3600.0 if talk_s is None else talk_s)
        loop.remove_reader(call.fileno())
        await asyncio.to_thread(call.hang_up)
        tally.hung_up += 1
    except (CallFailed, OSError, ValueError):
        pass  # the worker was killed while it was dialled, or before it could answer the BYE
    finally:
        if call.fileno() >= 0:
            loop.remove_reader(call.fileno())
        call.ended = True
        call.hang_up()
        await asyncio.to_thread(rtp.close)


def _commits(committed: set[str]) -> Watch:
    tap = WebsocketTap()

    def watch(way: Way, data: bytes) -> None:
        if way == "down":
            for message in tap.feed(data):
                event = msgspec.json.decode(message)
                if event["type"] == "input_audio_buffer.committed":
                    committed.add(event["item_id"])

    return watch


# -- the file ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _looking(outbox: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """Read only: what a killed worker left half written is for the next one to mend."""
    db = sqlite3.connect(f"{outbox.as_uri()}?mode={mode}", uri=True, timeout=10, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def _open_calls(outbox: Path) -> int:
    with _looking(outbox) as db:
        return int(db.execute("SELECT count(*) FROM calls WHERE ended_at_s IS NULL").fetchone()[0])


def _note_kept(outbox: Path, kept: dict[str, Kept]) -> None:
    """Add what is on disk now: told turns and, behind them, open ones."""
    with _looking(outbox) as db:
        told = db.execute("SELECT call_id, type, data FROM messages ORDER BY call_id, seq").fetchall()
        wills = dict(db.execute("SELECT call_id, data FROM wills").fetchall())
    now: dict[str, list[str]] = {}
    for call_id, type_, data in told:
        turns = now.setdefault(call_id, [])
        if type_ == "turn.transcribed":
            turns.append(json.loads(data)["item_id"])
    for call_id, data in wills.items():
        now[call_id] += [turn["item_id"] for turn in json.loads(data)["turns"]]
    for call_id, turns in now.items():
        kept.setdefault(call_id, Kept()).add(turns)


def _end_leases(outbox: Path) -> None:
    """Nobody lives: what was in flight with the last worker need not be waited for."""
    store = SqliteOutboxStore(outbox, create=False)
    store.resume()
    store.close()
    with _looking(outbox, "rw") as db:
        db.execute("UPDATE calls SET delivery_lease_until_s = 0")


def _all_sent(outbox: Path) -> bool:
    with _looking(outbox) as db:
        (pending,) = db.execute("SELECT count(*) FROM messages WHERE state != 'sent'").fetchone()
        (open_calls,) = db.execute("SELECT count(*) FROM calls WHERE ended_at_s IS NULL").fetchone()
    return not pending and not open_calls
