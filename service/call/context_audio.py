"""How much audio lies in a session's conversation, and what each report of usage should therefore name.

Watches the events of one session, both ways; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.billing import expected
from service.billing.expected import AudioTokens
from service.call.speech import CallerSpeech
from service.realtime import events
from service.realtime.commands import AudioAppend, ClientEvent, ItemCreate, ItemDelete, ItemTruncate, ResponseCreate

BYTES_PER_MS = 48
"""PCM16 mono at 24 kHz."""
MAX_ASKED = 64
"""Requests remembered; one that the server refuses is never answered."""

_Metadata = frozenset[tuple[str, str]]


@dataclass(slots=True)
class _Open:
    """A response on its way; `spoken_bytes` by item."""

    given: int | None
    aside: bool
    spoken_bytes: dict[str, int] = field(default_factory=dict)


class ContextAudio:
    """The audio of one session's conversation."""

    def __init__(self) -> None:
        self._speech = CallerSpeech()
        self._sent_bytes = 0
        self._caller_ms: dict[str, int] = {}
        self._agent_ms: dict[str, int] = {}
        """In the order of speaking; 0 for what the session knows as text."""
        self._kept_ms: dict[str, int | None] = {}
        """Of items that were cut while they were being spoken; None: deleted."""
        self._asked: dict[_Metadata, int] = {}
        self._open: dict[str, _Open] = {}

    def sent(self, event: ClientEvent) -> None:
        """We sent this."""
        match event:
            case AudioAppend(audio=audio):
                self._sent_bytes += len(audio)
            case ItemCreate(item=item):
                self._created(item)
            case ItemTruncate(item_id=item_id, audio_end_ms=end_ms):
                self._cut(item_id, end_ms)
            case ItemDelete(item_id=item_id):
                self._caller_ms.pop(item_id, None)
                self._cut(item_id, None)
            case ResponseCreate(response=dict(response)) if response.get("metadata"):
                self._asked[frozenset(response["metadata"].items())] = self._given(response.get("input"))
                if len(self._asked) > MAX_ASKED:
                    del self._asked[next(iter(self._asked))]
            case _:
                pass

    def received(self, event: events.ServerEvent) -> AudioTokens | None:
        """The server sent this. Gives what its report of usage should name; None where that cannot be said."""
        match event:
            case events.SpeechStarted(item_id=item_id, audio_start_ms=start_ms):
                self._speech.started(item_id, start_ms)
            case events.SpeechStopped(item_id=item_id, audio_end_ms=end_ms):
                self._speech.stopped(item_id, end_ms)
            case events.Committed(item_id=item_id):
                span = self._speech.committed(item_id, self._sent_bytes // BYTES_PER_MS)
                self._caller_ms[item_id] = span.duration_ms if span is not None else 0
            case events.TranscriptionCompleted(item_id=item_id) if item_id in self._caller_ms:
                return AudioTokens(expected.given([self._caller_ms[item_id]]))
            case events.ResponseCreated(response=response):
                self._begun(response)
            case events.AudioDelta(response_id=response_id, item_id=item_id, delta=delta):
                spoken = self._open[response_id].spoken_bytes if response_id in self._open else {}
                spoken[item_id] = spoken.get(item_id, 0) + len(delta)
            case events.ResponseDone(response=response):
                return self._done(response)
            case _:
                pass
        return None

    def _begun(self, response: events.Response) -> None:
        metadata = response.metadata or {}
        given = self._asked.get(frozenset(metadata.items())) if metadata else self._given(None)
        self._open[response.id] = _Open(given, aside=bool(metadata))

    def _done(self, response: events.Response) -> AudioTokens | None:
        self._asked.pop(frozenset((response.metadata or {}).items()), None)
        ended = self._open.pop(response.id, None)
        if ended is None:
            return None
        spoken_ms = {item_id: count // BYTES_PER_MS for item_id, count in ended.spoken_bytes.items()}
        if not ended.aside:
            # A response is given what was said before it: its own words count from its end on.
            messages = (item.id for item in response.output if item.type == "message")
            for item_id in dict.fromkeys([*spoken_ms, *messages]):
                self._spoke(item_id, spoken_ms.get(item_id, 0))
        if ended.given is None:
            return None
        return AudioTokens(ended.given, sum(expected.spoken(ms) for ms in spoken_ms.values()))

    def _spoke(self, item_id: str, spoken_ms: int) -> None:
        kept_ms = self._kept_ms.pop(item_id, spoken_ms)
        if kept_ms is not None:
            self._agent_ms[item_id] = min(kept_ms, spoken_ms)

    def _cut(self, item_id: str, end_ms: int | None) -> None:
        being_spoken = any(item_id in response.spoken_bytes for response in self._open.values())
        if being_spoken:
            self._kept_ms[item_id] = end_ms
        elif item_id in self._agent_ms:
            if end_ms is None:
                del self._agent_ms[item_id]
            else:
                self._agent_ms[item_id] = min(end_ms, self._agent_ms[item_id])

    def _created(self, item: Mapping[str, Any]) -> None:
        item_id, role = str(item.get("id", "")), item.get("role")
        if role == "user" and (audio_ms := _audio_ms(item)):
            self._caller_ms[item_id] = audio_ms
        elif role == "assistant":
            self._agent_ms[item_id] = 0

    def _given(self, context: Iterable[Mapping[str, Any]] | None) -> int:
        """Input tokens of a request: the whole conversation, or the items that it names or brings."""
        if context is None:
            return expected.given(self._caller_ms.values(), _last(self._agent_ms.values()))
        caller_ms: list[int] = []
        agent_ms: list[int] = []
        for item in context:
            item_id = str(item.get("id", ""))
            if item_id in self._agent_ms:
                agent_ms.append(self._agent_ms[item_id])
            else:
                caller_ms.append(self._caller_ms.get(item_id, 0) or _audio_ms(item))
        return expected.given(caller_ms, _last(agent_ms))


def _last(values: Iterable[int]) -> int:
    *_, last = 0, *values
    return last


def _audio_ms(item: Mapping[str, Any]) -> int:
    """Of an item that a client brings: base64 of PCM16 mono 24 kHz."""
    encoded = sum(len(part.get("audio", "")) for part in item.get("content", ()) if part.get("type") == "input_audio")
    return encoded * 3 // 4 // BYTES_PER_MS
