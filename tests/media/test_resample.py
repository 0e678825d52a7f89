"""The resampler keeps speech as it was: flat where the telephone carries, clean where it does not, late by 2 ms."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import service.media.resample as filters
from service.media.resample import DELAY_MS, Downsampler, Upsampler, resample

Pcm = NDArray[np.int16]
SPEECH_HZ = [300, 440, 1000, 1950, 2600, 3000, 3170, 3300, 3400]
ABOVE_HZ = [4600, 4700, 4999, 5500, 6400, 7350, 8000, 8300, 9100, 10700, 11400, 11950]


def tone(hz: float, rate_hz: int, seconds: float = 1.05, amplitude: float = 20_000.0) -> Pcm:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return np.rint(amplitude * np.sin(2 * np.pi * hz * t + 0.3)).astype(np.int16)


def spectrum_db(pcm: Pcm, rate_hz: int, amplitude: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies, 1 Hz apart, and levels in dB against a sine of `amplitude`; the first 50 ms are left out."""
    steady = pcm[rate_hz // 20 :].astype(np.float64)
    window = np.blackman(steady.size)
    level = np.abs(np.fft.rfft(steady * window)) / (window.sum() / 2 * amplitude)
    frequencies = np.arange(level.size) * rate_hz / steady.size
    return frequencies, np.asarray(20 * np.log10(level + 1e-12), np.float64)


def chunks(pcm: Pcm, sizes: list[int]) -> Iterator[Pcm]:
    at = 0
    for size in sizes:
        yield pcm[at : at + size]
        at += size
    yield pcm[at:]


@pytest.mark.parametrize("hz", SPEECH_HZ)
def test_upsampling_is_flat_for_speech_and_makes_no_images(hz: int) -> None:
    up = Upsampler().process(tone(hz, 8000))
    frequencies, level = spectrum_db(up, 24_000, 20_000)
    assert level.max() == pytest.approx(0.0, abs=0.1)
    assert level[frequencies >= 4600].max() < -70


@pytest.mark.parametrize("hz", SPEECH_HZ)
def test_downsampling_is_flat_for_speech(hz: int) -> None:
    _, level = spectrum_db(Downsampler().process(tone(hz, 24_000)), 8000, 20_000)
    assert level.max() == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("hz", ABOVE_HZ)
def test_downsampling_lets_nothing_fold_into_speech(hz: int) -> None:
    _, level = spectrum_db(Downsampler().process(tone(hz, 24_000)), 8000, 20_000)
    assert level.max() < -70


def test_delay_is_two_milliseconds_each_way() -> None:
    click = np.zeros(160, np.int16)
    click[40] = 20_000
    up = Upsampler().process(click)
    assert int(np.argmax(up)) == 3 * (40 + 8 * DELAY_MS)
    wide = np.zeros(480, np.int16)
    wide[120] = 20_000
    assert int(np.argmax(Downsampler().process(wide))) == 40 + 8 * DELAY_MS


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 333), max_size=12), st.integers(0, 2**32 - 1))
def test_chunking_changes_no_sample(sizes: list[int], seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-32768, 32768, 1500).astype(np.int16)
    for make in (Upsampler, Downsampler):
        whole = make().process(pcm)
        streaming = make()
        assert np.array_equal(np.concatenate([streaming.process(c) for c in chunks(pcm, sizes)]), whole)


@pytest.mark.parametrize("matrix", [filters._UP, filters._DOWN])
def test_sums_are_exact_so_that_their_order_is_of_no_effect(matrix: NDArray[np.float64]) -> None:
    scaled = matrix * 2.0**20
    assert np.array_equal(scaled, np.rint(scaled))
    assert np.abs(scaled).sum(axis=0).max() * 32768 < 2**53


@given(st.lists(st.integers(0, 1000), max_size=8))
@settings(max_examples=30, deadline=None)
def test_counts_never_drift(sizes: list[int]) -> None:
    up, down = Upsampler(), Downsampler()
    silence = np.zeros(sum(sizes), np.int16)
    assert sum(up.process(c).size for c in chunks(silence, sizes)) == 3 * sum(sizes)
    assert sum(down.process(c).size for c in chunks(silence, sizes)) == math.ceil(sum(sizes) / 3)


def test_frames_of_20_ms_stay_frames_of_20_ms() -> None:
    up, down = Upsampler(), Downsampler()
    for _ in range(5):
        wide = up.process(np.full(160, 100, np.int16))
        assert wide.size == 480
        assert down.process(wide).size == 160


def test_full_scale_saturates_and_never_wraps() -> None:
    square = np.where(np.arange(800) // 8 % 2, 32767, -32768).astype(np.int16)
    up = Upsampler().process(square)
    assert up.max() == 32767
    assert up.min() == -32768
    # A wrapped overshoot would jump by the whole range between neighbours; the band limit allows far less.
    assert np.abs(np.diff(up.astype(np.int32))).max() < 40_000
    assert np.abs(Downsampler().process(np.repeat(square, 3)).astype(np.int32)).max() >= 32_767


def test_reset_forgets_the_past() -> None:
    pcm = tone(1000, 8000, 0.1)
    for make in (Upsampler, Downsampler):
        used = make()
        first = used.process(pcm[:401])
        used.reset()
        assert np.array_equal(used.process(pcm[:401]), first)


def test_speech_survives_there_and_back() -> None:
    rng = np.random.default_rng(7)
    speech = sum(tone(hz, 8000, 1.0, float(rng.uniform(500, 3000))).astype(np.float64) for hz in range(300, 3400, 310))
    pcm = np.asarray(speech).astype(np.int16)
    back = Downsampler().process(Upsampler().process(pcm))
    late = 2 * 8 * DELAY_MS
    error = back[400:].astype(np.float64) - pcm[400 - late : -late]
    assert 10 * np.log10(np.mean(error**2) / np.mean(pcm.astype(np.float64) ** 2)) < -60


@pytest.mark.parametrize("make", [Upsampler, Downsampler])
def test_a_frame_is_cheap(make: type[Upsampler] | type[Downsampler]) -> None:
    frame = tone(1000, 8000, 0.02 if make is Upsampler else 0.06)
    resampler = make()
    best_s = math.inf
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(50):
            resampler.process(frame)
        best_s = min(best_s, (time.perf_counter() - begin) / 50)
    assert best_s < 60e-6  # Measured 10-15 µs; the slack is for busy machines, a Python loop would take a millisecond.


@pytest.mark.parametrize(
    ("from_hz", "to_hz"),
    [(8000, 24_000), (24_000, 8000), (16_000, 8000), (22_050, 8000), (44_100, 24_000), (48_000, 8000), (8000, 44_100)],
)
def test_whole_signals_of_any_usual_rate(from_hz: int, to_hz: int) -> None:
    out = resample(tone(1000, from_hz), from_hz, to_hz)
    expected = tone(1000, to_hz)
    assert abs(out.size - expected.size) <= 1
    middle = slice(to_hz // 20, -to_hz // 20)
    assert np.abs(out[: expected.size].astype(np.int32) - expected[: out.size])[middle].max() <= 6


def test_whole_signals_do_not_alias() -> None:
    assert np.abs(resample(tone(5000, 44_100), 44_100, 8000)[400:-400].astype(np.int32)).max() <= 4


def test_whole_signal_edge_cases() -> None:
    empty = np.zeros(0, np.int16)
    assert resample(empty, 8000, 24_000).size == 0
    same = tone(500, 8000, 0.01)
    assert np.array_equal(resample(same, 8000, 8000), same)
    with pytest.raises(ValueError, match="positive"):
        resample(same, 0, 8000)
