"""The voice: understood by the recogniser, quick to begin, and without clicks."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine.asr import Recognizer
from service.engine.rates import WIRE_HZ, from_pcm16, resample, to_pcm16
from service.engine.voice import Voice
from tests.speech_material import characters, digits, over_the_telephone, recognizer, word_error_rate

Pcm16 = NDArray[np.int16]
pytestmark = pytest.mark.speech

SENTENCES = [
    "Thank you for calling. You are speaking with an automated agent.",
    "I was hit from behind at a red light yesterday afternoon.",
    "Nobody was hurt, but the bumper is broken and the trunk does not close.",
    "It is a blue Toyota Corolla, and it can still be driven.",
]


@pytest.fixture(name="recognizer")
def _recognizer() -> Recognizer:
    return recognizer()


def spoken(voice: Voice, text: str, speed: float = 1.0) -> Pcm16:
    return np.concatenate(list(voice.synthesize(text, seed=1, speed=speed)))


def understood(recognizer: Recognizer, pcm: Pcm16) -> str:
    line = to_pcm16(resample(from_pcm16(pcm), WIRE_HZ, 8_000))
    return recognizer.transcribe(over_the_telephone(line)).text


@pytest.mark.parametrize("pitch", [1.0, 0.84])
def test_agent_and_caller_are_understood(recognizer: Recognizer, pitch: float) -> None:
    voice = Voice(pitch)
    pairs = [(text, understood(recognizer, spoken(voice, text))) for text in SENTENCES]
    assert word_error_rate(pairs) <= 0.03, pairs


@pytest.mark.parametrize("pitch", [1.0, 0.84])
def test_policy_and_telephone_numbers_are_understood(recognizer: Recognizer, pitch: float) -> None:
    voice = Voice(pitch)
    assert characters(understood(recognizer, spoken(voice, "K7M2-40B9."))) == "K7M240B9"
    assert digits(understood(recognizer, spoken(voice, "Please call (555) 018-4267."))) == "5550184267"


def test_a_lower_pitch_is_another_person() -> None:
    def fundamental_hz(pcm: Pcm16) -> float:
        """Median of the autocorrelation's peak over loud 40 ms frames, 80 to 400 Hz."""
        found = []
        for first in range(0, pcm.size - 960, 960):
            frame = pcm[first : first + 960].astype(np.float64)
            if np.abs(frame).max() > 6000:
                correlation = np.correlate(frame, frame, mode="full")[959:]
                found.append(WIRE_HZ / (60 + int(correlation[60:300].argmax())))
        return float(np.median(found))

    agent, caller = (fundamental_hz(spoken(Voice(pitch), SENTENCES[2])) for pitch in (1.0, 0.84))
    assert caller < agent * 0.9


@pytest.mark.parametrize("pitch", [1.0, 0.84])
def test_sentences_begin_and_end_in_silence_at_one_level(pitch: float) -> None:
    for text in SENTENCES:
        for sentence in Voice(pitch).synthesize(text, seed=2):
            assert sentence.dtype == np.int16
            assert abs(int(sentence[0])) <= 8
            assert abs(int(sentence[-1])) <= 8
            loud = np.flatnonzero(np.abs(sentence.astype(np.int32)) > 1000)
            assert loud[0] < 0.2 * WIRE_HZ
            assert 0.1 * WIRE_HZ < sentence.size - loud[-1] < 0.6 * WIRE_HZ
            assert 8_000 < np.abs(sentence.astype(np.int32)).max() < 32_000


def test_sentences_come_one_by_one_as_they_are_asked_for() -> None:
    stream = Voice().synthesize("The first one is here. The second one is here too. And here is the third.", seed=1)
    assert next(stream).size > WIRE_HZ // 2
    assert len(list(stream)) == 2


def test_the_same_seed_gives_the_same_samples() -> None:
    voice = Voice()
    np.testing.assert_array_equal(spoken(voice, SENTENCES[0]), spoken(voice, SENTENCES[0]))


def test_speed_changes_the_length() -> None:
    voice = Voice()
    normal, fast = (spoken(voice, SENTENCES[2], speed).size for speed in (1.0, 1.5))
    assert fast < 0.8 * normal


@pytest.mark.parametrize("text", ["", "   \n", "...", "?!", "\x00\x1b", "😀🙂"])
def test_nothing_to_say_is_silence(text: str) -> None:
    assert list(Voice().synthesize(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Zoë Müller, 日本語 — ½ ² ➐ ⓿ ৩",
        "[a](/b/) <c> {d} \\e",
        "x" * 2000,
        "word " * 300,
        "a\u202eb\ufffdc 7/8",
        "1" * 400,
    ],
)
def test_strange_text_does_not_break_it(text: str) -> None:
    for sentence in Voice().synthesize(text):
        assert sentence.size < 120 * WIRE_HZ


def test_calls_may_share_it() -> None:
    voice, expected = Voice(), spoken(Voice(), SENTENCES[1])
    results: list[Pcm16] = []
    threads = [threading.Thread(target=lambda: results.append(spoken(voice, SENTENCES[1]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_it_never_goes_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the voice opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    assert spoken(Voice(), "Ready.").size > 0


@pytest.mark.parametrize("pitch", [0.5, 2.0])
def test_an_impossible_pitch_is_refused(pitch: float) -> None:
    with pytest.raises(ValueError, match="pitch"):
        Voice(pitch)
