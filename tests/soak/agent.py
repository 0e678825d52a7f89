"""Ears, voice and brain of the Realtime server in the soak runs: cheap, and every turn known by its codeword."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np

from service.engine.ports import Speech
from service.engine.rates import WIRE_HZ, Pcm16
from service.engine.recognition import Transcript
from tests.engine.scripted_speech import LoudnessDetector, Said, SaidTool, ScriptedDialogue
from tests.soak.codewords import read

RECOGNITION_S = 0.8
"""Until then a transcript is pending. It begins in the hang-over of the turn, 0.3 s before the turn is committed."""
WORD_MS = 360
"""What English words of this length take."""
VOICE_HZ = 440.0
REQUEST_EVERY = 3
"""Every so many turns the agent calls a tool."""

_WORD = (4000 * np.sin(2 * np.pi * VOICE_HZ * np.arange(WORD_MS * WIRE_HZ // 1000) / WIRE_HZ)).astype(np.int16)


class CodewordRecognizer:
    """Reads codewords."""

    def __init__(self, recognition_s: float = RECOGNITION_S) -> None:
        self._recognition_s = recognition_s

    async def transcribe(self, pcm24k: Pcm16, /) -> Transcript:
        await asyncio.sleep(self._recognition_s)
        return Transcript(str(read(pcm24k)))


class ToneVoice:
    """`WORD_MS` of a tone a word."""

    def synthesize(self, text: str, seed: int | None = None, speed: float = 1.0) -> Iterator[Pcm16]:
        for _ in text.split():
            yield _WORD


class CodewordDialogue(ScriptedDialogue):
    """Answers a codeword with six to twelve words, and asks for a person now and then."""

    def greet(self, *, recorded: bool) -> Said:
        return Said("Good day, these are ten words to begin the call.")

    def hear(self, transcript: str, /) -> Said:
        digits = transcript.partition(" ")[0]
        number = int(digits) if digits.isdigit() else 0
        words = " ".join(f"word{place}" for place in range(4 + number % 7))
        tool = SaidTool("request_human", {"reason": "the test"}) if number % REQUEST_EVERY == 0 else None
        return Said(f"Answer {digits} {words}", tool)


def codeword_speech(recognition_s: float = RECOGNITION_S) -> Speech:
    """For an engine whose callers speak codewords."""
    return Speech(LoudnessDetector, CodewordRecognizer(recognition_s), ToneVoice(), CodewordDialogue)
