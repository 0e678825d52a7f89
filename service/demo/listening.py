"""Listens to a recording for what a caller complains of: clicks, and gaps inside words.

A click is a jump between two samples that stands alone: many times what the signal does right before or after it.
Speech jumps too, but its jumps come in company: a burst goes on for some milliseconds. A gap is a stretch of silence
with sound cut off at its beginning and cut on at its end; the closures inside words fade at least on one side, and a
pause between words lasts longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
CLICK_RATIO = 13.0
"""Jump over the root mean square of the jumps on its louder side. 557 recordings of a human speaker (Debian's
asterisk-core-sounds-en) stay below 11.5, the embedded voice through G.711 below 8.5."""
CLICK_MIN = 1500.0
"""Smaller jumps are not heard as clicks on a telephone."""
AROUND = 24
"""Samples on each side that a jump is compared with: 3 ms."""
QUIET = 24
"""Samples this small are silence: three steps of G.711 µ-law."""
GAP_MS = (8, 150)
EDGE_MS = 4
EDGE_RMS = 700.0
"""Sound this loud right at the edge of a silence does not come from a mouth."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What was found; positions in seconds."""

    click_s: tuple[float, ...]
    gap_s: tuple[float, ...]

    @property
    def clicks(self) -> int:
        """How many clicks."""
        return len(self.click_s)

    @property
    def gaps(self) -> int:
        """How many gaps."""
        return len(self.gap_s)

    @property
    def any(self) -> bool:
        """Whether there is anything to complain of."""
        return bool(self.click_s or self.gap_s)


def find_faults(samples: NDArray[np.int16]) -> Faults:
    """Look through PCM16 mono 8 kHz."""
    signal = samples.astype(np.float64)
    return Faults(_clicks(signal), _gaps(signal))


def _clicks(signal: NDArray[np.float64]) -> tuple[float, ...]:
    jumps = np.abs(np.diff(signal))
    found: list[float] = []
    for at in np.flatnonzero(jumps > CLICK_MIN).tolist():
        # A click of one sample makes two jumps: neither is company for the other.
        company = max(_rms(jumps[max(0, at - 1 - AROUND) : max(0, at - 1)]), _rms(jumps[at + 2 : at + 2 + AROUND]))
        if jumps[at] > CLICK_RATIO * max(1.0, company):
            found.append(float(at) / RATE_HZ)
    return tuple(found)


def _gaps(signal: NDArray[np.float64]) -> tuple[float, ...]:
    quiet = np.abs(signal) <= QUIET
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    edge = EDGE_MS * RATE_HZ // 1000
    shortest, longest = (ms * RATE_HZ // 1000 for ms in GAP_MS)
    found = [
        float(start) / RATE_HZ
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if shortest <= end - start <= longest
        and _rms(signal[max(0, start - edge) : start]) > EDGE_RMS
        and _rms(signal[end : end + edge]) > EDGE_RMS
    ]
    return tuple(found)


def _rms(part: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(part**2))) if len(part) else 0.0
