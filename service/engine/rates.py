"""Sample rates of the embedded engine: 24 kHz on its wire, 8 kHz for turn detection, 16 kHz for recognition.

PCM16 is int16, mono; samples between filters are float32 in [-1, 1).
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

Pcm16 = NDArray[np.int16]
Samples = NDArray[np.float32]

WIRE_HZ = 24_000
WIRE_SAMPLES_PER_MS = WIRE_HZ // 1000

_KAISER_BETA = 7.0
"""About 70 dB of stop band."""
_HALF_TAPS = 24
"""Filter length to either side of an output sample, counted at the lower of the two rates."""
_PASS_SHARE = 0.9
"""Cut-off as a share of the lower rate's Nyquist frequency: 3.6 kHz at 8 kHz, so telephone speech passes whole."""


def from_pcm16(pcm: Pcm16) -> Samples:
    """PCM16 -> float32 in [-1, 1)."""
    return pcm.astype(np.float32) / np.float32(32768.0)


def to_pcm16(samples: Samples) -> Pcm16:
    """Float32 -> PCM16; what lies outside [-1, 1) is clipped."""
    pcm: Pcm16 = np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767).astype(np.int16)
    return pcm


def milliseconds(samples: int) -> int:
    """Length of that many samples at 24 kHz, rounded down."""
    return samples // WIRE_SAMPLES_PER_MS


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """A whole clip (n,) at another rate (about n x to_hz / from_hz,), without delay, by a polyphase windowed sinc."""
    if from_hz == to_hz or samples.size == 0:
        return samples
    common = gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    phases = _polyphase(up, down)
    taps = phases.shape[1]
    length = -(-samples.size * up // down)
    out = np.empty(length, np.float32)
    padded = np.pad(samples, (taps // 2, taps // 2 + down))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    for first in range(min(up, length)):
        start, phase = divmod(first * down, up)
        count = -(-(length - first) // up)
        out[first::up] = windows[start : start + count * down : down][:count] @ phases[phase]
    return out


class Decimator:
    """Streaming 24 -> 8 kHz; any chunking of the same input gives the same output. Delay about 3 ms."""

    FACTOR = 3

    def __init__(self) -> None:
        self._taps = _polyphase(1, self.FACTOR)[0]
        self.reset()

    def reset(self) -> None:
        """Forget what was fed."""
        self._held: Samples = np.zeros(self._taps.size - 1, np.float32)

    def feed(self, samples: Samples) -> Samples:
        """Samples (n,) at 24 kHz -> those at 8 kHz that are complete now."""
        held = np.concatenate((self._held, samples))
        count = max(0, (held.size - self._taps.size) // self.FACTOR + 1)
        if count == 0:
            self._held = held
            return np.empty(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(held, self._taps.size)[:: self.FACTOR]
        self._held = held[count * self.FACTOR :]
        out: Samples = windows[:count] @ self._taps
        return out


@lru_cache(maxsize=16)
def _polyphase(up: int, down: int) -> Samples:
    """Low-pass filter of a rate change by up/down, (up, taps): row p serves outputs that lie p/up behind an input."""
    longest = max(up, down)
    half = -(-_HALF_TAPS * longest // up)
    taps = 2 * half + 1
    # Row p, column k weighs the input k - half samples after the one at or before the output.
    distance = (np.arange(taps)[None, :] - half) - np.arange(up)[:, None] / up
    scale = _PASS_SHARE * min(1.0, up / down)
    reach = np.clip(distance / (half + 1), -1.0, 1.0)
    window = np.i0(_KAISER_BETA * np.sqrt(1.0 - reach**2)) / np.i0(_KAISER_BETA)
    filters = scale * np.sinc(scale * distance) * window
    # Unit gain at 0 Hz in every phase, or a constant input would come out with a ripple.
    filters /= filters.sum(axis=1, keepdims=True)
    return filters.astype(np.float32)
