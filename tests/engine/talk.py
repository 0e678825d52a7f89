"""A session without a socket: sends client events, plays the shell, keeps every server event, each checked strictly."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import msgspec

from service.engine.effects import Abandon, Close, Effect, Hush, Recognize, Send, Speak
from service.engine.ports import Dialogue
from service.engine.rates import WIRE_HZ, Pcm16
from service.engine.recognition import Transcript
from service.engine.session import Session
from tests.engine.scripted_speech import (
    LevelRecognizer,
    LoudnessDetector,
    MetronomeVoice,
    Said,
    ScriptedDialogue,
    silence,
    speech,
)
from tests.realtime_schema import check_client_event, check_server_event

Event = dict[str, Any]


def encoded(pcm: Pcm16) -> str:
    return base64.b64encode(pcm.tobytes()).decode("ascii")


class Talk:
    """`recognizes` and `speaks` switched off leave the work orders in `recognitions` and `speeches` for the test."""

    def __init__(
        self,
        texts: Mapping[int, str] | None = None,
        script: Mapping[str, Said] | None = None,
        *,
        recognizes: bool = True,
        speaks: bool = True,
        dialogue: Dialogue | None = None,
        model: str = "gpt-realtime-2.1",
    ) -> None:
        self.now_s = 1000.0
        self.events: list[Event] = []
        self.recognitions: dict[str, Pcm16] = {}
        self.speeches: dict[str, Speak] = {}
        self.closed: Close | None = None
        self.dialogue = ScriptedDialogue(script)
        self.recognizer = LevelRecognizer(texts or {})
        self.recognizes, self.speaks = recognizes, speaks
        numbers = count(1)
        self.session = Session(
            model,
            new_detector=LoudnessDetector,
            dialogue=dialogue or self.dialogue,
            new_id=lambda kind: f"{kind}_{next(numbers):04d}",
            created_at=1_800_000_000,
            now_s=self.now_s,
        )
        self.perform(self.session.opened())

    def send(self, event_type: str, *, valid: bool = True, **fields: Any) -> list[Event]:
        event = {"type": event_type, **fields}
        if valid:
            check_client_event(event)
        return self.raw(msgspec.json.encode(event))

    def raw(self, message: bytes) -> list[Event]:
        before = len(self.events)
        for effects in self.session.receive(message, self.now_s):
            self.perform(effects)
        return self.events[before:]

    def hears(self, pcm: Pcm16) -> list[Event]:
        """Audio in frames of 20 ms, in real time."""
        before = len(self.events)
        for first in range(0, pcm.size, WIRE_HZ // 50):
            self.send("input_audio_buffer.append", audio=encoded(pcm[first : first + WIRE_HZ // 50]))
            self.wait(0.02)
        return self.events[before:]

    def turn(self, level: int, duration_ms: int = 1000) -> list[Event]:
        return [*self.hears(speech(level, duration_ms)), *self.hears(silence(400))]

    def wait(self, duration_s: float) -> list[Event]:
        before = len(self.events)
        self.now_s += duration_s
        self.perform(self.session.tick(self.now_s))
        return self.events[before:]

    def recognize(self) -> list[Event]:
        """Finish all recognitions that were left."""
        before = len(self.events)
        for key in list(self.recognitions):
            transcript = Transcript(self.recognizer.text(self.recognitions.pop(key)))
            self.perform(self.session.recognized(key, transcript, self.now_s))
        return self.events[before:]

    def speak(self, response_id: str, *, words: int | None = None) -> list[Event]:
        """Voice a response that was left: all of it, or that many words."""
        before = len(self.events)
        order = self.speeches[response_id]
        left = words
        for index, sentence in enumerate(order.sentences):
            for pcm in MetronomeVoice().synthesize(sentence, speed=order.speed):
                if left == 0:
                    return self.events[before:]
                left = None if left is None else left - 1
                self.perform(self.session.voiced(response_id, index, pcm, self.now_s))
        self.perform(self.session.voice_ended(response_id, self.now_s))
        return self.events[before:]

    def named(self, event_type: str) -> list[Event]:
        return [event for event in self.events if event["type"] == event_type]

    def last(self, event_type: str) -> Event:
        return self.named(event_type)[-1]

    def perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    raw = msgspec.json.encode(effect.event)
                    check_server_event(raw)
                    self.events.append(msgspec.json.decode(raw))
                case Recognize():
                    self.recognitions[effect.key] = effect.pcm
                case Speak():
                    self.speeches[effect.response_id] = effect
                    if self.speaks:
                        self.speak(effect.response_id)
                case Abandon():
                    self.recognitions.pop(effect.key, None)
                case Hush():
                    self.speeches.pop(effect.response_id, None)
                case Close():
                    self.closed = effect
        if self.recognizes:
            self.recognize()


def kinds(events: Iterable[Event]) -> list[str]:
    """Event types in order, runs of the same delta written once."""
    out: list[str] = []
    for event in events:
        if not (out and out[-1] == event["type"] and event["type"].endswith(".delta")):
            out.append(event["type"])
    return out
