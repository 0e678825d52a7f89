"""How long `/metrics` takes while calls are live, and what it does to their sound."""

from __future__ import annotations

import contextlib
import http.client
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import numpy as np

from tests.bench.bench import Bench
from tests.bench.conversations import talk
from tests.bench.figures import Figure, Measurement
from tests.bench.round_trip import frames, gaps
from tests.bench.stats import spread

EVERY_S = 0.25
"""Twenty times as often as deploy/prometheus scrapes."""
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
TIMEOUT_S = 5.0


def measure(bench: Bench) -> Measurement:
    """Three calls without, and three with somebody who scrapes all the time."""
    seconds = bench.lengths.network_s
    bench.progress("first without, to compare with")
    quiet = talk(bench, 3, max(3.0, seconds / 2))
    bench.progress("now with")
    with _scraping(bench.worker.http_url) as took_ms:
        talks = talk(bench, 3, seconds)
    scrape = spread(np.array(took_ms))
    around = spread(np.concatenate([one.around.delays_ms() for one in talks]))
    around_quiet = spread(np.concatenate([one.around.delays_ms() for one in quiet]))
    gap = spread(np.concatenate([one.gaps_ms for one in talks]))
    gap_quiet = spread(np.concatenate([one.gaps_ms for one in quiet]))
    return Measurement(
        "Scraped while three calls talk",
        f"`GET /metrics` in the format with exemplars every {1000 * EVERY_S:g} ms for {seconds:g} s, by a process of"
        " its own, from the request to the last byte; against three calls that nobody scrapes",
        (
            Figure("scrapes", len(took_ms), ""),
            Figure("scrape p50", scrape.p50, "ms"),
            Figure("scrape max", scrape.max, "ms", aim=50),
            Figure("there and back slower than unscraped p50", around.p50 - around_quiet.p50, "ms"),
            Figure("there and back slower than unscraped p99", around.p99 - around_quiet.p99, "ms"),
            Figure("gap between outgoing packets more than unscraped p99", gap.p99 - gap_quiet.p99, "ms"),
            *gaps(talks, p99=22, p999=30),
            *frames(talks, most=0),
        ),
    )


@contextlib.contextmanager
def _scraping(url: str) -> Iterator[list[float]]:
    """Scrapes as long as the context lasts; then the list has how many milliseconds each took."""
    context = multiprocessing.get_context("spawn")
    pipe, far_end = context.Pipe()
    process = context.Process(target=_scrape, args=(far_end, url), name="bench-scraper", daemon=True)
    process.start()
    far_end.close()
    took_ms: list[float] = []
    try:
        yield took_ms
        pipe.send(None)
        if not pipe.poll(2 * TIMEOUT_S):
            raise TimeoutError("the scraper does not answer")
        took_ms += pipe.recv()
    finally:
        pipe.close()
        process.join(TIMEOUT_S)
        if process.is_alive():
            process.kill()
            process.join()


def _scrape(pipe: Connection, url: str) -> None:
    took_ms: list[float] = []
    while not pipe.poll(EVERY_S):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)
        begun_s = time.monotonic()
        connection.request("GET", "/metrics", headers=OPENMETRICS)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            took_ms.append(1000 * (time.monotonic() - begun_s))
        connection.close()
    pipe.send(took_ms)
