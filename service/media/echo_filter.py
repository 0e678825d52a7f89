"""Which part of the caller's signal is the agent's own voice: an adaptive filter that knows how sure it is.

A partitioned-block frequency-domain Kalman filter (Enzner and Vary, *Frequency-domain adaptive Kalman filter for
acoustic echo control in hands-free telephones*, Signal Processing 86, 2006; partitioned: Kuech, Mabande and Enzner,
*State-space architecture of the partitioned-block-based acoustic echo controller*, ICASSP 2014), blocks of 20 ms,
overlap-save. The state is the echo path; its uncertainty, which falls only in bands that the agent's voice has excited,
gives both the step of the adaptation and the power that the echo may still have in what is left.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.media.ring import FRAME_MS, LINE_FRAME_SAMPLES

# Single precision; numpy's types do not say so of a transform.
Samples = NDArray[np.floating[Any]]
Spectrum = NDArray[np.complexfloating[Any, Any]]
Power = NDArray[np.floating[Any]]

BLOCK = LINE_FRAME_SAMPLES
BINS = BLOCK + 1
PRIOR = np.float32(10 ** (-4.0 / 10))
"""Power gain (-4 dB) that an unknown echo path is thought to have: more than the loudest telephone should send back."""
DRIFT = 0.04
"""Share of the path's power by which it may change in a frame: people move, and clocks differ (100 ppm were tried)."""
SMOOTHING = 0.7
"""Of the power that the caller is thought to have, from frame to frame."""
LEAST_POWER = 1e3
"""Keeps the step finite in digital silence: that of noise of 2.5 units."""
MEMORY = 0.95
"""Of the energies by which a filter is found to be astray: they reach back 0.4 s."""
ASTRAY = 0.8
ASTRAY_SHARE = 0.5
"""A filter is astray when it leaves this much and more of what was heard, though what it takes out is as large as this
share of it: the echo has moved, as when a jitter buffer on the way slips. A caller's speech makes the share smaller."""
BELIEF = 10.0
"""Nor is one astray whose uncertainty is this many times the power of its path and more: it knows of no path yet."""
ABOVE_NOISE = 2.0
"""Or whose echo is not above the background noise by this factor, which always looks like an echo that has moved. Who
starts over each time takes a caller's words for echo where there is none."""
SLIPS = (1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6)
"""Frames by which a jitter buffer on the way may move an echo in a moment, the likely ones first."""
SLIPPED = 0.5
"""An echo has slipped where it is found again at another place: what is left there is less than this share of what was
heard and of what is left at its old place. No voice but the agent's own is explained so well by chance."""
CONSTRAINED = 2
"""Partitions a frame that are cut back to one block in time; all in turn (Soo and Pang 1990)."""


class Split(NamedTuple):
    """A frame taken apart. Powers are of each of the `BINS` bins of the frame with as many zeros before it."""

    rest: Samples
    """The frame without the echo, (160,)."""
    rest_power: Power
    echo_power: Power
    """Of the echo that was taken out."""
    doubt_power: Power
    """That the echo in `rest` is expected to have."""


class EchoFilter:
    """One echo path of up to `tail_ms`. Frames are 160 samples at 8 kHz on the scale of PCM16."""

    def __init__(self, tail_ms: int) -> None:
        self._partitions = parts = -(-tail_ms // FRAME_MS)
        self._path: Spectrum = np.zeros((parts, BINS), np.complex64)
        self._uncertainty: Power = np.empty((parts, BINS), np.float32)
        self._caller_power: Power = np.zeros(BINS, np.float32)
        # Newest first, in a window that slides down through twice the room, so that nothing moves but once a round.
        self._played: Spectrum = np.zeros((2 * parts, BINS), np.complex64)
        self._played_power: Power = np.zeros((2 * parts, BINS), np.float32)
        self._first = parts
        self._last_played: Samples = np.zeros(BLOCK, np.float32)
        self._skipped: deque[Samples] = deque()
        self._next_constrained = 0
        self._echo_block: Samples = np.zeros(2 * BLOCK, np.float32)
        self._powers: Power = np.empty((parts, BINS), np.float32)
        self._steps: Spectrum = np.empty((parts, BINS), np.complex64)
        self._believes = False
        self._heard_energy = 0.0
        self._rest_energy = 0.0
        self._echo_energy = 0.0
        self._noise_energy = 0.0
        self._start_over()

    def forget_played(self) -> None:
        """What was played is further back than the tail; the echo path stays known."""
        self._played[:] = 0
        self._played_power[:] = 0
        self._last_played = np.zeros(BLOCK, np.float32)
        self._skipped.clear()

    def skip(self, played: Samples) -> None:
        """A frame went out, (160,), and nothing is to be split or learnt from what was heard meanwhile."""
        self._skipped.append(played)
        if len(self._skipped) > self._partitions - 1:
            self._last_played = self._skipped.popleft()

    def split(self, heard: Samples, played: Samples, noise_power: Power, *, callers: bool = False) -> Split:
        """Take apart a frame that was heard while `played` went out, (160,) each, and learn from it.

        `noise_power`: of the caller's background, as in `Split`. `callers`: the frame is known to be the caller's, so
        that what is not explained needs no other place of the echo.
        """
        spectrum, (history, history_power) = self._transformed(heard, played)
        echo = self._echo_of(history, self._path)
        if self._believes and not callers:
            echo = self._realigned(heard, echo, history, noise_power)
        if self._is_astray(heard, echo, noise_power):
            self._start_over()
            echo = np.zeros(BLOCK, np.float32)
        self._echo_block[BLOCK:] = echo
        echo_spectrum = np.fft.rfft(self._echo_block)
        rest_spectrum = spectrum - echo_spectrum
        rest_power = _power(rest_spectrum)
        expected = np.multiply(history_power, self._uncertainty, out=self._powers)
        expected_power = expected.sum(axis=0)
        self._caller_power += (1 - SMOOTHING) * (rest_power - self._caller_power)
        total = expected_power + 2 * self._caller_power + np.float32(LEAST_POWER)
        self._adapt(history, expected, rest_spectrum, total)
        # Half of the window is the frame, so that half of the power is its.
        return Split(heard - echo, rest_power, _power(echo_spectrum), expected_power / 2)

    def _echo_of(self, history: Spectrum, path: Spectrum) -> Samples:
        echo: Samples = np.fft.irfft(np.einsum("pk,pk->k", history, path))[BLOCK:]
        return echo

    def _realigned(self, heard: Samples, echo: Samples, history: Spectrum, noise_power: Power) -> Samples:
        """The echo in a frame, taken from where it is now, should it have slipped."""
        heard_energy, left = _energy(heard), _energy(heard - echo)
        if left < SLIPPED * heard_energy or heard_energy < ABOVE_NOISE * _energy_of(noise_power):
            return echo
        parts = self._partitions
        for slip in SLIPS:
            there, here = slice(max(0, slip), parts + min(0, slip)), slice(max(0, -slip), parts + min(0, -slip))
            slipped = self._echo_of(history[there], self._path[here])
            if _energy(heard - slipped) < SLIPPED * min(left, heard_energy):
                self._slip(slip)
                return slipped
        return echo

    def _slip(self, frames: int) -> None:
        self._path = np.roll(self._path, frames, axis=0)
        self._uncertainty = np.roll(self._uncertainty, frames, axis=0)
        self._path[slice(0, frames) if frames > 0 else slice(frames, None)] = 0

    def _is_astray(self, heard: Samples, echo: Samples, noise_power: Power) -> bool:
        rest = heard - echo
        self._heard_energy = MEMORY * self._heard_energy + _energy(heard)
        self._rest_energy = MEMORY * self._rest_energy + _energy(rest)
        self._echo_energy = MEMORY * self._echo_energy + _energy(echo)
        self._noise_energy = MEMORY * self._noise_energy + _energy_of(noise_power)
        return (
            self._believes
            and self._rest_energy > ASTRAY * self._heard_energy
            and self._echo_energy > ASTRAY_SHARE * self._heard_energy
            and self._echo_energy > ABOVE_NOISE * self._noise_energy
        )

    def _start_over(self) -> None:
        self._path[:] = 0
        self._uncertainty[:] = PRIOR / self._partitions
        self._heard_energy = self._rest_energy = self._echo_energy = self._noise_energy = 0.0
        self._believes = False

    def _transformed(self, heard: Samples, played: Samples) -> tuple[Spectrum, tuple[Spectrum, Power]]:
        # A row for each frame that was played, the one before in its first half; then the caller's behind zeros.
        frames = [self._last_played, *self._skipped, played]
        count = len(frames) - 1
        rows = np.zeros((count + 1, 2 * BLOCK), np.float32)
        rows[:count, :BLOCK] = frames[:-1]
        rows[:count, BLOCK:] = frames[1:]
        rows[count, BLOCK:] = heard
        spectra = np.fft.rfft(rows)
        self._last_played = played
        self._skipped.clear()
        if self._first < count:
            kept = slice(self._first, self._first + self._partitions)
            self._played[-self._partitions :] = self._played[kept].copy()
            self._played_power[-self._partitions :] = self._played_power[kept].copy()
            self._first = self._partitions
        self._first -= count
        newest_first = spectra[count - 1 :: -1]
        self._played[self._first : self._first + count] = newest_first
        self._played_power[self._first : self._first + count] = _power(newest_first)
        window = slice(self._first, self._first + self._partitions)
        return spectra[count], (self._played[window], self._played_power[window])

    def _adapt(self, history: Spectrum, expected: Power, rest_spectrum: Spectrum, total: Power) -> None:
        steps = np.multiply(self._uncertainty, np.conj(rest_spectrum) / total, out=self._steps)
        steps *= history
        path = self._path
        path += np.conj(steps, out=steps)
        self._constrain()
        # uncertainty · (1 - gain / 2) + drift
        expected /= total
        expected *= np.float32(-0.5)
        expected += np.float32(1)
        self._uncertainty *= expected
        drift = np.square(path.real, out=self._powers)
        drift += np.square(path.imag)
        path_power = float(drift.sum())
        drift *= np.float32(DRIFT)
        self._uncertainty += drift
        # A path is never less known than at the start: while both sides talk, errors of the path raise its drift, which
        # raises the step, which makes larger errors, until the echo seems to explain whatever the caller says.
        unknown = self._uncertainty.sum(axis=0)
        self._uncertainty *= np.minimum(PRIOR / unknown, np.float32(1))
        self._believes = float(unknown.sum()) < BELIEF * path_power

    def _constrain(self) -> None:
        """Circular to linear convolution: a partition's path is one block long."""
        stride = self._partitions // CONSTRAINED + 1
        rows = [(self._next_constrained + turn * stride) % self._partitions for turn in range(CONSTRAINED)]
        self._next_constrained = (self._next_constrained + 1) % self._partitions
        response = np.fft.irfft(self._path[rows])
        response[:, BLOCK:] = 0
        self._path[rows] = np.fft.rfft(response)


def _energy(samples: Samples) -> float:
    return float(np.dot(samples, samples))


def _energy_of(power: Power) -> float:
    """Of a frame with that power in its bins, by Parseval: they are half of a spectrum of 320."""
    return float(power.sum()) / BLOCK


def _power(spectrum: Spectrum) -> Power:
    return spectrum.real**2 + spectrum.imag**2
