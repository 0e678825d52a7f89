"""Ears, voice and brain for tests: deterministic, immediate, without weights.

"Speech" is a square wave whose amplitude stands for a text, so that what is recognised shows which audio arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.ports import Role, Speech
from service.engine.rates import WIRE_HZ, Pcm16
from service.engine.recognition import Transcript
from service.engine.vad import SpeechPausing, SpeechResumed, SpeechStarted, SpeechStopped, VadEvent

WINDOW_MS = 20
WINDOW = WIRE_HZ * WINDOW_MS // 1000
PAUSE_MS = 200
WORD_MS = 200
"""The scripted voice takes this long for a word."""
LOUD = 1_000


def speech(level: int, duration_ms: int) -> Pcm16:
    """Audio that says whatever the script gives for `level`."""
    samples = np.full(duration_ms * WIRE_HZ // 1000, level, np.int16)
    samples[1::2] *= -1
    return samples


def silence(duration_ms: int) -> Pcm16:
    return np.zeros(duration_ms * WIRE_HZ // 1000, np.int16)


class LoudnessDetector:
    """A turn detector that takes loud windows of 20 ms for speech."""

    def __init__(self, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        self.configure(threshold, prefix_padding_ms, silence_duration_ms)
        self.reset()

    def configure(self, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        self.settings = (threshold, prefix_padding_ms, silence_duration_ms)

    def reset(self) -> None:
        self._rest = np.empty(0, np.int16)
        self._now_ms = 0
        self._speaking = self._pausing = False
        self._speech_end_ms = self._previous_end_ms = 0

    def feed(self, pcm24k: Pcm16, /) -> Sequence[VadEvent]:
        self._rest = np.concatenate((self._rest, pcm24k))
        events: list[VadEvent] = []
        while self._rest.size >= WINDOW:
            window, self._rest = self._rest[:WINDOW], self._rest[WINDOW:]
            self._now_ms += WINDOW_MS
            events.extend(self._judge(loud=bool(np.abs(window).max() >= LOUD)))
        return events

    def _judge(self, *, loud: bool) -> Iterator[VadEvent]:
        _, prefix_ms, silence_ms = self.settings
        if loud:
            self._speech_end_ms = self._now_ms
            if not self._speaking:
                self._speaking = True
                yield SpeechStarted(max(self._previous_end_ms, self._now_ms - WINDOW_MS - prefix_ms))
            elif self._pausing:
                self._pausing = False
                yield SpeechResumed(self._now_ms)
        elif self._speaking:
            quiet_ms = self._now_ms - self._speech_end_ms
            if quiet_ms >= silence_ms:
                self._speaking = self._pausing = False
                self._previous_end_ms = self._now_ms
                yield SpeechStopped(self._now_ms, self._speech_end_ms)
            elif quiet_ms >= PAUSE_MS and not self._pausing:
                self._pausing = True
                yield SpeechPausing(self._speech_end_ms)


class LevelRecognizer:
    """Looks the audio's level up in the script."""

    def __init__(self, script: Mapping[int, str]) -> None:
        self.script = dict(script)
        self.heard: list[int] = []

    def text(self, pcm: Pcm16) -> str:
        level = int(np.abs(pcm).max()) if pcm.size else 0
        self.heard.append(level)
        return self.script.get(level, "")

    async def transcribe(self, pcm24k: Pcm16, /) -> Transcript:
        return Transcript(self.text(pcm24k))


class MetronomeVoice:
    """200 ms of tone per word."""

    def synthesize(self, text: str, seed: int | None = None, speed: float = 1.0) -> Iterator[Pcm16]:
        for _ in text.split():
            yield speech(500, round(WORD_MS / speed))


@dataclass(frozen=True)
class SaidTool:
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    text: str
    tool: SaidTool | None = None


class ScriptedDialogue:
    """Says what the script says to what it hears; keeps what happened to it."""

    def __init__(self, script: Mapping[str, Said] | None = None) -> None:
        self.script = dict(script or {})
        self.happened: list[str] = []

    def may_call(self, functions: Set[str], /) -> None:
        self.functions = functions

    def greet(self, *, recorded: bool) -> Said:
        self.happened.append("greet recorded" if recorded else "greet")
        return Said("Hello, this is the test.")

    def hear(self, transcript: str, /) -> Said:
        self.happened.append(f"hear {transcript}")
        return self.script.get(transcript, Said(f"You said {transcript}."))

    def silence(self) -> Said:
        self.happened.append("silence")
        return Said("Are you still there?")

    def answered(self, function: str, output: str, /) -> Said | None:
        self.happened.append(f"answered {function} {output}")
        return self.script.get(f"{function} {output}")

    def interrupted(self, heard_text: str, /) -> None:
        self.happened.append(f"interrupted {heard_text}")

    def arguments(self, function: str, text: str, /) -> Mapping[str, Any]:
        return {"text": text} if function == "note" else {}

    def summary(self, said: Sequence[tuple[Role, str]], /) -> str:
        return " / ".join(f"{role}: {text}" for role, text in said)


def scripted(texts: Mapping[int, str], script: Mapping[str, Said] | None = None) -> Speech:
    return Speech(LoudnessDetector, LevelRecognizer(texts), MetronomeVoice(), lambda: ScriptedDialogue(script))
