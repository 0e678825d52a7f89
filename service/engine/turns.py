"""The caller's turns: the input buffer under a turn detector, or under the client's own commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from service.engine.input_buffer import InputBuffer
from service.engine.ports import TurnDetector
from service.engine.rates import WIRE_SAMPLES_PER_MS, Pcm16
from service.engine.refusal import Refusal
from service.engine.session_config import SemanticVad, ServerVad
from service.engine.vad import SpeechPausing, SpeechResumed, SpeechStarted, SpeechStopped

MIN_COMMIT_MS = 100
ONSET_MARGIN_MS = 1_000
"""Kept in silence beyond the prefix padding: a detector may report a start this late."""
TAIL_MS = 150
"""Silence left behind the speech for the recogniser."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The caller began to speak; the audio will become that item."""

    item_id: str
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class TurnPausing:
    """The turn may be over; `pcm` is what was said."""

    item_id: str
    pcm: Pcm16


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """The turn goes on after all."""

    item_id: str


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """The turn is over; `pcm` is the item's audio, `speech_pcm` the same without most of the silence at its end."""

    item_id: str
    audio_end_ms: int
    pcm: Pcm16
    speech_pcm: Pcm16


TurnEvent: TypeAlias = TurnStarted | TurnPausing | TurnResumed | TurnStopped


@dataclass(frozen=True, slots=True)
class _Open:
    item_id: str
    start_ms: int


class Turns:
    """Audio in, turns out. Times are milliseconds of audio appended during the session."""

    def __init__(self, new_detector: Callable[[float, int, int], TurnDetector], new_item_id: Callable[[], str]) -> None:
        self._new_detector = new_detector
        self._new_item_id = new_item_id
        self._buffer = InputBuffer()
        self._detector: TurnDetector | None = None
        self._epoch_ms = 0
        self._keep_ms = 0
        self._open: _Open | None = None

    @property
    def now_ms(self) -> int:
        """Audio appended so far."""
        return self._buffer.end_ms

    @property
    def speaking(self) -> bool:
        """A turn is open."""
        return self._open is not None

    def configure(self, detection: ServerVad | SemanticVad | None) -> None:
        """Detect turns like this from now on; None leaves them to the client, with what is buffered."""
        if detection is None:
            self._detector = None
            return
        if self._detector is None:
            self._detector = self._new_detector(*detection.detector)
            self._epoch_ms = self._buffer.end_ms
            self._open = None
        else:
            self._detector.configure(*detection.detector)
        self._keep_ms = detection.detector[1] + ONSET_MARGIN_MS

    def append(self, pcm: Pcm16) -> Iterator[TurnEvent]:
        """More audio (n,)."""
        self._buffer.append(pcm)
        if self._detector is None:
            return
        for event in self._detector.feed(pcm):
            match event:
                case SpeechStarted():
                    yield self._started(self._epoch_ms + event.audio_start_ms)
                case SpeechPausing() if self._open:
                    yield TurnPausing(
                        self._open.item_id, self._speech(self._open, self._epoch_ms + event.speech_end_ms)
                    )
                case SpeechResumed() if self._open:
                    yield TurnResumed(self._open.item_id)
                case SpeechStopped() if self._open:
                    yield self._stopped(self._open, event)
        if self._open is None:
            self._buffer.drop_before(self._buffer.end_ms - self._keep_ms)

    def commit(self) -> tuple[str, Pcm16]:
        """The client's own commit: item id and audio of all that is buffered. Raises Refusal below 100 ms."""
        if self._buffer.held_samples < MIN_COMMIT_MS * WIRE_SAMPLES_PER_MS:
            held_ms = self._buffer.held_samples / WIRE_SAMPLES_PER_MS
            message = (
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {MIN_COMMIT_MS}ms of audio, but buffer only has {held_ms:.2f}ms of audio."
            )
            raise Refusal("input_audio_buffer_commit_empty", message)
        item_id = self._open.item_id if self._open else self._new_item_id()
        pcm = self._buffer.cut(self._open.start_ms, self._buffer.end_ms) if self._open else self._buffer.all()
        self.clear()
        return item_id, pcm

    def clear(self) -> str | None:
        """Forget what is buffered and the open turn, whose item id is returned."""
        dropped = self._open.item_id if self._open else None
        self._open = None
        self._buffer.clear()
        if self._detector is not None:
            self._detector.reset()
            self._epoch_ms = self._buffer.end_ms
        return dropped

    def _started(self, start_ms: int) -> TurnStarted:
        self._open = _Open(self._new_item_id(), start_ms)
        self._buffer.drop_before(start_ms)
        return TurnStarted(self._open.item_id, start_ms)

    def _stopped(self, turn: _Open, event: SpeechStopped) -> TurnStopped:
        end_ms = self._epoch_ms + event.audio_end_ms
        stopped = TurnStopped(
            turn.item_id,
            end_ms,
            self._buffer.cut(turn.start_ms, end_ms),
            self._speech(turn, self._epoch_ms + event.speech_end_ms),
        )
        self._open = None
        self._buffer.drop_before(end_ms)
        return stopped

    def _speech(self, turn: _Open, speech_end_ms: int) -> Pcm16:
        return self._buffer.cut(turn.start_ms, speech_end_ms + TAIL_MS)
