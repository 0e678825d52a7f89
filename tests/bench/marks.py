"""Sound that says where it is: noise of which any 20 ms are found again after G.711, resampling and loss.

A stretch that comes out of the service is correlated with what went in; the best match names the sample it began with,
to 1/8 ms, whatever was lost, doubled or made up in between. Stretches that match nothing (silence, concealment) have
no position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.peers import encode, ulaw_decode

RATE_HZ = 8000
SAMPLES_PER_MS = RATE_HZ // 1000
FRAME_MS = 20
FRAME_SAMPLES = FRAME_MS * SAMPLES_PER_MS
FRAME_NS = FRAME_MS * 1_000_000
SURE = 0.85
"""Correlation at the expected place that makes a search needless."""
ENOUGH = 0.6
"""Below it nothing has been found; foreign noise reaches 0.4."""
_NEAR = 4
_PAD = FRAME_SAMPLES

Pcm = NDArray[np.int16]


def noise(seconds: float, seed: int, rms: float = 3000.0) -> Pcm:
    """Noise of 300 to 3,300 Hz at 8 kHz, as it is after µ-law."""
    count = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / RATE_HZ)
    spectrum[(frequencies < 300) | (frequencies > 3300)] = 0
    sound = np.fft.irfft(spectrum, count)
    return ulaw_decode(encode(np.rint(sound * (rms / sound.std())).clip(-32000, 32000).astype(np.int16), "PCMU"))


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch that came at `at_ns` (monotonic) and begins with sample `position` of what was sent."""

    at_ns: int
    position: int | None


class Reference:
    """What was sent, ready to be searched."""

    def __init__(self, sent: Pcm) -> None:
        self._sent = np.pad(sent.astype(np.float64), _PAD)
        self._energy = np.concatenate(([0.0], np.cumsum(self._sent**2)))

    def find(self, stretch: Pcm, low: int, high: int, expected: int | None) -> int | None:
        """The sample at which `stretch` begins, between `low` and `high`; `expected` is tried first."""
        wanted = stretch.astype(np.float64)
        if not np.any(np.abs(wanted) > 16 * _NEAR):
            return None
        if expected is not None:
            position, match = self._best(wanted, expected - _NEAR, expected + _NEAR)
            if match >= SURE:
                return position
        position, match = self._best(wanted, low, high)
        return position if match >= ENOUGH else None

    def _best(self, wanted: NDArray[np.float64], low: int, high: int) -> tuple[int, float]:
        low = min(max(low + _PAD, 0), self._sent.size - wanted.size)
        high = min(max(high + _PAD, low), self._sent.size - wanted.size)
        products = np.correlate(self._sent[low : high + wanted.size], wanted, "valid")
        ends = self._energy[low + wanted.size : high + wanted.size + 1]
        energy = ends - self._energy[low : high + 1]
        match = products / np.sqrt(np.maximum(energy, 1.0) * np.dot(wanted, wanted))
        best = int(np.argmax(match))
        return low + best - _PAD, float(match[best])
