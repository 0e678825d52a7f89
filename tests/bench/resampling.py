"""The resampler by itself: delay, flatness, what it adds, what it costs."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from service.media.resample import Downsampler, Pcm, Upsampler
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Measurement
from tests.bench.stats import spread

LOW_HZ, HIGH_HZ = 8000, 24_000
AMPLITUDE = 20_000.0
SPEECH_HZ = range(300, 3401, 100)
ABOVE_HZ = range(4600, 12_000, 100)
REPEATS = 2000


def measure(bench: Bench) -> Measurement:
    """Tones through both filters, and 20 ms frames against the clock."""
    del bench
    up = [_levels(Upsampler().process(_tone(hz, LOW_HZ)), HIGH_HZ) for hz in SPEECH_HZ]
    down = [_levels(Downsampler().process(_tone(hz, HIGH_HZ)), LOW_HZ) for hz in SPEECH_HZ]
    flat = max(abs(levels.max()) for _, levels in (*up, *down))
    images = max(levels[frequencies >= 4600].max() for frequencies, levels in up)
    aliases = max(_levels(Downsampler().process(_tone(hz, HIGH_HZ)), LOW_HZ)[1].max() for hz in ABOVE_HZ)
    return Measurement(
        "Resampler",
        f"tones of 300 to 3,400 Hz, and of 4.6 to 12 kHz for aliases; cost: median of {REPEATS} frames of 20 ms",
        (
            Figure("delay up", _delay_ms(LOW_HZ), "ms", aim=3),
            Figure("delay down", _delay_ms(HIGH_HZ), "ms", aim=3),
            Figure("off flat, 300 to 3,400 Hz", float(flat), "dB", aim=0.1),
            Figure("highest image above 4.6 kHz", float(images), "dB", aim=-70),
            Figure("highest alias", float(aliases), "dB", aim=-70),
            Figure("a frame up", _cost_us(LOW_HZ), "µs", aim=20),
            Figure("a frame down", _cost_us(HIGH_HZ), "µs", aim=20),
        ),
    )


def _filter(rate_hz: int) -> Upsampler | Downsampler:
    return Upsampler() if rate_hz == LOW_HZ else Downsampler()


def _tone(hz: int, rate_hz: int) -> Pcm:
    return np.rint(AMPLITUDE * np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz + 0.3)).astype(np.int16)


def _levels(pcm: Pcm, rate_hz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies and their levels in dB against the tone; the first 50 ms are left out."""
    steady = pcm[rate_hz // 20 :].astype(np.float64)
    window = np.blackman(steady.size)
    level = np.abs(np.fft.rfft(steady * window)) / (window.sum() / 2 * AMPLITUDE)
    return np.asarray(np.fft.rfftfreq(steady.size, 1 / rate_hz)), np.asarray(20 * np.log10(level + 1e-12), np.float64)


def _delay_ms(rate_hz: int) -> float:
    """Of a click, out against in."""
    click = np.zeros(rate_hz // 50, np.int16)
    click[click.size // 4] = 20_000
    heard = _filter(rate_hz).process(click)
    out_hz = HIGH_HZ if rate_hz == LOW_HZ else LOW_HZ
    return 1000 * (int(np.argmax(heard)) / out_hz - click.size // 4 / rate_hz)


def _cost_us(rate_hz: int) -> float:
    frame = np.random.default_rng(1).integers(-20_000, 20_000, rate_hz // 50).astype(np.int16)
    resampler = _filter(rate_hz)
    taken_us = []
    for _ in range(REPEATS):
        begun_ns = time.perf_counter_ns()
        resampler.process(frame)
        taken_us.append((time.perf_counter_ns() - begun_ns) / 1e3)
    return spread(taken_us).p50
