"""Calls against the echoing engine, and what became of every frame on its way there and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.bench.bench import SETTLE_S, Bench
from tests.bench.caller import CLEAN, Action, Caller, Network, Speech, converse
from tests.bench.engines import SessionLog, narrowed
from tests.bench.marks import FRAME_NS, FRAME_SAMPLES, RATE_HZ, Mark, Pcm, Reference
from tests.bench.rtp import Arrival
from tests.peers import ulaw_decode

SEARCH_S = 1.5
"""How far back sound is looked for."""
LATE_MS = 20.0

Milliseconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frames:
    """Counts of 20 ms frames."""

    sent: int
    lost: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Way:
    """One way of one call: where every stretch that came was in what the caller sent."""

    speech: Speech
    marks: list[Mark]

    def delays_ms(self, from_s: float = SETTLE_S, to_s: float = np.inf) -> Milliseconds:
        """From the moment a sample was due to leave the caller to the arrival of the packet that begins with it."""
        return np.array([delay for at_s, delay in self.delays() if from_s <= at_s < to_s])

    def delays(self) -> list[tuple[float, float]]:
        """Arrival (seconds after the caller's begin) and delay (ms) of every stretch that was found."""
        begin_ns = self.speech.begin_ns
        return [
            ((mark.at_ns - begin_ns) / 1e9, (mark.at_ns - begin_ns) / 1e6 - 1000 * mark.position / RATE_HZ)
            for mark in self.marks
            if mark.position is not None
        ]

    def frames(self, from_s: float = SETTLE_S) -> Frames:
        """What became of the caller's frames, from `from_s` to the last that was found.

        Counted by samples, since concealment moves the borders: a frame is lost where more than half of it never
        came, and repeated where more than half of it came twice. What the network lost does not count.
        """
        size = len(self.speech.sent) // FRAME_SAMPLES * FRAME_SAMPLES
        came = np.zeros(size + FRAME_SAMPLES, np.int64)
        last = 0
        for mark in self.marks:
            if mark.position is not None:
                came[max(mark.position, 0) : mark.position + FRAME_SAMPLES] += 1
                last = max(last, mark.position)
        first = round(from_s * RATE_HZ) // FRAME_SAMPLES
        frames = came[: last // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)[first:]
        passed = np.array([number not in self.speech.lost for number in range(first, first + len(frames))], bool)
        lost = (frames == 0).mean(axis=1) > 0.5
        repeated = (frames > 1).mean(axis=1) > 0.5
        return Frames(int(passed.sum()), int((lost & passed).sum()), int(repeated.sum()))


@dataclass(frozen=True, slots=True)
class Talk:
    """One call of a run."""

    up: Way
    """RTP in → append at the engine."""
    around: Way
    """RTP in → websocket → RTP out."""
    gaps_ms: Milliseconds
    """Between outgoing packets."""
    late: int
    """Outgoing packets more than `LATE_MS` behind their place on the raster of 20 ms."""
    sequence_holes: int


def talk(
    bench: Bench,
    calls: int,
    seconds: float,
    *,
    network: Network = CLEAN,
    phase: float | None = None,
    at: Sequence[tuple[float, Action]] = (),
) -> list[Talk]:
    """Place `calls` calls at once against the echoing engine."""
    bench.engine.be("echo")
    callers = [Caller(bench.worker.sip_port, number) for number in range(calls)]
    try:
        speeches = converse(callers, seconds, network=network, phase=phase, at=at)
    finally:
        for caller in callers:
            caller.hang_up()
    logs = bench.engine.collect(calls)
    return [_talk(*one) for one in zip(callers, speeches, logs, strict=True)]


def _talk(caller: Caller, speech: Speech, log: SessionLog) -> Talk:
    reference = Reference(speech.sent)
    heard = [arrival for arrival in caller.arrivals if arrival.at_ns >= speech.begin_ns]
    outgoing = [one for one in heard if one.at_ns >= speech.begin_ns + SETTLE_S * 1e9]
    at_ns = np.array([arrival.at_ns for arrival in outgoing])
    return Talk(
        up=Way(speech, located(((at, narrowed(pcm)) for at, pcm in log.appends), reference, speech.begin_ns)),
        around=Way(
            speech, located(((one.at_ns, ulaw_decode(one.payload)) for one in heard), reference, speech.begin_ns)
        ),
        gaps_ms=np.diff(at_ns) / 1e6,
        late=_late(outgoing),
        sequence_holes=int(np.count_nonzero(np.diff([one.sequence for one in outgoing]) % 65536 != 1)),
    )


def located(stretches: Iterable[tuple[int, Pcm]], reference: Reference, begin_ns: int) -> list[Mark]:
    """Where each stretch (arrival, PCM at 8 kHz) lies in what was sent."""
    marks: list[Mark] = []
    expected: int | None = None
    for at_ns, pcm in stretches:
        newest = round((at_ns - begin_ns) / 1e9 * RATE_HZ)
        position = None
        if newest > 0 and pcm.size:
            position = reference.find(pcm, newest - round(SEARCH_S * RATE_HZ), newest + FRAME_SAMPLES, expected)
        marks.append(Mark(at_ns, position))
        expected = None if position is None else position + pcm.size
    return marks


def _late(outgoing: Sequence[Arrival]) -> int:
    at_ns = np.array([arrival.at_ns for arrival in outgoing])
    behind_ns = at_ns - np.arange(at_ns.size) * FRAME_NS
    return int(np.count_nonzero(behind_ns - np.median(behind_ns) > LATE_MS * 1e6))
