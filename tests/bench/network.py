"""Delay and frames where the caller's packets come irregularly, or not at all."""

from __future__ import annotations

import numpy as np

from tests.bench.bench import Bench
from tests.bench.caller import Network
from tests.bench.conversations import talk
from tests.bench.figures import Figure, Measurement
from tests.bench.stats import spread

JITTER_MS = 30.0
LOSS = 0.02
LEARNT_S = 2.0
"""By then the jitter buffer has learnt."""


def jitter(bench: Bench) -> Measurement:
    """Jitter alone."""
    return _measure(bench, f"Jitter of ±{JITTER_MS:g} ms", Network(jitter_ms=JITTER_MS), lost_aim=1.0)


def jitter_and_loss(bench: Bench) -> Measurement:
    """Jitter, and packets that do not come."""
    network = Network(jitter_ms=JITTER_MS, loss=LOSS)
    return _measure(bench, f"Jitter of ±{JITTER_MS:g} ms and {LOSS:.0%} loss", network, lost_aim=None)


def _measure(bench: Bench, title: str, network: Network, lost_aim: float | None) -> Measurement:
    seconds = bench.lengths.network_s
    bench.progress("first without, to compare with")
    clean = talk(bench, 3, max(3.0, seconds / 4))
    bench.progress("now with")
    talks = talk(bench, 3, seconds, network=network)
    up = spread(np.concatenate([one.up.delays_ms() for one in talks]))
    up_clean = spread(np.concatenate([one.up.delays_ms() for one in clean]))
    around = spread(np.concatenate([one.around.delays_ms() for one in talks]))
    around_clean = spread(np.concatenate([one.around.delays_ms() for one in clean]))
    frames = [one.up.frames(from_s=0.0) for one in talks]
    learnt = [one.up.frames(from_s=LEARNT_S) for one in talks]
    sent = sum(one.sent for one in frames)
    gone = sum(len(one.up.speech.lost) for one in talks)
    return Measurement(
        title,
        f"three calls of {seconds:g} s; each packet leaves at a time spread evenly over ±{network.jitter_ms:g} ms about"
        f" its place, overtaking allowed, {network.loss:.0%} are left out; delay counts from the mean of the path,"
        " frames from the first packet on, while the jitter buffer is still learning",
        (
            Figure("RTP in → websocket → RTP out p50", around.p50, "ms"),
            Figure("RTP in → websocket → RTP out p99", around.p99, "ms"),
            Figure("RTP in → append at the engine p50", up.p50, "ms"),
            Figure("RTP in → append at the engine p99", up.p99, "ms"),
            Figure("uplink slower than on a clean path p50", up.p50 - up_clean.p50, "ms", aim=60),
            Figure("there and back slower than on a clean path p50", around.p50 - around_clean.p50, "ms", aim=60),
            Figure("packets that the path lost", gone, ""),
            Figure(
                "frames lost by the worker on the way up",
                100 * sum(one.lost for one in frames) / sent,
                "%",
                aim=lost_aim,
            ),
            Figure(
                f"the same from {LEARNT_S:g} s on",
                100 * sum(one.lost for one in learnt) / sum(one.sent for one in learnt),
                "%",
            ),
            Figure("frames doubled by the worker on the way up", 100 * sum(one.repeated for one in frames) / sent, "%"),
        ),
    )
