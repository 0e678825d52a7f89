"""Three calls while more ring than the worker can take: what its refusals do to their sound."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import peers
from tests.bench.bench import SETTLE_S, Bench
from tests.bench.conversations import talk
from tests.bench.figures import Figure, Measurement
from tests.bench.round_trip import delays, frames, gaps

BURST = 200
PER_S = 20


def measure(bench: Bench) -> Measurement:
    """Beside three calls: a burst of INVITEs, then a steady run of them."""
    seconds = bench.lengths.triple_s
    ringing_s = max(1.0, seconds - SETTLE_S - 3)
    ringing: list[Future[Counter[int]]] = []
    with TemporaryDirectory(prefix="claimline-bench-crowd-") as scratch, ThreadPoolExecutor(1) as pool:

        def ring() -> None:
            crowd = _ring(bench.worker.sip_port, Path(scratch), ringing_s)
            ringing.append(pool.submit(asyncio.run, crowd))

        talks = talk(bench, 3, seconds, at=[(SETTLE_S, ring)])
        statuses = ringing[0].result()
    return Measurement(
        "Refusals beside three calls",
        f"Three calls of {seconds:g} s; {BURST} INVITEs at once by sipp, then {PER_S} a second for {ringing_s:g} s,"
        " all beyond what the worker takes",
        (
            Figure("answered with 503", statuses[503], ""),
            Figure("answered with 486, by PJSIP", statuses[486], ""),
            Figure("answered otherwise", statuses.total() - statuses[100] - statuses[503] - statuses[486], "", aim=0),
            *delays(talks),
            *gaps(talks, p99=25),
            *frames(talks, most=0),
        ),
    )


async def _ring(port: int, scratch: Path, seconds: float) -> Counter[int]:
    """Status codes that came."""
    count = round(PER_S * seconds)
    burst = await peers.sipp("refused", port, scratch, calls=BURST, per_second=1000)
    steady = await peers.sipp("refused", port, scratch, calls=count, per_second=PER_S, timeout_s=seconds + 15)
    return Counter(burst.statuses() + steady.statuses())
