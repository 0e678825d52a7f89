"""What is left of a stop of 300 ms, and of many short ones: the delay that a call carries on with, and frames."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import numpy as np

from tests.bench.bench import SETTLE_S, Bench
from tests.bench.caller import Action
from tests.bench.conversations import Way, talk
from tests.bench.figures import Figure, Measurement

STOP_AT_S = SETTLE_S + 2.0
STOP_S = 0.3
WINDOW_S = 0.25
NEAR_MS = 20.0
STEADY_S = 1.0
SAMPLED_S = (0.5, 1.0, 2.0, 4.0, 8.0)
HICCUP_S = 0.06
HICCUPS_EVERY_S = 0.7


def measure(bench: Bench) -> Measurement:
    """SIGSTOP and SIGCONT to the worker while three calls talk."""
    lengths, pid = bench.lengths, bench.worker.pid
    at = _stop(pid, STOP_AT_S, STOP_S)
    talks = []
    for number in range(lengths.stalls):
        bench.progress(f"stop {number + 1} of {lengths.stalls}")
        talks += talk(bench, 3, STOP_AT_S + STOP_S + lengths.after_stall_s, at=at)
    up, around = [one.up for one in talks], [one.around for one in talks]
    sampled = [after_s for after_s in SAMPLED_S if after_s <= lengths.after_stall_s - WINDOW_S]
    return Measurement(
        "After a stop of 300 ms",
        f"SIGSTOP and SIGCONT to the worker while three calls talk, {lengths.stalls} times; median delay of"
        f" {1000 * WINDOW_S:g} ms against the median before the stop; the worst call counts; back means near for"
        " a whole second",
        (
            Figure("uplink back to within 20 ms after", _recovered_s(up), "s", aim=2.0),
            *(Figure(f"uplink slower {after_s:g} s after", _extra_ms(up, after_s), "ms") for after_s in sampled),
            Figure("there and back to within 20 ms after", _recovered_s(around), "s"),
            *(
                Figure(f"there and back slower {after_s:g} s after", _extra_ms(around, after_s), "ms")
                for after_s in sampled
            ),
            Figure("frames lost on the way up, a stop and call", _lost(up), ""),
        ),
    )


def hiccups(bench: Bench) -> Measurement:
    """Short stops, one after the other, as a busy host gives them to a virtual machine."""
    lengths, pid = bench.lengths, bench.worker.pid
    count = lengths.hiccups
    stops_s = [STOP_AT_S + HICCUPS_EVERY_S * number for number in range(count)]
    at = [action for stop_s in stops_s for action in _stop(pid, stop_s, HICCUP_S)]
    end_s = stops_s[-1] + HICCUP_S + 2 * STEADY_S
    last_s = (end_s - 1.5 * STEADY_S, end_s - 0.5 * STEADY_S)
    talks = talk(bench, 3, end_s, at=at)
    up, around = [one.up for one in talks], [one.around for one in talks]
    return Measurement(
        f"After {count} stops of {1000 * HICCUP_S:g} ms",
        f"SIGSTOP and SIGCONT to the worker, every {HICCUPS_EVERY_S:g} s while three calls talk; the median delay of"
        " a second behind the last against the median before the first stop; the worst call counts",
        (
            Figure("uplink slower", max(_slower_ms(way, *last_s) for way in up), "ms", aim=NEAR_MS),
            Figure("there and back slower", max(_slower_ms(way, *last_s) for way in around), "ms", aim=NEAR_MS),
            Figure("frames lost on the way up, a stop and call", _lost(up) / count, ""),
            Figure("frames lost there and back, a stop and call", _lost(around) / count, ""),
        ),
    )


def _stop(pid: int, at_s: float, seconds: float) -> list[tuple[float, Action]]:
    return [
        (at_s, lambda: os.kill(pid, signal.SIGSTOP)),
        (at_s + seconds, lambda: os.kill(pid, signal.SIGCONT)),
    ]


def _extra_ms(ways: Sequence[Way], after_s: float) -> float:
    """The most that any call is slower than before."""
    at_s = STOP_AT_S + STOP_S + after_s
    return max(_slower_ms(way, at_s - WINDOW_S / 2, at_s + WINDOW_S / 2) for way in ways)


def _slower_ms(way: Way, from_s: float, to_s: float) -> float:
    """The median delay of a stretch against that before the (first) stop."""
    then = way.delays_ms(from_s, to_s)
    return float(np.median(then) - np.median(way.delays_ms(SETTLE_S, STOP_AT_S))) if then.size else float("nan")


def _recovered_s(ways: Sequence[Way]) -> float:
    """After so long the delay is near what it was, and stays there for `STEADY_S`, in every call; or infinite."""
    return max(_recovered_of(way) for way in ways)


def _recovered_of(way: Way) -> float:
    usual_ms = np.median(way.delays_ms(SETTLE_S, STOP_AT_S))
    after = np.array([(at_s, delay_ms) for at_s, delay_ms in way.delays() if at_s >= STOP_AT_S + STOP_S])
    if not after.size:
        return float("inf")
    at_s, far = after[:, 0] - STOP_AT_S - STOP_S, after[:, 1] - usual_ms > NEAR_MS
    for begin_s in (0.0, *at_s[far]):
        steady = (at_s > begin_s) & (at_s <= begin_s + STEADY_S)
        if begin_s + STEADY_S <= at_s[-1] and steady.any() and not far[steady].any():
            return float(begin_s)
    return float("inf")


def _lost(ways: Sequence[Way]) -> float:
    return float(np.mean([way.frames().lost for way in ways]))
