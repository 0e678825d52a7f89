"""One call's conversation with the model: server events and 20 ms ticks in, actions out.

Pure: opens nothing, reads no clock (`now_s` is monotonic). It joins the parts that each know one thing: the caller's
speech, the agent's responses, playout, the sidecar, and the lines that were said.
"""

from __future__ import annotations

from service.call.actions import Action, Answered, BargeIn, Failure, HangUp, Send, ToolCalled, TurnTranscribed
from service.call.lines import Lines
from service.call.speech import CallerSpeech
from service.call.tools import END_CALL, parse_arguments, tool_output
from service.media.playout import Playout
from service.media.ring import UplinkFrame
from service.media.uplink import Uplink
from service.realtime import events
from service.realtime.commands import (
    AudioAppend,
    AudioCommit,
    ItemDelete,
    ItemTruncate,
    SessionUpdate,
)
from service.realtime.payload import listening_off
from service.realtime.responses import Responses
from service.transcript.sidecar import Priced, Sidecar, is_ours

MIN_COMMIT_MS = 100
"""Less audio than this is refused by the server (`input_audio_buffer_commit_empty`)."""
HANG_UP_GRACE_S = 2.0
"""Quiet on both sides after the agent's goodbye before it hangs up, so that a caller's own goodbye is not cut."""
ENDING_LIMIT_S = 20.0
"""The agent hangs up this long after its goodbye, whatever the caller still says."""
COMMIT_ID = "commit_last"
CLOSING_ID = "listening_off"


class Conversation:
    """The state of one conversation."""

    def __init__(self, *, uplink: Uplink, playout: Playout, sidecar: Sidecar, interruptible: bool) -> None:
        self._uplink = uplink
        self._playout = playout
        self._sidecar = sidecar
        self._interruptible = interruptible
        self._speech = CallerSpeech()
        self._responses = Responses()
        self.lines = Lines()
        self._first_agent_item: str | None = None
        self._answer_due_since_s: float | None = None
        self._ending: tuple[str, str, float] | None = None
        """Reason, call id of the tool call, and since when."""
        self._quiet_since_s: float | None = None
        self._closing = False
        self._closing_unconfirmed = False
        self._commit_unconfirmed = False

    # -- the runner's side -----------------------------------------------------------------------------------------

    def begin(self) -> list[Action]:
        """The call is answered: the agent speaks first."""
        return [Send(event) for event in self._responses.request()]

    def caller_audio(self, frame: UplinkFrame) -> AudioAppend:
        """20 ms from the caller, as the event that carries them."""
        return AudioAppend(audio=self._uplink.feed(frame))

    def tick(self, now_s: float) -> list[Action]:
        """Once per 20 ms: playout, time-outs, what is ready to leave."""
        actions: list[Action] = []
        for _item_id, played_s in self._playout.tick():
            if self._answer_due_since_s is not None:
                actions.append(Answered(played_s - self._answer_due_since_s))
                self._answer_due_since_s = None
        self._sidecar.expire(now_s)
        actions += self._ready(now_s)
        return actions + self._maybe_hang_up(now_s)

    def close(self) -> list[Action]:
        """The leg is gone: stop listening and speaking, commit what the caller was saying."""
        self._closing = self._closing_unconfirmed = True
        self._ending = None
        actions: list[Action] = [Send(SessionUpdate(event_id=CLOSING_ID, session=listening_off()))]
        actions += [Send(event) for event in self._responses.cancel()]
        if self._speech.open_ms(self._uplink.sent_ms) >= MIN_COMMIT_MS:
            self._commit_unconfirmed = True
            actions.append(Send(AudioCommit(event_id=COMMIT_ID)))
        return actions

    def abandon(self, reason: str, now_s: float) -> list[Action]:
        """No more will come from the server: open turns leave as they stand."""
        self._sidecar.abandon(reason)
        return self._ready(now_s)

    @property
    def settled(self) -> bool:
        """After `close`: whether everything that was asked for has come."""
        return not (
            self._closing_unconfirmed
            or self._commit_unconfirmed
            or self._responses.speaking
            or self._sidecar.open_turns
        )

    @property
    def greeting_heard(self) -> bool:
        """Whether the caller heard the agent's first words: to their end, or a second of them."""
        heard = self._playout.heard(self._first_agent_item) if self._first_agent_item else None
        return heard is not None and (heard.to_the_end or heard.heard_ms >= 1000)

    # -- the server's side -----------------------------------------------------------------------------------------

    def server_event(  # noqa: PLR0911, PLR0912 -- one arm per event
        self, event: events.ServerEvent, priced: Priced | None, now_s: float
    ) -> list[Action]:
        """React to one event. `priced` is what the meter made of its usage, where it has one."""
        match event:
            case events.AudioDelta():
                if self._responses.accepts(event.response_id) and not self._closing:
                    self._playout.add(event.item_id, event.delta)
                    self._first_agent_item = self._first_agent_item or event.item_id
                return []
            case events.AudioTranscriptDelta():
                if self._responses.accepts(event.response_id) and not self._closing:
                    self.lines.agent_says(event.item_id, event.delta, now_s)
                return []
            case events.AudioDone():
                self._playout.finish(event.item_id)
                return []
            case events.SpeechStarted():
                self._speech.started(event.item_id, event.audio_start_ms)
                return self._interrupt()
            case events.SpeechStopped():
                self._speech.stopped(event.item_id, event.audio_end_ms)
                self._answer_due_since_s = self._uplink.arrived_s(event.audio_end_ms)
                return []
            case events.Committed():
                return self._committed(event, now_s)
            case events.TimeoutTriggered():
                self._sidecar.item_silent(event.item_id)
                return []
            case events.ItemAdded():
                return self._item_added(event, now_s)
            case events.TranscriptionCompleted():
                self._sidecar.asr_completed(event.item_id, event.transcript.strip())
                return self._ready(now_s)
            case events.TranscriptionFailed():
                self._sidecar.asr_completed(event.item_id, None)
                return [Failure(event.error.code or "asr_failed", event.error.message or ""), *self._ready(now_s)]
            case events.ResponseCreated():
                return self._response_created(event.response)
            case events.ResponseDone():
                return self._response_done(event.response, priced, now_s)
            case events.SessionUpdated():
                self._closing_unconfirmed = False
                return []
            case events.ServerError():
                return self._error(event.error, now_s)
            case _:
                return []

    # -- inside ----------------------------------------------------------------------------------------------------

    def _interrupt(self) -> list[Action]:
        """The caller speaks: silence the agent at once, and tell the server how much of it was heard."""
        if not self._interruptible or self._closing:
            return []
        cut = self._playout.interrupt()
        self._responses.drop()
        actions: list[Action] = []
        for heard in cut:
            self.lines.agent_interrupted(heard)
            actions.append(BargeIn(heard.item_id, heard.heard_ms))
            if heard.heard_ms:
                # Whole milliseconds, never beyond what was received: the server refuses more than there is.
                actions.append(Send(ItemTruncate(item_id=heard.item_id, content_index=0, audio_end_ms=heard.heard_ms)))
            else:
                actions.append(Send(ItemDelete(item_id=heard.item_id)))
        if cut and self._ending is not None:
            _, call_id, _ = self._ending
            self._ending = None
            actions.append(Send(tool_output(call_id, "The caller interrupted the goodbye; the call goes on.")))
        return actions

    def _committed(self, event: events.Committed, now_s: float) -> list[Action]:
        self._commit_unconfirmed = False
        self.lines.place(event.item_id, event.previous_item_id)
        span = self._speech.committed(event.item_id, self._uplink.sent_ms)
        if span is not None:
            spoken_s = self._uplink.arrived_s(span.start_ms)
            self._sidecar.item_committed(
                event.item_id,
                event.previous_item_id,
                spoken_s=now_s - span.duration_ms / 1000 if spoken_s is None else spoken_s,
                duration_ms=span.duration_ms,
                now_s=now_s,
            )
        return []

    def _item_added(self, event: events.ItemAdded, now_s: float) -> list[Action]:
        self.lines.place(event.item.id, event.previous_item_id)
        if not event.item.is_caller_audio:
            return []
        request = self._sidecar.item_added(event.item.id, event.previous_item_id, now_s)
        return [Send(request)] if request is not None else []

    def _response_created(self, response: events.Response) -> list[Action]:
        if is_ours(response):
            return []
        self._responses.created(response)
        return [Send(event) for event in self._responses.cancel()] if self._closing else []

    def _response_done(self, response: events.Response, priced: Priced | None, now_s: float) -> list[Action]:
        actions: list[Action] = []
        if response.status == "failed":
            error = response.status_details.error if response.status_details else None
            actions.append(Failure((error and error.code) or "response_failed", (error and error.message) or ""))
        if is_ours(response):
            self._sidecar.response_done(response, priced)
            return actions + self._ready(now_s)
        heard_out = self._responses.accepts(response.id)
        for item in response.output:
            self._playout.finish(item.id)
        waiting = self._responses.done(response)
        if response.status == "completed" and heard_out and not self._closing:
            for item in response.output:
                if item.type == "function_call":
                    actions += self._tool_call(item, now_s)
        return actions + [Send(event) for event in waiting if not self._closing]

    def _tool_call(self, item: events.Item, now_s: float) -> list[Action]:
        arguments = parse_arguments(item.arguments)
        called = ToolCalled(item.name or "", arguments)
        if item.name == END_CALL:
            self._ending = (str(arguments.get("reason", "completed")), item.call_id or "", now_s)
            return [called]
        refusal = Send(tool_output(item.call_id or "", f"There is no tool named {item.name!r}."))
        return [called, refusal, *(Send(event) for event in self._responses.request())]

    def _error(self, error: events.ErrorBody, now_s: float) -> list[Action]:
        code = error.code or error.type or "unknown"
        event_id = error.event_id or ""
        if event_id == COMMIT_ID:
            self._commit_unconfirmed = False
        elif event_id == CLOSING_ID:
            self._closing_unconfirmed = False
        elif event_id == "agent_response":
            self._responses.refused()
        else:
            self._sidecar.request_failed(event_id, code)
        return [Failure(code, error.message or ""), *self._ready(now_s)]

    def _ready(self, now_s: float) -> list[Action]:
        actions: list[Action] = []
        for turn in self._sidecar.take_ready(now_s):
            self.lines.caller_said(turn.item_id, turn.transcript, turn.spoken_s)
            actions.append(TurnTranscribed(turn))
        return actions

    def _maybe_hang_up(self, now_s: float) -> list[Action]:
        if self._ending is None:
            return []
        reason, _, since_s = self._ending
        busy = not self._playout.idle or self._responses.speaking or self._speech.open_ms(self._uplink.sent_ms)
        if busy:
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = now_s
        quiet_s = now_s - self._quiet_since_s if self._quiet_since_s is not None else 0.0
        if quiet_s < HANG_UP_GRACE_S and now_s - since_s < ENDING_LIMIT_S:
            return []
        self._ending = None
        return [HangUp(reason)]
