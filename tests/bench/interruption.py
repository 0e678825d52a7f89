"""From the caller's interruption to silence on the wire, and whether the truncation says what was heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.bench.bench import Bench
from tests.bench.caller import Caller, converse
from tests.bench.engines import ANSWER_S, ANSWER_SEED, PAUSE_S, SessionLog
from tests.bench.figures import Figure, Measurement
from tests.bench.marks import FRAME_SAMPLES, RATE_HZ, SAMPLES_PER_MS, Pcm, Reference, noise
from tests.bench.rtp import Arrival
from tests.bench.stats import spread
from tests.peers import ulaw_decode

CALLS = 3
ROUND_S = 0.7 + 0.05 + PAUSE_S
"""The longest that one interruption may take, with what leads to it."""
LOUD = 100
QUIET_PACKETS = 5
"""So much silence in a row is an end, not a pause in the noise."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One interruption."""

    silence_ms: float
    """From `speech_started` leaving the engine to the last sample that is not silent, counted where it would be heard
    by somebody without a jitter buffer."""
    heard_ms: float | None
    """Where in the item the sound ended."""
    truncated_ms: int | None
    """`audio_end_ms` of the truncation."""
    leaked: bool
    """Whether the item was heard again before the next one began."""


def measure(bench: Bench) -> Measurement:
    """Three calls at once, interrupted at random moments."""
    rounds = bench.lengths.rounds
    bench.engine.be("interrupted", rounds)
    callers = [Caller(bench.worker.sip_port, number) for number in range(CALLS)]
    try:
        converse(callers, ROUND_S * rounds)
    finally:
        for caller in callers:
            caller.hang_up()
    logs = bench.engine.collect(CALLS)
    answer = Reference(noise(ANSWER_S, ANSWER_SEED))
    cuts = [cut for caller, log in zip(callers, logs, strict=True) for cut in _cuts(caller.arrivals, log, answer)]
    silence = spread([cut.silence_ms for cut in cuts])
    differences = [
        cut.truncated_ms - cut.heard_ms for cut in cuts if cut.heard_ms is not None and cut.truncated_ms is not None
    ]
    off = spread(np.abs(differences))
    return Measurement(
        "Interruption",
        f"{silence.count} interruptions at random moments in three calls at once; `speech_started` leaving the engine"
        " to the end of the last sample on the wire that is not silent; the truncation against the place in the item"
        " at which the recorded RTP ends, the fade included",
        (
            Figure("interruption → silence p50", silence.p50, "ms"),
            Figure("interruption → silence p99", silence.p99, "ms", aim=40),
            Figure("interruption → silence max", silence.max, "ms"),
            Figure("truncation off what was heard, mean", float(np.mean(differences)), "ms"),
            Figure("truncation off what was heard, most", off.max, "ms", aim=20),
            Figure("interruptions without truncation", sum(cut.truncated_ms is None for cut in cuts), "", aim=0),
            Figure("interrupted items heard again", sum(cut.leaked for cut in cuts), "", aim=0),
        ),
    )


def _cuts(arrivals: list[Arrival], log: SessionLog, answer: Reference) -> list[Cut]:
    at_ns = np.array([arrival.at_ns for arrival in arrivals])
    sound = [ulaw_decode(arrival.payload) for arrival in arrivals]
    loud = np.array([bool(np.any(np.abs(pcm) > LOUD)) for pcm in sound])
    cuts = []
    for cut_ns, item in log.interruptions:
        index = int(np.searchsorted(at_ns, cut_ns)) - 1
        while loud[index + 1 : index + 1 + QUIET_PACKETS].any():
            index += 1
        # The packet after which nothing is heard; a listener plays a packet from its arrival on.
        last = int(np.flatnonzero(np.abs(sound[index]) > LOUD)[-1]) + 1
        silence_ms = (at_ns[index] - cut_ns) / 1e6 + last / SAMPLES_PER_MS
        until = int(np.searchsorted(at_ns, cut_ns + PAUSE_S * 1e9))
        leaked = bool(loud[index + 1 : until - 1].any())
        cuts.append(Cut(float(silence_ms), _heard_ms(sound, index, last, answer), log.truncations.get(item), leaked))
    return cuts


def _heard_ms(sound: list[Pcm], index: int, last: int, answer: Reference) -> float | None:
    """The place in the item of the last sample: from the last whole packet that is found in it."""
    for back in range(4):
        position = answer.find(sound[index - back], -FRAME_SAMPLES, round(ANSWER_S * RATE_HZ), None)
        if position is not None and np.count_nonzero(np.abs(sound[index - back]) > LOUD) > FRAME_SAMPLES // 2:
            return (position + back * FRAME_SAMPLES + last) / SAMPLES_PER_MS
    return None
