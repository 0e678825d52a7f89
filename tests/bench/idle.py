"""An idle worker: memory and processor."""

from __future__ import annotations

import time

from tests.bench.bench import Bench
from tests.bench.figures import Figure, Measurement
from tests.bench.process import cpu_s


def measure(bench: Bench) -> Measurement:
    """Before any call."""
    before_s = cpu_s(bench.worker.pid)
    time.sleep(bench.lengths.idle_s)
    used = 100 * (cpu_s(bench.worker.pid) - before_s) / bench.lengths.idle_s
    return Measurement(
        "Idle worker",
        "`/proc/PID/smaps_rollup` and `/proc/PID/stat` of `claimline serve` before its first call; MB are 10⁶ bytes",
        (
            Figure("RSS", bench.fresh.rss_mb, "MB", aim=100),
            Figure("PSS", bench.fresh.pss_mb, "MB"),
            Figure("processor", used, "% of a core"),
        ),
    )
