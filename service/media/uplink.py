"""The caller's audio on its way to the model: 8 → 24 kHz, and a map from the session's audio clock to arrival times."""

from __future__ import annotations

from collections import deque

import numpy as np

from service.media.resample import Upsampler
from service.media.ring import FRAME_MS, UplinkFrame

ARRIVALS_KEPT_S = 120
"""Longer than any turn whose beginning may be asked for."""


class Uplink:
    """Resamples frame by frame and remembers when each sample arrived.

    Server events give times in milliseconds of audio sent; `arrived_s` turns them into monotonic seconds.
    """

    def __init__(self) -> None:
        self._upsampler = Upsampler()
        self._arrivals: deque[float] = deque(maxlen=ARRIVALS_KEPT_S * 1000 // FRAME_MS)
        self._frames = 0

    def feed(self, frame: UplinkFrame) -> bytes:
        """One 8 kHz frame (160 samples) in, PCM16 mono 24 kHz (480 samples, 960 bytes) out."""
        self._arrivals.append(frame.arrived_s)
        self._frames += 1
        return self._upsampler.process(np.frombuffer(frame.pcm, dtype="<i2")).tobytes()

    @property
    def sent_ms(self) -> int:
        """Audio fed so far."""
        return self._frames * FRAME_MS

    def arrived_s(self, audio_ms: float) -> float | None:
        """When the sample at `audio_ms` came from the line; None where it is too old or not here yet."""
        index = max(0, int(audio_ms - 1)) // FRAME_MS
        oldest = self._frames - len(self._arrivals)
        if not oldest <= index < self._frames:
            return None
        return self._arrivals[index - oldest]
