"""Websockets that die in the middle of real calls: no call, no turn and no word may be lost."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.engine.server import Limits, engine_server
from service.outbox.inbox import Received
from service.outbox.receiver import Receiver
from service.outbox.signature import parse_secrets
from tests import peers
from tests.acceptance.cut_proxy import CutProxy
from tests.acceptance.product import SECRET, has_ended, serving
from tests.bench.figures import Figure, Measurement
from tests.bench.machine import Conditions, Watch
from tests.bench.report import Entry
from tests.soak.agent import WORD_MS, codeword_speech
from tests.soak.director import Death, Director, planned
from tests.soak.judge import Verdict, judged
from tests.soak.scripts import Turn, track, turns
from tests.soak.witness import Moment, Witness

PACE = 1.5
"""The server sends speech so much faster than it is heard: slowly, so that deaths meet answers half sent."""
QUIET_END_S = 4.0
"""At the end of a call nothing is said, so that the last answer is heard."""
PAUSE_MS = (1500, 6500)
TOLERANCE_MS = 100
"""What a jitter buffer may skip or make up in a turn on a busy machine; a tone that is lost shows in what is read."""
REFUSED_SECOND = "conversation_already_has_active_response"

CALLS, TALK_S, DEATHS, OUTAGES = 3, 150.0, 50, 10
SHORT_TALK_S = 11.5
SHORT_SAID = ((Turn("1002", 2000), Turn("1005", 7400)), (Turn("2001", 2200), Turn("2004", 7000)))
SHORT_DEATHS = (
    Death(0.0, Moment.CALLER, "within", hold_s=0.3, outage_s=0.0),
    Death(0.0, Moment.TRANSCRIPT, "before", hold_s=0.1, outage_s=0.7),
    Death(0.0, Moment.TOOL, "after", hold_s=0.0, outage_s=0.0),
    Death(6.3, Moment.AGENT, "within", hold_s=0.5, outage_s=0.0),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What is to happen: the turns of each call, how long each lasts, and what dies."""

    said: tuple[tuple[Turn, ...], ...]
    talk_s: float
    deaths: tuple[Death, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    run: Run
    verdicts: tuple[Verdict, ...]
    director: Director
    delivered: tuple[str, ...]
    """Item ids of all turns."""
    reconnects: float
    broken: int
    """Faults of the service's own, in its log."""
    conditions: Conditions


def measure(seed: int, progress: Callable[[str], None], *, short: bool = False) -> Entry:
    """Let it happen, and count."""
    chance = random.Random(seed)
    if short:
        run = Run(SHORT_SAID, SHORT_TALK_S, SHORT_DEATHS)
    else:
        until_ms, pause = round(1000 * (TALK_S - QUIET_END_S)), partial(chance.randint, *PAUSE_MS)
        said = tuple(tuple(turns(caller, until_ms, pause, chance)) for caller in range(1, CALLS + 1))
        run = Run(said, TALK_S, tuple(planned(DEATHS, TALK_S - QUIET_END_S, OUTAGES, chance)))
    with tempfile.TemporaryDirectory(prefix="claimline-soak-") as scratch:
        outcome = asyncio.run(_happen(run, Director(chance), Path(scratch), progress))
    for number, verdict in enumerate(outcome.verdicts, 1):
        progress(
            f"call {number}: turn {verdict.length_off_turn} is off by {verdict.length_off_ms} ms, the others by less"
        )
    how = (
        f"{len(run.said)} calls at once by sipp against `claimline serve`, {run.talk_s:g} s each; a TCP proxy cuts"
        f" {len(run.deaths)} websockets, one at a time, every other one at random, the others in a moment that is"
        f" waited for; {outcome.director.torn} in the middle of a frame,"
        f" {sum(death.outage_s > 0 for death in run.deaths)} with an outage of 0.3 to 2 s behind; turns are rows of"
        f" tones that the server reads back; seed {seed}"
    )
    return Entry(Measurement("Websocket deaths", how, figures(outcome)), outcome.conditions)


async def _happen(run: Run, director: Director, scratch: Path, progress: Callable[[str], None]) -> Outcome:
    """Calls placed by sipp, a worker, a server whose turns are known, and a proxy that cuts between the two."""
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(engine_server(codeword_speech(), "127.0.0.1", 0, Limits(pace=PACE)))
        proxy = CutProxy(url, director.appeared)
        await stack.enter_async_context(proxy.running())
        receiver = await stack.enter_async_context(Receiver(parse_secrets(SECRET)))
        service = await stack.enter_async_context(serving(scratch, proxy.url, webhook_url=receiver.url))
        watch = Watch([os.getpid(), service.command.process.pid])
        async with contextlib.AsyncExitStack() as calls:
            for number, script in enumerate(run.said, 1):
                payload = peers.encode(track(script, run.talk_s), "PCMU")
                await calls.enter_async_context(
                    peers.talking(service.sip_port, scratch, payload=payload, talk_s=run.talk_s)
                )
                await receiver.wait_for(partial(_have_started, number), 10)
                progress(f"call {number} of {len(run.said)} is up, {len(script)} turns to be said")
            await director.perform(run.deaths, proxy, progress)
        messages = await receiver.wait_for(has_ended(len(run.said)), 30)
        reconnects = await service.metric("claimline_realtime_reconnects_total")
        by_call = [
            [{"type": one.type, "data": one.data} for one in messages if one.call_id == call_id]
            for call_id in _started(messages)
        ]
        return Outcome(
            run,
            tuple(judged(script, call) for script, call in zip(run.said, by_call, strict=True)),
            director,
            tuple(one.data["item_id"] for one in messages if one.type == "turn.transcribed"),
            reconnects,
            len(service.logged("call_broke")) + len(service.logged("call_lost")),
            watch.conditions(),
        )


def figures(outcome: Outcome) -> tuple[Figure, ...]:
    """Counts, with what they should be."""
    verdicts, director = outcome.verdicts, outcome.director
    hit, witnesses = director.hit(), director.witnesses
    announced = set().union(*(witness.items for witness in witnesses))
    opened = sum(witness.open for witness in witnesses)
    aimed_at = {death.moment for death in outcome.run.deaths if death.moment is not None}
    errors = [code for witness in witnesses for code in witness.errors]
    return (
        Figure("deaths that did not come about", len(outcome.run.deaths) - len(director.died), "", aim=0),
        Figure("moments aimed at that no death met", len(aimed_at - {*hit}), "", aim=0),
        *(Figure(f"deaths with {moment.value}", hit[moment], "") for moment in Moment),
        Figure("calls lost", sum(one.result != "success" for one in verdicts) + outcome.broken, "", aim=0),
        Figure("turns spoken", sum(one.spoken for one in verdicts), ""),
        Figure("turns missing", sum(len(one.missing) for one in verdicts), "", aim=0),
        Figure("turns delivered twice", sum(len(one.twice) for one in verdicts), "", aim=0),
        Figure("turns delivered otherwise than said", sum(len(one.strange) for one in verdicts), "", aim=0),
        Figure("turns not transcribed out of band", sum(one.not_out_of_band for one in verdicts), "", aim=0),
        Figure("turns that no session had", len(set(outcome.delivered) - announced), "", aim=0),
        Figure("a turn's speech off by, most", max(abs(one.length_off_ms) for one in verdicts), "ms", aim=TOLERANCE_MS),
        Figure("words told of the agent that were not sent, most", _untrue_words(witnesses), "", aim=1),
        Figure("calls out of order", sum(not one.in_order for one in verdicts), "", aim=0),
        Figure("calls with holes in turn or seq", sum(not one.numbered for one in verdicts), "", aim=0),
        Figure("most main responses at once in a session", max(one.most_main for one in witnesses), "", aim=1),
        Figure("second main responses asked for", errors.count(REFUSED_SECOND), "", aim=0),
        Figure("other errors of the server", len(errors) - errors.count(REFUSED_SECOND), "", aim=0),
        Figure(
            "reconnects counted otherwise than happened",
            abs(opened - len(outcome.run.said) - outcome.reconnects),
            "",
            aim=0,
        ),
    )


def _untrue_words(witnesses: Sequence[Witness]) -> int:
    """By how many words, at most, a session was told more of an agent item than the ones before had sent as audio."""
    sent_ms: Counter[str] = sum((witness.agent_sent_ms for witness in witnesses), Counter())
    told = [item for witness in witnesses for item in witness.agent_told.items()]
    return max((len(text.split()) - math.ceil(sent_ms[item_id] / WORD_MS) for item_id, text in told), default=0)


def _have_started(count: int, messages: list[Received]) -> bool:
    return len(_started(messages)) == count


def _started(messages: list[Received]) -> list[str]:
    return [message.call_id for message in messages if message.type == "call.started"]
