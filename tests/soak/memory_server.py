"""The embedded engine's sessions without sockets, with ears and voice that cost nothing: for whole calls in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from itertools import count
from typing import Any, assert_never

import msgspec

from service.engine.effects import Abandon, Close, Effect, Hush, Recognize, Send, Speak
from service.engine.ports import Speech
from service.engine.rates import WIRE_SAMPLES_PER_MS
from service.engine.session import Session
from service.realtime import wire
from service.realtime.client import Received, SessionError
from service.realtime.commands import AudioAppend, ClientEvent, SessionUpdate
from tests.soak.agent import codeword_speech
from tests.soak.witness import Witness

OPENING_S = 0.25
"""From asking for a session to having it."""
LATENCY_S = 0.08
"""Of every event on its way to the client."""
LEAD_MS, PACE = 500, 4.0
"""As the engine's own shell sends speech."""
TICK_S = 0.25


class MemoryServer:
    """Opens sessions; its work belongs to `group`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.sessions: list[MemorySession] = []
        self._group = group
        self._speech = codeword_speech()
        self._numbers = count(1)

    async def open(
        self, url: str, model: str, api_key: str | None, session: dict[str, Any], log: object
    ) -> tuple[MemorySession, list[Received]]:
        """As `service.realtime.client.open_session`, wherever that is."""
        del url, api_key, log
        await asyncio.sleep(OPENING_S)
        state = Session(
            model,
            new_detector=self._speech.detector,
            dialogue=self._speech.dialogue(),
            new_id=lambda kind: f"{kind}_{next(self._numbers)}",
            created_at=0,
            now_s=asyncio.get_running_loop().time(),
        )
        opened = MemorySession(state, self._speech, self._group)
        self.sessions.append(opened)
        opened.send(SessionUpdate(event_id="configure", session=session))
        return opened, opened.seen()


class MemorySession:
    """One session: the client's view of it, and what carries out its effects."""

    def __init__(self, state: Session, speech: Speech, group: asyncio.TaskGroup) -> None:
        self.audio_dropped = 0
        self.witness = Witness()
        self.opened_s = self._now_s()
        self.took_over_s: float | None = None
        """When the client began to work with it."""
        self._state = state
        self._speech = speech
        self._group = group
        self._work: dict[str, asyncio.Task[None]] = {}
        self._events: asyncio.Queue[tuple[float, dict[str, Any] | SessionError]] = asyncio.Queue()
        self._perform(state.opened())
        self._start("tick", self._tick())

    # -- the client's side -----------------------------------------------------------------------------------------

    def send(self, event: ClientEvent) -> None:
        raw = wire.encode(event)
        if self.took_over_s is None and not isinstance(event, SessionUpdate):
            self.took_over_s = self._now_s()
        if isinstance(event, AudioAppend):
            self.witness.open = True
        else:
            self.witness.client(msgspec.json.decode(raw))
        for effects in self._state.receive(raw, self._now_s()):
            self._perform(effects)

    async def pump(self) -> None:
        await asyncio.Event().wait()

    async def events(self) -> AsyncIterator[Received]:
        while True:
            due_s, event = await self._events.get()
            await asyncio.sleep(max(0.0, due_s - self._now_s()))
            if isinstance(event, SessionError):
                raise event
            yield _received(event)

    async def close(self) -> None:
        for task in self._work.values():
            task.cancel()

    def seen(self) -> list[Received]:
        """The events so far, without waiting for them."""
        events = [self._events.get_nowait()[1] for _ in range(self._events.qsize())]
        return [_received(event) for event in events if not isinstance(event, SessionError)]

    # -- the server's side -----------------------------------------------------------------------------------------

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self.witness.server(effect.event, self._now_s())
                    self._events.put_nowait((self._now_s() + LATENCY_S, effect.event))
                case Recognize():
                    self._start(effect.key, self._recognize(effect))
                case Speak():
                    self._start(effect.response_id, self._speak(effect))
                case Abandon():
                    self._stop(effect.key)
                case Hush():
                    self._stop(effect.response_id)
                case Close():
                    self._events.put_nowait((self._now_s() + LATENCY_S, SessionError("closed", effect.reason)))
                case _:
                    assert_never(effect)

    async def _recognize(self, effect: Recognize) -> None:
        transcript = await self._speech.recognizer.transcribe(effect.pcm)
        self._perform(self._state.recognized(effect.key, transcript, self._now_s()))

    async def _speak(self, effect: Speak) -> None:
        begun_s, sent_ms = self._now_s(), 0.0
        for index, sentence in enumerate(effect.sentences):
            for pcm in self._speech.voice.synthesize(sentence, speed=effect.speed):
                ahead_s = (sent_ms - LEAD_MS) / 1000 / PACE - (self._now_s() - begun_s)
                await asyncio.sleep(max(0.0, ahead_s))
                self._perform(self._state.voiced(effect.response_id, index, pcm, self._now_s()))
                sent_ms += pcm.size / WIRE_SAMPLES_PER_MS
        self._perform(self._state.voice_ended(effect.response_id, self._now_s()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._perform(self._state.tick(self._now_s()))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._work[name] = task
        task.add_done_callback(lambda done: self._work.pop(name, None) if self._work.get(name) is done else None)

    def _stop(self, name: str) -> None:
        task = self._work.pop(name, None)
        if task is not None:
            task.cancel()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _received(event: dict[str, Any]) -> Received:
    raw = msgspec.json.encode(event)
    return Received(wire.decode(raw), raw)
