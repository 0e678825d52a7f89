"""The engine's voice: text in, 24 kHz PCM16 out, a sentence at a time. Nothing is ever downloaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from service.engine.rates import WIRE_HZ, Pcm16, Samples, resample, to_pcm16
from service.engine.runtime import package_folder, return_freed_memory
from service.engine.spoken import sentences

_GAIN = 1.8
"""Brings speech to about -20 dBFS, the usual level of telephone speech (ITU-T P.56 active level)."""
_PEAK = 0.9
_FLOOR = 0.002
"""Amplitude below which there is no voice yet, or none any more."""
_LEAD_MS = 40
_TAIL_MS = 240
"""Silence kept before and after a sentence; the network puts 250 and 400 ms there, which callers would wait for."""
_FADE_MS = 5
_PITCH_STEPS = 50
"""Pitch is rounded to 1/50, for short filters."""


class Voice:
    """Hibari's "heart". `pitch` below 1 makes a lower voice, of another person; usable from several threads at once.

    Raises ValueError where the pitch lies outside 0.7 to 1.4.
    """

    def __init__(self, pitch: float = 1.0) -> None:
        if not 0.7 <= pitch <= 1.4:
            raise ValueError(f"A voice's pitch must lie between 0.7 and 1.4, not {pitch}")
        self._pitch = round(pitch * _PITCH_STEPS) / _PITCH_STEPS

    def load(self) -> float:
        """Load the network and the lexicon, if they are not; returns the seconds it took."""
        begun_s = time.perf_counter()
        with _lock:
            _network()
        return time.perf_counter() - begun_s

    def synthesize(self, text: str, seed: int | None = None, speed: float = 1.0) -> Iterator[Pcm16]:
        """One array (n,) per sentence, each as soon as it is ready; none where there is nothing to say.

        The same seed gives the same samples. `speed` is held between 0.5 and 2.
        """
        pace = min(2.0, max(0.5, speed)) / self._pitch
        for number, sentence in enumerate(sentences(text)):
            with _lock:
                voiced: Samples = _network()(sentence, speed=pace, seed=None if seed is None else seed + number)
            # Read as if it had been sampled slower, everything in it is lower.
            shifted = resample(voiced, round(self._pitch * _PITCH_STEPS) * (WIRE_HZ // _PITCH_STEPS), WIRE_HZ)
            trimmed = _trimmed(shifted)
            if trimmed.size:
                yield to_pcm16(trimmed)


def _trimmed(samples: Samples) -> Samples:
    """Short silence around, the right level, and no step at either end."""
    loud = np.flatnonzero(np.abs(samples) > _FLOOR)
    if loud.size == 0:
        return samples[:0]
    first = max(0, int(loud[0]) - WIRE_HZ * _LEAD_MS // 1000)
    last = int(loud[-1]) + 1
    out = samples[first : last + WIRE_HZ * _TAIL_MS // 1000].copy()
    out *= min(_GAIN, _PEAK / float(np.abs(out).max()))
    ramp = np.linspace(0.0, 1.0, WIRE_HZ * _FADE_MS // 1000, dtype=np.float32)[: out.size // 2]
    out[: ramp.size] *= ramp
    out[out.size - ramp.size :] *= ramp[::-1]
    return out


@lru_cache(maxsize=1)
def _network() -> Any:
    folder = package_folder("hibari", "hibari-tts")
    from hibari import Hibari  # noqa: PLC0415  only the engine has it

    # Told the file, it looks for no other voice and so never for the network.
    network = Hibari(voice="heart", model=str(folder / "assets" / "hibari.onnx"), threads=1)
    network("Ready.")
    return_freed_memory()
    return network


_lock = threading.Lock()
