"""Resampling of PCM16 between the telephone's 8 kHz and the model's 24 kHz, and of whole signals between any two rates.

The streaming filters are one linear-phase FIR in polyphase form, a Kaiser-windowed sinc::

    h[k] = 2 fc/fs · sinc(2 fc/fs · (k - D)) · I0(beta · sqrt(1 - ((k - D) / D)²)) / I0(beta),   k = 0 … 2 D

with ``fs`` 24 kHz, ``fc`` 4 kHz (the Nyquist frequency of the lower rate), ``D`` 48 samples, and beta from Kaiser's
formula ``beta = 0.1102 (A - 8.7)``, ``A = 2.285 · Δω · 2 D + 7.95`` for the transition from 3.4 to 4.6 kHz
(Kaiser 1974; Oppenheim & Schafer, *Discrete-Time Signal Processing*, §7.5): 77 dB. The delay is exactly ``D``, 2 ms,
a whole number of samples at both rates.

Coefficients are rounded to multiples of 2⁻²⁰. A product with an int16 sample and the sum of all 97 then fit the 53 bits
of a float64 without rounding, so that the order of summation is of no effect: any chunking gives the same samples, on
any BLAS.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

LOW_HZ = 8_000
HIGH_HZ = 24_000
RATIO = HIGH_HZ // LOW_HZ
PASSBAND_HZ = 3_400
STOPBAND_HZ = 4_600
DELAY_MS = 2
"""Delay of each streaming filter."""

_HALF = HIGH_HZ * DELAY_MS // 1000
_TAPS = 2 * _HALF + 1
_QUANTUM = 2.0**-20
_BLOCK = 16
"""Low-rate samples per row of the matrix product; larger ones multiply more zeros."""


def _attenuation_db(half: int, transition: float) -> float:
    """Stop-band attenuation that ``2 half + 1`` taps reach over a transition of ``transition`` cycles a sample."""
    return 2.285 * 2 * math.pi * transition * 2 * half + 7.95


def _kaiser_sinc(half: int, cutoff: float, attenuation_db: float) -> NDArray[np.float64]:
    """Low-pass of ``2 half + 1`` taps with unit gain at 0 Hz; ``cutoff`` in cycles a sample."""
    k = np.arange(-half, half + 1)
    taps = np.sinc(2 * cutoff * k) * np.kaiser(2 * half + 1, 0.1102 * (attenuation_db - 8.7))
    return np.asarray(taps / taps.sum(), np.float64)


def _prototype() -> NDArray[np.float64]:
    attenuation_db = _attenuation_db(_HALF, (STOPBAND_HZ - PASSBAND_HZ) / HIGH_HZ)
    return _kaiser_sinc(_HALF, LOW_HZ / 2 / HIGH_HZ, attenuation_db)


def _quantized(taps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.rint(taps / _QUANTUM) * _QUANTUM


def _banded(taps: NDArray[np.float64], rows: int, columns: int, row_step: int, column_step: int) -> NDArray[np.float64]:
    """Matrix that turns a window of ``rows`` input samples, oldest first, into ``columns`` output samples.

    Steps count samples at the higher rate, where the taps live; the window's first ``2 D`` of them are the past.
    """
    row, column = np.arange(rows)[:, None], np.arange(columns)[None, :]
    tap = column * column_step + taps.size - 1 - row * row_step
    return np.where((tap >= 0) & (tap < taps.size), taps[np.clip(tap, 0, taps.size - 1)], 0.0)


_UP_PAST = 2 * _HALF // RATIO
_UP = _banded(_quantized(RATIO * _prototype()), _UP_PAST + _BLOCK, RATIO * _BLOCK, row_step=RATIO, column_step=1)
_DOWN_PAST = 2 * _HALF
_DOWN = _banded(_quantized(_prototype()), _DOWN_PAST + 1 + RATIO * (_BLOCK - 1), _BLOCK, row_step=1, column_step=RATIO)


class _Room:
    """What chunks of one size are filtered in, made once: for 20 ms, making it takes longer than filtering.

    ``past`` samples lie before the chunk of ``size``; windows ``hop`` apart each go through ``matrix``.
    """

    def __init__(self, past: int, size: int, hop: int, matrix: NDArray[np.float64], outputs: int) -> None:
        self.fits = (past, size)
        self._past, self._end, self._outputs, self._matrix = past, past + size, outputs, matrix
        blocks = -(-outputs // matrix.shape[1])
        # The last block is whole: behind the chunk there are zeros.
        self._signal = np.zeros(past + size + RATIO * _BLOCK)
        stride = self._signal.strides[0]
        self._windows: NDArray[np.float64] = as_strided(self._signal, (blocks, matrix.shape[0]), (hop * stride, stride))
        self._products = np.empty((blocks, matrix.shape[1]))

    def filter(self, past: NDArray[np.float64], pcm: Pcm) -> Pcm:
        """The outputs of one chunk, rounded and saturated."""
        self._signal[: self._past] = past
        self._signal[self._past : self._end] = pcm
        products = np.dot(self._windows, self._matrix, out=self._products)
        np.rint(products, out=products)
        products.clip(-32768.0, 32767.0, out=products)
        return products.ravel()[: self._outputs].astype(np.int16)

    def rest(self, first: int) -> NDArray[np.float64]:
        """A copy of the signal from sample ``first`` on: what the next chunk has as its past."""
        return self._signal[first : self._end].copy()


class Upsampler:
    """8 to 24 kHz, `DELAY_MS` late: three samples out for each one in."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the past, as if silence had gone before."""
        self._past: NDArray[np.float64] = np.zeros(_UP_PAST)
        self._room = _Room(_UP_PAST, 0, _BLOCK, _UP, 0)

    def process(self, pcm: Pcm) -> Pcm:
        """Turn ``n`` samples at 8 kHz, any ``n``, into ``3 n`` at 24 kHz."""
        if self._room.fits != (_UP_PAST, pcm.size):
            self._room = _Room(_UP_PAST, pcm.size, _BLOCK, _UP, RATIO * pcm.size)
        out = self._room.filter(self._past, pcm)
        self._past = self._room.rest(pcm.size)
        return out


class Downsampler:
    """24 to 8 kHz, `DELAY_MS` late: the first sample out comes with the first one in, then one for every three."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the past, as if silence had gone before."""
        self._past: NDArray[np.float64] = np.zeros(_DOWN_PAST)
        self._room = _Room(_DOWN_PAST, 0, RATIO * _BLOCK, _DOWN, 0)

    def process(self, pcm: Pcm) -> Pcm:
        """Turn ``n`` samples at 24 kHz, any ``n``, into ``n / 3`` at 8 kHz (over all chunks: ``ceil(total / 3)``)."""
        past = self._past.size
        outputs = (past + pcm.size - _DOWN_PAST + RATIO - 1) // RATIO
        if self._room.fits != (past, pcm.size):
            self._room = _Room(past, pcm.size, RATIO * _BLOCK, _DOWN, outputs)
        out = self._room.filter(self._past, pcm)
        self._past = self._room.rest(RATIO * outputs)
        return out


def resample(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """Resample a whole mono signal without delay; ``n`` samples give ``ceil(n · to_hz / from_hz)``.

    Flat to 0.425 of the lower rate, nothing above half of it (-80 dB). For files and tests: a Kaiser-windowed sinc as
    above, twice as steep. Raises ValueError for rates that are not positive.
    """
    if from_hz <= 0 or to_hz <= 0:
        raise ValueError(f"cannot resample from {from_hz} Hz to {to_hz} Hz: rates must be positive")
    if from_hz == to_hz or pcm.size == 0:
        return pcm.copy()
    divisor = math.gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    lower = min(from_hz, to_hz) / (from_hz * up)
    half = math.ceil((80.0 - 7.95) / (2.285 * 2 * math.pi * 0.075 * lower) / 2)
    past = -(-half // up)
    taps = np.append(up * _kaiser_sinc(past * up, 0.4625 * lower, 80.0), np.zeros(up - 1))
    windows = sliding_window_view(np.concatenate((np.zeros(past), pcm, np.zeros(past + 1))), 2 * past + 1)
    out = np.empty(-(-pcm.size * up // down))
    for first in range(min(up, out.size)):
        # Output `first` lies `phase / up` of a sample after input `start`; every `up`-th output shares its taps.
        start, phase = divmod(first * down, up)
        out[first::up] = windows[start::down][: out[first::up].size] @ taps[phase::up][::-1]
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)
