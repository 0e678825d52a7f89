"""The caller's audio on its way to the model: 8 → 24 kHz, kept for a while, with its times of arrival."""

from __future__ import annotations

from collections import deque

import numpy as np

from service.media.resample import Upsampler
from service.media.ring import FRAME_MS, UplinkFrame

KEPT_S = 60
"""Longer than turns are; beyond it the beginning of a turn cannot be sent again. About 1.3 MB."""


class Uplink:
    """Resamples frame by frame, and remembers the last minute for a session that has to hear it again.

    Server events give times in milliseconds of audio sent to the session; `arrived_s` turns them into monotonic
    seconds.
    """

    def __init__(self) -> None:
        self._upsampler = Upsampler()
        self._kept: deque[UplinkFrame] = deque(maxlen=KEPT_S * 1000 // FRAME_MS)
        self._frames = 0

    def feed(self, frame: UplinkFrame) -> bytes:
        """One 8 kHz frame (160 samples) in, PCM16 mono 24 kHz (480 samples, 960 bytes) out."""
        self._kept.append(frame)
        self._frames += 1
        return self._upsampler.process(np.frombuffer(frame.pcm, dtype="<i2")).tobytes()

    @property
    def sent_ms(self) -> int:
        """Audio fed to this session so far."""
        return self._frames * FRAME_MS

    def arrived_s(self, audio_ms: float) -> float | None:
        """When the sample at `audio_ms` came from the line; None where it is too old or not here yet."""
        index = max(0, int(audio_ms - 1)) // FRAME_MS
        oldest = self._frames - len(self._kept)
        if not oldest <= index < self._frames:
            return None
        return self._kept[index - oldest].arrived_s

    def cut(self, start_ms: int, end_ms: int) -> bytes:
        """What is kept of a stretch of this session's audio: PCM16 mono 8 kHz."""
        oldest = self._frames - len(self._kept)
        first = max(0, start_ms // FRAME_MS - oldest)
        last = max(first, -(-end_ms // FRAME_MS) - oldest)
        return b"".join(frame.pcm for frame in list(self._kept)[first:last])

    def restart(self, from_ms: int) -> list[bytes]:
        """A new session begins; its audio starts at 0. Gives the frames from `from_ms` of the old one's audio on."""
        oldest = self._frames - len(self._kept)
        again = list(self._kept)[max(0, from_ms // FRAME_MS - oldest) :]
        self._upsampler.reset()
        self._kept.clear()
        self._frames = 0
        return [self.feed(frame) for frame in again]


def upsampled(pcm8k: bytes) -> bytes:
    """A whole stretch, PCM16 mono 8 kHz → 24 kHz."""
    return Upsampler().process(np.frombuffer(pcm8k, dtype="<i2")).tobytes()
