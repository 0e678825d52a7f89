"""Rate changes keep telephone speech and lose nothing at chunk borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.engine.rates import Decimator, from_pcm16, resample, to_pcm16


def tone(hz: float, rate_hz: int, seconds: float = 0.5) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def level_db(samples: NDArray[np.float32]) -> float:
    middle = samples[samples.size // 4 : -samples.size // 4]
    return float(20 * np.log10(np.sqrt(np.mean(middle.astype(np.float64) ** 2)) * np.sqrt(8) + 1e-12))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8_000, 24_000), (24_000, 8_000), (24_000, 16_000), (24_000, 20_160)])
@pytest.mark.parametrize("hz", [300, 1000, 3000])
def test_speech_passes_unchanged_and_undelayed(from_hz: int, to_hz: int, hz: int) -> None:
    out, wanted = resample(tone(hz, from_hz), from_hz, to_hz), tone(hz, to_hz)
    assert out.size == wanted.size
    assert level_db(out - wanted) < -60.0


@pytest.mark.parametrize("hz", [4_600, 6_000, 9_000])
def test_nothing_folds_back_at_8_khz(hz: int) -> None:
    assert level_db(resample(tone(hz, 24_000), 24_000, 8_000)) < -70.0
    assert level_db(Decimator().feed(tone(hz, 24_000))) < -70.0


@given(st.lists(st.integers(0, 900), min_size=1, max_size=12))
def test_chunks_of_any_size_give_the_same_stream(sizes: list[int]) -> None:
    samples = np.random.default_rng(0).standard_normal(sum(sizes)).astype(np.float32)
    decimator = Decimator()
    parts = [decimator.feed(chunk) for chunk in np.split(samples, np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(np.concatenate(parts), Decimator().feed(samples), atol=1e-6)


@given(st.integers(0, 2000), st.sampled_from([(8_000, 24_000), (24_000, 16_000), (24_000, 8_000), (20_160, 24_000)]))
def test_length_follows_the_rates(size: int, rates: tuple[int, int]) -> None:
    out = resample(np.zeros(size, np.float32), *rates)
    assert out.size == -(-size * rates[1] // rates[0])


def test_pcm16_is_kept_and_clipped() -> None:
    pcm = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    np.testing.assert_array_equal(to_pcm16(from_pcm16(pcm)), pcm)
    np.testing.assert_array_equal(to_pcm16(np.array([2.0, -2.0], np.float32)), [32767, -32768])
