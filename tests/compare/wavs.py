"""WAV files for tests: tones for speech, silence, and noise."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from service.media.resample import Pcm


def tone(duration_ms: int, rate_hz: int = 8_000, amplitude: int = 8_000) -> Pcm:
    t = np.arange(duration_ms * rate_hz // 1000)
    return np.asarray(np.rint(amplitude * np.sin(2 * np.pi * 300 * t / rate_hz)), np.int16)


def silence(duration_ms: int, rate_hz: int = 8_000) -> Pcm:
    return np.zeros(duration_ms * rate_hz // 1000, np.int16)


def noise(duration_ms: int, rms: float, rate_hz: int = 8_000) -> Pcm:
    generator = np.random.default_rng(1)
    return np.rint(generator.normal(0, rms, duration_ms * rate_hz // 1000)).astype(np.int16)


def write_wav(path: Path, *channels: Pcm, rate_hz: int = 8_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
    return path
