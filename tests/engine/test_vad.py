"""Turn detection: human speech opens and closes turns in time; other sounds open none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine.rates import from_pcm16, resample, to_pcm16
from service.engine.vad import (
    SpeechModel,
    SpeechPausing,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
    VadEvent,
)
from tests.speech_material import CALL_PROMPTS, PROMPTS, load, over_the_telephone

pytestmark = pytest.mark.speech

MS = 24
"""Samples per millisecond."""
Pcm16 = NDArray[np.int16]


def feed(detector: TurnDetector, pcm: Pcm16, chunk: int = 480) -> list[tuple[VadEvent, float]]:
    """Events with the milliseconds of audio that had been fed when each came."""
    return [
        (event, (first + chunk) / MS)
        for first in range(0, pcm.size, chunk)
        for event in detector.feed(pcm[first : first + chunk])
    ]


def events(pcm: Pcm16, **settings: float) -> list[VadEvent]:
    return [event for event, _ in feed(TurnDetector(**settings), pcm)]  # type: ignore[arg-type]


def silence(ms: int) -> Pcm16:
    return np.zeros(ms * MS, np.int16)


def onset_ms(pcm: Pcm16) -> float:
    """Where the energy comes within 20 dB of its highest."""
    energy = np.convolve(from_pcm16(pcm) ** 2, np.ones(240) / 240, mode="same")
    return float(np.argmax(energy > energy.max() / 100)) / MS


def phrase(prompt: int = 0) -> Pcm16:
    return over_the_telephone(load(CALL_PROMPTS[prompt]), lead_ms=0, trail_ms=0)


def test_each_prompt_is_one_turn_that_is_noticed_at_once() -> None:
    delays = []
    for prompt in CALL_PROMPTS:
        pcm = over_the_telephone(load(prompt))
        found = feed(TurnDetector(), pcm)
        kinds = [type(event) for event, _ in found if not isinstance(event, SpeechPausing | SpeechResumed)]
        assert kinds == [SpeechStarted, SpeechStopped], prompt
        delays.append(next(at for event, at in found if isinstance(event, SpeechStarted)) - onset_ms(pcm))
    assert np.median(delays) <= 100.0
    assert np.percentile(delays, 90) <= 200.0


def test_start_and_end_enclose_the_speech_with_padding_and_hangover() -> None:
    speech = phrase()
    pcm = np.concatenate((silence(2000), speech, silence(1500)))
    started, *_, stopped = events(pcm, prefix_padding_ms=300, silence_duration_ms=700)
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    onset = 2000 + onset_ms(speech)
    assert onset - 300 - 100 <= started.audio_start_ms <= onset - 300 + 100
    assert stopped.audio_end_ms - stopped.speech_end_ms == 700
    assert abs(stopped.speech_end_ms - (2000 + speech.size / MS)) < 500


def test_padding_is_clamped_at_the_stream_start_and_at_the_previous_turn() -> None:
    pcm = np.concatenate((phrase(), silence(400), phrase(1), silence(600)))
    found = events(pcm, prefix_padding_ms=5000, silence_duration_ms=200)
    starts = [event.audio_start_ms for event in found if isinstance(event, SpeechStarted)]
    ends = [event.audio_end_ms for event in found if isinstance(event, SpeechStopped)]
    assert starts[0] == 0
    assert starts[1:] == ends[:-1]
    assert len(starts) >= 2


def test_times_lie_within_the_audio_fed() -> None:
    detector = TurnDetector(silence_duration_ms=333)
    for event, fed_ms in feed(detector, np.concatenate((phrase(), silence(800)))):
        match event:
            case SpeechStarted(at_ms) | SpeechPausing(at_ms) | SpeechResumed(at_ms) | SpeechStopped(at_ms, _):
                assert 0 <= at_ms <= fed_ms


@pytest.mark.parametrize("chunk", [1, 7, 160, 768, 1000, 24_000])
def test_chunking_does_not_matter(chunk: int) -> None:
    pcm = np.concatenate((silence(100), phrase()[: 1000 * MS], silence(700)))
    whole = TurnDetector().feed(pcm)
    assert [event for event, _ in feed(TurnDetector(), pcm, chunk)] == whole
    assert len(whole) >= 3


def test_a_pause_is_announced_and_taken_back() -> None:
    pcm = np.concatenate((phrase(), silence(350), phrase(1), silence(1200)))
    found = events(pcm, silence_duration_ms=900)
    kinds = [type(event) for event in found]
    assert kinds[0] is SpeechStarted
    assert kinds[-2:] == [SpeechPausing, SpeechStopped]
    assert kinds.count(SpeechStopped) == 1
    assert kinds.count(SpeechPausing) == kinds.count(SpeechResumed) + 1 >= 2


def test_the_pause_comes_about_200_ms_after_the_speech() -> None:
    found = feed(TurnDetector(), np.concatenate((phrase(), silence(900))))
    pausing, at_ms = next((event, at) for event, at in found if isinstance(event, SpeechPausing))
    assert 200 <= at_ms - pausing.speech_end_ms <= 280


def test_settings_change_while_a_turn_is_open() -> None:
    speech = phrase()
    detector = TurnDetector(silence_duration_ms=10_000)
    assert any(isinstance(event, SpeechStarted) for event, _ in feed(detector, speech))
    detector.configure(0.5, 300, 300)
    stopped = [event for event, _ in feed(detector, silence(600)) if isinstance(event, SpeechStopped)]
    assert [event.audio_end_ms - event.speech_end_ms for event in stopped] == [300]


def test_reset_begins_anew() -> None:
    pcm = np.concatenate((phrase(), silence(700)))
    detector = TurnDetector()
    first = detector.feed(pcm)
    detector.reset()
    assert not detector.speaking
    assert detector.audio_ms == 0
    assert detector.feed(pcm) == first


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ((1.5, 300, 500), "turn_detection.threshold"),
        ((0.5, -1, 500), "turn_detection.prefix_padding_ms"),
        ((0.5, 300, -1), "turn_detection.silence_duration_ms"),
    ],
)
def test_wrong_settings_are_named(settings: tuple[float, int, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        TurnDetector(*settings)


def test_the_caller_is_heard_in_noise() -> None:
    rng = np.random.default_rng(3)
    for prompt in CALL_PROMPTS[:6]:
        clean = over_the_telephone(load(prompt)).astype(np.float64)
        loudness = np.sqrt(np.mean(clean[500 * MS : -900 * MS] ** 2))
        noisy = clean + rng.standard_normal(clean.size) * loudness * 10 ** (-15 / 20)
        assert any(isinstance(event, SpeechStarted) for event in events(to_pcm16((noisy / 32768).astype(np.float32))))


def tones(frequencies_hz: tuple[float, ...], seconds: float, level: float = 0.2) -> NDArray[np.float64]:
    time_s = np.arange(int(24_000 * seconds)) / 24_000
    return level * sum((np.sin(2 * np.pi * hz * time_s) for hz in frequencies_hz), np.zeros(time_s.size))


def other_sounds() -> Iterator[tuple[str, NDArray[np.float64]]]:
    rng = np.random.default_rng(0)
    gap = np.zeros(2400)
    dtmf = [tones((low, high), 0.1) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)]
    yield "DTMF", np.concatenate([part for digit in dtmf for part in (digit, gap)])
    yield "dial tone", tones((350, 440), 4, 0.1)
    yield "ringing", np.concatenate((tones((440, 480), 2, 0.1), np.zeros(48_000)) * 2)
    yield "mains hum", tones((50, 100, 150, 250), 4, 0.08)
    yield "white noise", rng.standard_normal(96_000) * 0.05
    yield (
        "a loud burst of noise",
        np.concatenate((np.zeros(24_000), rng.standard_normal(24_000) * 0.3, np.zeros(24_000))),
    )
    clicks = np.zeros(96_000)
    clicks[rng.integers(0, clicks.size, 40)] = 0.9
    yield "clicks", clicks
    knocks = np.zeros(96_000)
    for at in rng.integers(0, 95_000, 20):
        knocks[at : at + 480] += rng.standard_normal(480) * np.exp(-np.arange(480) / 80) * 0.5
    yield "knocks", knocks
    yield "beeps", np.concatenate([part for _ in range(6) for part in (tones((1000,), 0.2), np.zeros(7200))])


@pytest.mark.parametrize(("name", "sound"), [pytest.param(*each, id=each[0]) for each in other_sounds()])
def test_what_is_no_speech_opens_no_turn(name: str, sound: NDArray[np.float64]) -> None:
    line = resample(resample(sound.astype(np.float32), 24_000, 8_000), 8_000, 24_000)
    assert events(to_pcm16(line)) == [], name


def test_long_prompts_with_pauses_stay_whole_under_a_long_hangover() -> None:
    beckett = next(prompt for prompt in PROMPTS if prompt.source == "beckett")
    pcm = over_the_telephone(load(beckett), trail_ms=2200)
    stops = [event for event in events(pcm, silence_duration_ms=2000) if isinstance(event, SpeechStopped)]
    assert len(stops) == 1


@pytest.mark.parametrize(
    ("probabilities", "starts"),
    [
        ([0.1, 0.6, 0.1, 0.1], 0),
        ([0.1, 0.6, 0.45, 0.1], 0),
        ([0.3, 0.6, 0.1, 0.1], 1),
        ([0.0, 0.9, 0.1, 0.1], 1),
        ([0.45, 0.49, 0.45, 0.49], 0),
    ],
)
def test_a_single_doubtful_window_begins_no_turn(
    probabilities: list[float], starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(probabilities, monkeypatch)
    assert sum(isinstance(event, SpeechStarted) for event in found) == starts


def test_speech_goes_on_a_little_below_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = judged([0.9, *[0.36] * 40], monkeypatch)
    assert [type(event) for event in kept] == [SpeechStarted]
    lost = judged([0.9, *[0.34] * 40], monkeypatch)
    assert [type(event) for event in lost] == [SpeechStarted, SpeechPausing, SpeechStopped]


def judged(probabilities: list[float], monkeypatch: pytest.MonkeyPatch) -> list[VadEvent]:
    """Events where the network's answers are these, one per 32 ms."""
    script = iter([*probabilities, 0.0])
    monkeypatch.setattr(SpeechModel, "probability", lambda *_: next(script))
    return TurnDetector().feed(silence(32 * len(probabilities) + 10))
