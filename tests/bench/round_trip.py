"""Delay, gaps, frames and cost of calls on a clean path, alone and three at once."""

from __future__ import annotations

import numpy as np

from tests.bench.bench import SETTLE_S, Bench
from tests.bench.conversations import Talk, talk
from tests.bench.figures import Figure, Measurement
from tests.bench.process import Memory, cpu_s, memory
from tests.bench.stats import spread

HOW = (
    "caller and engine on the same machine as the worker; every 20 ms of what comes back are found again in what was"
    f" sent by correlation (1/8 ms), arrival by the kernel's clock; the first {SETTLE_S:g} s of a call are left out"
)


def one_call(bench: Bench) -> Measurement:
    """Alone, at several phases between the caller's clock and the worker's."""
    lengths, talks = bench.lengths, []
    for number in range(lengths.single_calls):
        bench.progress(f"call {number + 1} of {lengths.single_calls}")
        talks += talk(bench, 1, lengths.single_s, phase=(number + 0.5) / lengths.single_calls)
    return Measurement(
        "One call",
        f"{lengths.single_calls} calls of {lengths.single_s:g} s one after the other, their clocks at evenly spread"
        f" phases against the worker's; {HOW}",
        delays(talks) + gaps(talks) + frames(talks),
    )


def three_calls(bench: Bench) -> Measurement:
    """At once; with the worker's cost."""
    seconds, pid = bench.lengths.triple_s, bench.worker.pid
    cpu: list[float] = []
    used: list[Memory] = []
    at = [
        (SETTLE_S, lambda: cpu.append(cpu_s(pid))),
        (seconds - 0.1, lambda: cpu.append(cpu_s(pid))),
        (seconds - 0.1, lambda: used.append(memory(pid))),
    ]
    talks = talk(bench, 3, seconds, at=at)
    percent = 100 * (cpu[1] - cpu[0]) / (seconds - 0.1 - SETTLE_S)
    return Measurement(
        "Three calls at once",
        f"{seconds:g} s, speech both ways without a pause; {HOW}",
        (
            *delays(talks, around_p50=40, around_p99=60),
            *gaps(talks, p99=22, p999=30),
            *frames(talks, most=0),
            Figure("processor a call", percent / 3, "% of a core", aim=1.5),
            Figure("RSS more than idle, a call", (used[0].rss_mb - bench.fresh.rss_mb) / 3, "MB", aim=5),
            Figure("PSS more than idle, a call", (used[0].pss_mb - bench.fresh.pss_mb) / 3, "MB"),
        ),
    )


def delays(talks: list[Talk], around_p50: float | None = None, around_p99: float | None = None) -> tuple[Figure, ...]:
    """Delay both ways and of the uplink alone."""
    around = spread(np.concatenate([one.around.delays_ms() for one in talks]))
    up = spread(np.concatenate([one.up.delays_ms() for one in talks]))
    late_us = spread(np.concatenate([one.up.speech.late_ns for one in talks]) / 1e3)
    return (
        Figure("RTP in → websocket → RTP out p50", around.p50, "ms", aim=around_p50),
        Figure("RTP in → websocket → RTP out p99", around.p99, "ms", aim=around_p99),
        Figure("RTP in → websocket → RTP out max", around.max, "ms"),
        Figure("RTP in → append at the engine p50", up.p50, "ms"),
        Figure("RTP in → append at the engine p99", up.p99, "ms"),
        Figure("RTP in → append at the engine max", up.max, "ms"),
        Figure("the caller's own packets late p99", late_us.p99 / 1e3, "ms"),
        Figure("the caller's own packets late max", late_us.max / 1e3, "ms"),
    )


def gaps(talks: list[Talk], p99: float | None = None, p999: float | None = None) -> tuple[Figure, ...]:
    """Between outgoing packets."""
    gap = spread(np.concatenate([one.gaps_ms for one in talks]))
    return (
        Figure("gap between outgoing packets p50", gap.p50, "ms"),
        Figure("gap between outgoing packets p99", gap.p99, "ms", aim=p99),
        Figure("gap between outgoing packets p99.9", gap.p999, "ms", aim=p999),
        Figure("gap between outgoing packets max", gap.max, "ms"),
    )


def frames(talks: list[Talk], most: float | None = None) -> tuple[Figure, ...]:
    """What became of the caller's frames on their way there and back."""
    up, around = [one.up.frames() for one in talks], [one.around.frames() for one in talks]
    return (
        Figure("frames sent", sum(one.sent for one in around), ""),
        Figure("frames lost on the way up", sum(one.lost for one in up), "", aim=most),
        Figure("frames doubled on the way up", sum(one.repeated for one in up), "", aim=most),
        Figure("frames lost there and back", sum(one.lost for one in around), "", aim=most),
        Figure("frames doubled there and back", sum(one.repeated for one in around), "", aim=most),
        Figure("outgoing packets late by more than 20 ms", sum(one.late for one in talks), "", aim=most),
        Figure("holes in the outgoing sequence numbers", sum(one.sequence_holes for one in talks), "", aim=most),
    )
