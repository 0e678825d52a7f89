"""Ten minutes of three calls at once: what a frame may suffer in the long run, and whether the delay creeps."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.bench.bench import QUICK, SETTLE_S, Bench
from tests.bench.conversations import Talk, Way, talk
from tests.bench.engines import Engine
from tests.bench.figures import Figure, Measurement
from tests.bench.machine import Watch
from tests.bench.marks import FRAME_MS
from tests.bench.process import cpu_s, memory
from tests.bench.report import Entry
from tests.bench.round_trip import gaps
from tests.bench.stats import spread
from tests.bench.worker import Worker

CALLS = 3
FULL_S, SHORT_S = 600.0, 40.0
BEGUN_S = 10.0
"""By then nothing of how the calls began is left."""
WINDOW_S = 10.0
"""Of which the median delay is taken, at the begin and at the end."""
LOOK_EVERY_S = 30.0


def measure(seconds: float, progress: Callable[[str], None]) -> Entry:
    """Engine, worker, and callers with exact clocks, as in the bench."""
    engine = Engine()
    try:
        with tempfile.TemporaryDirectory(prefix="claimline-soak-") as scratch:
            worker = Worker(engine.url, Path(scratch))
            try:
                time.sleep(0.5)
                watch = Watch([worker.pid, engine.pid, os.getpid()])
                bench = Bench(QUICK, engine, worker, memory(worker.pid), progress)
                return Entry(_measured(bench, seconds), watch.conditions())
            finally:
                worker.close()
    finally:
        engine.close()


def _measured(bench: Bench, seconds: float) -> Measurement:
    pid = bench.worker.pid
    seen: list[tuple[float, float]] = []
    """RSS in MB and processor time in s, from `BEGUN_S` on."""

    def look() -> None:
        seen.append((memory(pid).rss_mb, cpu_s(pid)))
        bench.progress(f"{len(seen) - 1:3d} of {len(moments_s) - 1}: RSS {seen[-1][0]:.1f} MB")

    moments_s = [*np.arange(BEGUN_S, seconds - 1.0, LOOK_EVERY_S), seconds - 0.5]
    talks = talk(bench, CALLS, seconds, at=[(float(at_s), look) for at_s in moments_s])
    bench.progress("every frame is being looked for")
    for number, one in enumerate(talks, 1):
        bench.progress(f"call {number}: lost on the way up, by half minutes: {_lost_by_window(one.up, seconds)}")
    percent = 100 * (seen[-1][1] - seen[0][1]) / (moments_s[-1] - moments_s[0]) / CALLS
    return Measurement(
        f"Three calls of {seconds / 60:.3g} minutes",
        f"the bench's callers with exact clocks against its echoing engine, speech both ways without a pause; the first"
        f" {SETTLE_S:g} s of a call are left out, or {BEGUN_S:g} s where a figure says so; drift is the median delay"
        f" there and back of the last {WINDOW_S:g} s against that of the {WINDOW_S:g} s from {BEGUN_S:g} s on, of the"
        " worst call",
        (
            *_delays(talks),
            *gaps(talks, p99=22, p999=30),
            *_frames(talks, "", SETTLE_S),
            *_frames(talks, f" from {BEGUN_S:g} s on", BEGUN_S),
            Figure("outgoing packets late by more than 20 ms", sum(one.late for one in talks), "", aim=0),
            Figure("holes in the outgoing sequence numbers", sum(one.sequence_holes for one in talks), "", aim=0),
            Figure("drift there and back", _drift_ms([one.around for one in talks], seconds), "ms", aim=FRAME_MS),
            Figure("drift of the uplink alone", _drift_ms([one.up for one in talks], seconds), "ms", aim=FRAME_MS),
            Figure("RSS grown", seen[-1][0] - seen[0][0], "MB"),
            Figure("processor a call", percent, "% of a core"),
        ),
    )


def _delays(talks: list[Talk]) -> tuple[Figure, ...]:
    around, up = (spread(np.concatenate([way.delays_ms(BEGUN_S) for way in ways])) for ways in _ways(talks))
    return tuple(
        Figure(f"{way} {part} from {BEGUN_S:g} s on", value, "ms")
        for way, of in (("RTP in → websocket → RTP out", around), ("RTP in → append at the engine", up))
        for part, value in (("p50", of.p50), ("p99", of.p99), ("max", of.max))
    )


def _ways(talks: list[Talk]) -> tuple[list[Way], list[Way]]:
    return [one.around for one in talks], [one.up for one in talks]


def _frames(talks: list[Talk], when: str, from_s: float) -> tuple[Figure, ...]:
    around, up = ([way.frames(from_s) for way in ways] for ways in _ways(talks))
    return (
        Figure(f"frames sent{when}", sum(one.sent for one in around), ""),
        Figure(f"frames lost on the way up{when}", sum(one.lost for one in up), "", aim=0),
        Figure(f"frames doubled on the way up{when}", sum(one.repeated for one in up), "", aim=0),
        Figure(f"frames lost there and back{when}", sum(one.lost for one in around), "", aim=0),
        Figure(f"frames doubled there and back{when}", sum(one.repeated for one in around), "", aim=0),
    )


def _drift_ms(ways: Sequence[Way], seconds: float) -> float:
    def median_ms(way: Way, from_s: float) -> float:
        return float(np.median(way.delays_ms(from_s, from_s + WINDOW_S)))

    return max(abs(median_ms(way, seconds - WINDOW_S) - median_ms(way, BEGUN_S)) for way in ways)


def _lost_by_window(way: Way, seconds: float) -> str:
    left = [way.frames(from_s).lost for from_s in np.arange(SETTLE_S, seconds - 1.0, LOOK_EVERY_S)]
    return " ".join(str(earlier - later) for earlier, later in itertools.pairwise([*left, 0]))
