"""`python -m tests.bench`: measures the service on this machine, with callers whose clocks are exact."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import (
    crowd,
    echo,
    idle,
    interruption,
    network,
    outbox,
    resampling,
    round_trip,
    scraping,
    setup_time,
    stall,
)
from tests.bench.bench import FULL, QUICK, Bench, Lengths
from tests.bench.engines import Engine
from tests.bench.figures import Measurement
from tests.bench.machine import Watch, machine
from tests.bench.process import memory
from tests.bench.report import Entry, Report, lines, write_into
from tests.bench.worker import Worker

MEASUREMENTS: dict[str, Callable[[Bench], Measurement]] = {
    "idle": idle.measure,
    "setup": setup_time.measure,
    "one": round_trip.one_call,
    "three": round_trip.three_calls,
    "scraping": scraping.measure,
    "crowd": crowd.measure,
    "jitter": network.jitter,
    "loss": network.jitter_and_loss,
    "interruption": interruption.measure,
    "echo": echo.measure,
    "stall": stall.measure,
    "hiccups": stall.hiccups,
    "resampler": resampling.measure,
    "outbox": outbox.measure,
}
OUT = Path("bench-out")
DOCUMENT = Path("docs/performance.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measures the service on this machine, over loopback."
    )
    parser.add_argument("only", nargs="*", metavar="MEASUREMENT", help=f"of: {', '.join(MEASUREMENTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a smoke test: figures come out, but they say little")
    parser.add_argument("--out", type=Path, default=OUT, help="where results.json and the worker's log go")
    parser.add_argument("--write-docs", action="store_true", help=f"put the tables into {DOCUMENT}")
    args = parser.parse_args(arguments)
    if unknown := set(args.only) - set(MEASUREMENTS):
        parser.error(f"there is no measurement named {', '.join(sorted(unknown))}")
    report = run(args.only or list(MEASUREMENTS), QUICK if args.quick else FULL, args.out)
    if args.write_docs:
        write_into(DOCUMENT, report)
    return 0


def run(names: Sequence[str], lengths: Lengths, out: Path) -> Report:
    """Start engine and worker, measure, write `results.json`."""
    out.mkdir(parents=True, exist_ok=True)
    begun_s = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - begun_s:6.1f} s  {text}\n")
        sys.stdout.flush()

    say(str(machine()))
    engine = Engine()
    entries = []
    try:
        with tempfile.TemporaryDirectory(prefix="claimline-bench-") as scratch:
            worker = Worker(engine.url, Path(scratch))
            try:
                time.sleep(0.5)
                bench = Bench(lengths, engine, worker, memory(worker.pid), lambda text: say(f"  … {text}"))
                for name in names:
                    say(f"{name} …")
                    watch = Watch([worker.pid, engine.pid, os.getpid()])
                    measurement = MEASUREMENTS[name](bench)
                    entries.append(Entry(measurement, watch.conditions()))
                    for line in lines(entries[-1]):
                        say(line)
            finally:
                worker.close()
                (out / "worker.log").write_bytes((Path(scratch) / "worker.log").read_bytes())
    finally:
        engine.close()
    report = Report(machine(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), tuple(entries))
    (out / "results.json").write_text(report.as_json(), "utf-8")
    say(f"all figures: {out / 'results.json'}")
    return report


if __name__ == "__main__":
    raise SystemExit(main())
