"""The caller's audio that no item holds yet, on the clock of the session: milliseconds of all audio ever appended."""

from __future__ import annotations

from collections import deque

import numpy as np

from service.engine.rates import WIRE_SAMPLES_PER_MS, Pcm16, milliseconds

MAX_BUFFER_MS = 600_000
"""Beyond ten minutes without a commit the oldest audio is dropped."""


class InputBuffer:
    """A bounded stretch of PCM16 at 24 kHz that ends at `end_ms`."""

    def __init__(self, limit_ms: int = MAX_BUFFER_MS) -> None:
        self._limit_samples = limit_ms * WIRE_SAMPLES_PER_MS
        self._chunks: deque[Pcm16] = deque()
        self._held_samples = 0
        self._end_samples = 0

    @property
    def end_ms(self) -> int:
        """Audio appended during the session."""
        return milliseconds(self._end_samples)

    @property
    def start_ms(self) -> int:
        """Where the held audio begins."""
        return milliseconds(self._end_samples - self._held_samples)

    @property
    def held_samples(self) -> int:
        """Length of what is held."""
        return self._held_samples

    def append(self, pcm: Pcm16) -> None:
        """Hold more audio (n,)."""
        self._chunks.append(pcm)
        self._held_samples += pcm.size
        self._end_samples += pcm.size
        self._drop(self._held_samples - self._limit_samples)

    def cut(self, start_ms: int, end_ms: int) -> Pcm16:
        """The held audio between two points of the session."""
        first = self._end_samples - self._held_samples
        begin = max(0, start_ms * WIRE_SAMPLES_PER_MS - first)
        end = max(begin, end_ms * WIRE_SAMPLES_PER_MS - first)
        return self._whole()[begin:end]

    def all(self) -> Pcm16:
        """Everything held."""
        return self._whole()

    def drop_before(self, start_ms: int) -> None:
        """Forget audio older than this point of the session."""
        self._drop(start_ms * WIRE_SAMPLES_PER_MS - (self._end_samples - self._held_samples))

    def clear(self) -> None:
        """Forget everything held; the clock goes on."""
        self._chunks.clear()
        self._held_samples = 0

    def _whole(self) -> Pcm16:
        if len(self._chunks) > 1:
            joined = np.concatenate(tuple(self._chunks))
            self._chunks.clear()
            self._chunks.append(joined)
        return self._chunks[0] if self._chunks else np.empty(0, np.int16)

    def _drop(self, samples: int) -> None:
        while samples > 0 and self._chunks:
            oldest = self._chunks.popleft()
            if oldest.size > samples:
                # A copy, or the rest would keep the whole chunk alive.
                self._chunks.appendleft(oldest[samples:].copy())
                self._held_samples -= samples
                return
            self._held_samples -= oldest.size
            samples -= oldest.size
