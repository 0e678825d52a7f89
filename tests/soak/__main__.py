"""`python -m tests.soak`: minutes of calls, or hours of them by hand, in which nothing may be lost."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.machine import machine
from tests.bench.report import Entry, Report, lines
from tests.soak import deaths, kills, long_call, ten_minutes

Progress = Callable[[str], None]
RUNS: dict[str, Callable[[int, bool, Progress], Entry]] = {
    "long-call": lambda seed, _short, progress: long_call.measure(seed, progress),
    "deaths": lambda seed, short, progress: deaths.measure(seed, progress, short=short),
    "kills": lambda seed, short, progress: kills.measure(seed, progress, short=short),
    "ten-minutes": lambda _seed, short, progress: ten_minutes.measure(
        ten_minutes.SHORT_S if short else ten_minutes.FULL_S, progress
    ),
}
OUT = Path("soak-out")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where an aim was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description="Long runs of the service on this machine, over loopback."
    )
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of: {', '.join(RUNS)}; default: all")
    parser.add_argument("--short", action="store_true", help="less of everything: a smoke test")
    parser.add_argument("--seed", type=int, help="of what is left to chance; default: another one each time")
    parser.add_argument("--out", type=Path, default=OUT, help="where results.json goes")
    args = parser.parse_args(arguments)
    if unknown := set(args.only) - set(RUNS):
        parser.error(f"there is no run named {', '.join(sorted(unknown))}")
    seed = random.randrange(2**31) if args.seed is None else args.seed
    return run(args.only or list(RUNS), seed, args.short, args.out)


def run(names: Sequence[str], seed: int, short: bool, out: Path) -> int:
    """Run, print, write `results.json`."""
    out.mkdir(parents=True, exist_ok=True)
    begun_s = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - begun_s:6.1f} s  {text}\n")
        sys.stdout.flush()

    say(str(machine()))
    say(f"seed {seed}")
    entries = []
    for name in names:
        say(f"{name} …")
        entries.append(RUNS[name](seed, short, lambda text: say(f"  … {text}")))
        for line in lines(entries[-1]):
            say(line)
    report = Report(machine(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), tuple(entries))
    (out / "results.json").write_text(report.as_json(), "utf-8")
    missed = [figure.name for entry in entries for figure in entry.measurement.figures if figure.reached is False]
    say(f"all figures: {out / 'results.json'}; missed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
