"""Background noise on the caller's side, by minimum statistics.

In each band the least of what was heard lately, rising slowly, as in Martin, *Noise power spectral density estimation
based on optimal smoothing and minimum statistics*, IEEE Transactions on Speech and Audio Processing 9, 2001, without
its optimal smoothing: speech has gaps in every band, noise has none.
"""

from __future__ import annotations

import numpy as np

from service.media.echo_filter import BINS, BLOCK, Power

LEAST_POWER = np.float32(BLOCK * 11.0**2)
"""Of a bin, for noise of -69 dBFS, which is also G.711's in a quiet frame."""
MOST_POWER = np.float32(BLOCK * 330.0**2)
"""-40 dBFS: what is louder, be it as even as noise, is the caller's."""
SMOOTHING = 0.8
"""From frame to frame."""
RISE = 1.01
"""A frame, which is 2 dB a second: the gaps of speech keep it down."""
MARGIN = 2.0
"""A minimum lies below the mean, and one frame's power in a band is several times that now and then."""


class NoiseFloor:
    """What noise explains of one call's frames."""

    def __init__(self) -> None:
        self.power: Power = np.full(BINS, LEAST_POWER, np.float32)
        """Of each bin, (161,), on the scale of `echo_filter.Split`."""
        self._smooth = self.power.copy()
        self._least = self.power.copy()

    def hear(self, rest_power: Power) -> None:
        """One frame without its echo, (161,)."""
        self._smooth += np.float32(1 - SMOOTHING) * (rest_power - self._smooth)
        self._least *= np.float32(RISE)
        np.minimum(self._least, self._smooth, out=self._least)
        np.clip(self._least * np.float32(MARGIN), LEAST_POWER, MOST_POWER, out=self.power)
