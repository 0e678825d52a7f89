"""One Realtime session: client events, recognised text, spoken audio and time in; server events and work orders out.

No clock, no socket, no task: `now_s` is handed in, and everything that takes time is an effect for the shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, assert_never

from service.engine.client_events import (
    AudioAppend,
    AudioClear,
    AudioCommit,
    Invalid,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    Order,
    ResponseCancel,
    ResponseCreate,
    ResponseParams,
    SessionUpdate,
    audio_samples,
    parse,
)
from service.engine.conversation import ContentPart, Conversation, Message, item_from
from service.engine.effects import Close, Effect
from service.engine.exchange import Exchange, Stimulus, after_last_answer, stimuli
from service.engine.hearings import Hearings
from service.engine.outlet import Outlet
from service.engine.ports import Dialogue, TurnDetector
from service.engine.rates import WIRE_HZ, Pcm16, milliseconds
from service.engine.recognition import Transcript
from service.engine.refusal import Refusal
from service.engine.response_stream import NewId
from service.engine.responses import Responses
from service.engine.session_config import LOGPROBS, ServerVad, SessionConfig, updated
from service.engine.turns import TurnPausing, TurnResumed, Turns, TurnStarted, TurnStopped
from service.engine.usage import transcription_usage

SESSION_MAX_S = 3600
"""As the service: then the session is closed."""
_APPEND_SLICE_SAMPLES = WIRE_HZ
"""Audio is taken in a second at a time, so that a long append does not hold up other sessions."""


class Session:
    """The state of one connection. Every public method returns what is to be done, in order."""

    def __init__(
        self,
        model: str,
        *,
        new_detector: Callable[[float, int, int], TurnDetector],
        dialogue: Dialogue,
        new_id: NewId,
        created_at: int,
        now_s: float,
    ) -> None:
        """`created_at` is Unix time in seconds; `now_s` stands on the clock of all later calls."""
        self._config = SessionConfig(model=model)
        self._new_id = new_id
        self._session_id = new_id("sess")
        self._expires_at = created_at + SESSION_MAX_S
        self._expires_s = now_s + SESSION_MAX_S
        self._outlet = Outlet(new_id)
        self._emit = self._outlet.emit
        self._conversation = Conversation(new_id("conv"))
        self._turns = Turns(new_detector, lambda: new_id("item"))
        self._turns.configure(self._config.audio.input.turn_detection)
        self._hearings = Hearings()
        self._transcribing: dict[str, tuple[str, int]] = {}
        self._exchange = Exchange(dialogue)
        self._responses = Responses(self._conversation, self._hearings, self._exchange, self._outlet, new_id)

    def opened(self) -> list[Effect]:
        """The first event."""
        self._emit("session.created", session=self._config.wire(self._session_id, self._expires_at))
        return self._outlet.take()

    def receive(self, raw: str | bytes, now_s: float) -> Iterator[list[Effect]]:
        """A message from the client; a long stretch of audio comes in several steps."""
        event = parse(raw)
        if isinstance(event, Invalid):
            self._outlet.refuse(event.refusal, event.event_id)
            yield self._outlet.take()
            return
        try:
            if isinstance(event, AudioAppend):
                pcm = audio_samples(event.audio, "audio")
                for first in range(0, pcm.size, _APPEND_SLICE_SAMPLES):
                    self._append(pcm[first : first + _APPEND_SLICE_SAMPLES], now_s)
                    yield self._outlet.take()
            else:
                self._obey(event, now_s)
        except Refusal as refusal:
            self._outlet.refuse(refusal, event.event_id)
        yield self._outlet.take()

    def recognized(self, key: str, transcript: Transcript | None, now_s: float) -> list[Effect]:
        """A recognition has ended; None: it failed."""
        item_id = self._hearings.settle(key, transcript)
        if item_id is not None:
            self._transcribed(item_id)
            self._responses.heard(item_id, now_s)
        return self._outlet.take()

    def voiced(self, response_id: str, sentence: int, pcm: Pcm16, now_s: float) -> list[Effect]:
        """Audio (n,) of a sentence of `Speak`, counted from 0."""
        self._responses.voiced(response_id, sentence, pcm, now_s)
        return self._outlet.take()

    def voice_ended(self, response_id: str, now_s: float, *, failed: bool = False) -> list[Effect]:
        """All sentences of `Speak` were voiced, or the voice failed."""
        self._responses.voice_ended(response_id, now_s, failed=failed)
        return self._outlet.take()

    def tick(self, now_s: float) -> list[Effect]:
        """Time has passed; to be called several times a second."""
        if now_s >= self._expires_s:
            message = "Your session hit the maximum duration of 60 minutes."
            self._outlet.refuse(Refusal("session_expired", message), None)
            self._outlet.add([Close(1001, message)])
            return self._outlet.take()
        if self._idle(now_s):
            self._time_out(now_s)
        return self._outlet.take()

    # Client events

    def _obey(self, event: Order, now_s: float) -> None:
        match event:
            case SessionUpdate():
                self._update(event)
            case AudioCommit():
                item_id, pcm = self._turns.commit()
                self._commit(item_id, pcm, pcm)
            case AudioClear():
                dropped = self._turns.clear()
                if dropped is not None:
                    self._outlet.add(self._hearings.forget(dropped))
                self._emit("input_audio_buffer.cleared")
            case ItemCreate():
                self._create_item(event)
            case ItemRetrieve():
                item = self._conversation.retrieve(event.item_id)
                self._emit("conversation.item.retrieved", item=item.wire(with_audio=True))
            case ItemTruncate():
                self._truncate(event)
            case ItemDelete():
                self._delete(event)
            case ResponseCreate():
                self._responses.create(event.response or ResponseParams(), self._config, now_s)
            case ResponseCancel():
                if not self._responses.cancel(event.response_id, "client_cancelled", now_s):
                    raise Refusal("response_cancel_not_active", "Cancellation failed: no active response found")
            case _:
                assert_never(event)

    def _update(self, event: SessionUpdate) -> None:
        config = updated(self._config, event.session)
        if self._responses.audio_sent and config.audio.output.voice != self._config.audio.output.voice:
            raise Refusal("cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.")
        self._config = config
        self._turns.configure(config.audio.input.turn_detection)
        self._emit("session.updated", session=config.wire(self._session_id, self._expires_at))

    def _create_item(self, event: ItemCreate) -> None:
        self._conversation.refuse_if_full()
        item = item_from(event.item, self._new_id("item"), self._new_id("call"), "item")
        previous = self._conversation.add(item, event.previous_item_id)
        self._emit("conversation.item.added", previous_item_id=previous, item=item.wire())
        self._emit("conversation.item.done", previous_item_id=previous, item=item.wire())
        if isinstance(item, Message) and item.role == "assistant":
            self._exchange.answered_by_client(self._conversation.behind(item.id))
        elif any(open_.id == item.id for open_ in after_last_answer(self._conversation.items)):
            self._exchange.put(*stimuli((item,)))

    def _truncate(self, event: ItemTruncate) -> None:
        before = self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        if event.audio_end_ms < before.audio_ms:
            self._exchange.heard_only(event.item_id, event.audio_end_ms)
        self._emit(
            "conversation.item.truncated",
            item_id=event.item_id,
            content_index=event.content_index,
            audio_end_ms=event.audio_end_ms,
        )

    def _delete(self, event: ItemDelete) -> None:
        self._conversation.delete(event.item_id)
        self._exchange.deleted(event.item_id)
        if not self._responses.awaits(event.item_id) and event.item_id not in self._transcribing:
            self._outlet.add(self._hearings.forget(event.item_id))
        self._emit("conversation.item.deleted", item_id=event.item_id)

    # The caller's audio

    def _append(self, pcm: Pcm16, now_s: float) -> None:
        for event in self._turns.append(pcm):
            match event:
                case TurnStarted():
                    self._turn_started(event, now_s)
                case TurnPausing():
                    self._outlet.add(self._hearings.begin(event.item_id, event.pcm))
                case TurnResumed():
                    self._outlet.add(self._hearings.forget(event.item_id))
                case TurnStopped():
                    self._turn_stopped(event, now_s)
                case _:
                    assert_never(event)

    def _turn_started(self, event: TurnStarted, now_s: float) -> None:
        self._responses.quiet_since_s = None
        self._emit("input_audio_buffer.speech_started", audio_start_ms=event.audio_start_ms, item_id=event.item_id)
        detection = self._config.audio.input.turn_detection
        if detection is not None and detection.interrupt_response:
            self._responses.cancel(None, "turn_detected", now_s)

    def _turn_stopped(self, event: TurnStopped, now_s: float) -> None:
        self._emit("input_audio_buffer.speech_stopped", audio_end_ms=event.audio_end_ms, item_id=event.item_id)
        self._commit(event.item_id, event.pcm, event.speech_pcm)
        detection = self._config.audio.input.turn_detection
        if detection is not None and detection.create_response:
            self._respond_unasked(now_s)

    def _respond_unasked(self, now_s: float) -> None:
        try:
            self._responses.create(ResponseParams(), self._config, now_s)
        except Refusal as refusal:
            self._outlet.refuse(refusal, None)

    def _commit(self, item_id: str, pcm: Pcm16, speech_pcm: Pcm16) -> None:
        part = ContentPart("input_audio", audio_ms=milliseconds(pcm.size), pcm=pcm)
        self._commit_part(item_id, part)
        self._exchange.put(Stimulus("audio", item_id))
        self._outlet.add(self._hearings.begin(item_id, speech_pcm))
        self._transcribed(item_id)

    def _commit_part(self, item_id: str, part: ContentPart) -> None:
        item = Message(item_id, "user", [part])
        previous = self._conversation.last_id
        self._emit("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        self._conversation.add(item)
        self._emit("conversation.item.added", previous_item_id=previous, item=item.wire())
        self._emit("conversation.item.done", previous_item_id=previous, item=item.wire())
        transcription = self._config.audio.input.transcription
        if transcription is not None:
            self._transcribing[item_id] = (transcription.model, part.audio_ms)

    def _idle(self, now_s: float) -> bool:
        quiet_since_s, timeout_ms = self._responses.quiet_since_s, self._idle_timeout_ms
        if quiet_since_s is None or timeout_ms is None or self._turns.speaking:
            return False
        return now_s >= quiet_since_s + timeout_ms / 1000

    @property
    def _idle_timeout_ms(self) -> int | None:
        detection = self._config.audio.input.turn_detection
        return detection.idle_timeout_ms if isinstance(detection, ServerVad) else None

    def _time_out(self, now_s: float) -> None:
        item_id, end_ms = self._new_id("item"), self._turns.now_ms
        start_ms = max(0, end_ms - (self._idle_timeout_ms or 0))
        self._emit(
            "input_audio_buffer.timeout_triggered", audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id
        )
        self._hearings.note(item_id, "")
        self._commit_part(item_id, ContentPart("input_audio", audio_ms=end_ms - start_ms))
        self._exchange.put(Stimulus("silence", item_id))
        self._transcribed(item_id)
        self._respond_unasked(now_s)

    def _transcribed(self, item_id: str) -> None:
        """Tell the built-in transcription of an item, once it is known."""
        heard = self._hearings.result(item_id)
        if heard is None or item_id not in self._transcribing:
            return
        model, audio_ms = self._transcribing.pop(item_id)
        at: dict[str, Any] = {"item_id": item_id, "content_index": 0}
        name = "conversation.item.input_audio_transcription"
        if heard.text is None:
            error = {"type": "transcription_error", "code": "transcription_failed", "message": "Recognition failed."}
            self._emit(f"{name}.failed", **at, error=error)
            return
        item = self._conversation.find(item_id)
        if isinstance(item, Message):
            item.content[0].transcript = heard.text
        if LOGPROBS in (self._config.include or ()):
            at["logprobs"] = [token.wire() for token in heard.tokens]
        if heard.text:
            self._emit(f"{name}.delta", **at, delta=heard.text)
        usage = transcription_usage(model, audio_ms, heard.text)
        self._emit(f"{name}.completed", **at, transcript=heard.text, usage=usage)
