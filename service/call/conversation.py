"""One call's conversation with the model: server events and 20 ms ticks in, actions out.

Pure: opens nothing, reads no clock (`now_s` is monotonic). It joins the parts that each know one thing: the caller's
speech, the agent's responses, playout, the sidecar, and the lines that were said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.call.actions import Action, Failure, HangUp, Send, Summarized, ToolCalled, TurnTranscribed
from service.call.agent import Agent
from service.call.editing import Editing
from service.call.goodbye import AfterSilence, Goodbye, Silences
from service.call.intake import ClaimIntake, claims_off
from service.call.keypad import Keypad
from service.call.lines import Lines
from service.call.speech import CallerSpeech
from service.call.summary import is_summary
from service.call.tools import END_CALL, REQUEST_HUMAN, claim_of, parse_arguments, tool_output
from service.claim.extraction import is_claim
from service.media.playout import Playout
from service.media.ring import UplinkFrame
from service.media.uplink import Uplink, upsampled
from service.realtime import events
from service.realtime.commands import AudioAppend, AudioCommit, ItemCreate, ItemDelete, SessionUpdate
from service.realtime.payload import listening_off
from service.realtime.replay import audio_item, text_item
from service.transcript.sidecar import Priced, Sidecar, TranscribedTurn, is_ours

MIN_COMMIT_MS = 100
"""Less audio than this is refused by the server (`input_audio_buffer_commit_empty`)."""
RESEND_MS = 200
"""Audio before a break that a new session hears again, since the old one may not have."""
COMMIT_ID = "commit_last"
CLOSING_ID = "listening_off"


class Conversation:
    """The state of one conversation."""

    def __init__(
        self,
        *,
        uplink: Uplink,
        playout: Playout,
        sidecar: Sidecar,
        interruptible: bool,
        answering: bool = True,
        claims: ClaimIntake | None = None,
        editing: Editing | None = None,
    ) -> None:
        self._uplink = uplink
        self._sidecar = sidecar
        self._claims = claims or claims_off()
        self._answering = answering
        self._editing = editing or Editing(None)
        self._speech = CallerSpeech()
        self._keypad = Keypad()
        self.lines = Lines()
        self.agent = Agent(playout, self.lines, interruptible=interruptible)
        self._goodbye: Goodbye | None = None
        self._silences = Silences()
        self._answer_owed = False
        self._online = True
        self._resend_from_ms = 0
        self._speech_was_open = False
        self._closing = False
        self._closing_unconfirmed = False
        self._commit_unconfirmed = False

    # -- the runner's side -----------------------------------------------------------------------------------------

    def begin(self) -> list[Action]:
        """The call is answered: the agent speaks first."""
        return self.agent.request()

    def caller_audio(self, frame: UplinkFrame) -> AudioAppend:
        """20 ms from the caller, as the event that carries them."""
        return AudioAppend(audio=self._uplink.feed(frame))

    def key_pressed(self, digit: str, now_s: float) -> None:
        """A key of the caller's telephone."""
        self._silences.broken()
        self._keypad.press(digit, now_s)

    def wrap_up(self, why: str) -> list[Action]:
        """The agent is asked to end the call. `why` is a sentence for it."""
        text = f"{why} Say so, say goodbye, and call end_call."
        return [Send(_note(text)), *self._unasked()]

    def claim_found(self, reference: str, kept: Mapping[str, Any] | None, now_s: float) -> list[Action]:
        """What a `FindClaim` has found; None: nothing, or it cannot be read."""
        self._claims.found(reference, kept)
        return self._claims_go_on(now_s)

    def transcribe_turns_alone(self) -> None:
        """From now on the transcriber hears each turn without those before it."""
        self._sidecar.hear_turns_alone()

    def tick(self, now_s: float, *, held: bool = False) -> list[Action]:
        """Once per 20 ms: playout (not while the call is on hold), time-outs, what is ready to leave."""
        actions = [*self._keys_told(now_s), *self.agent.tick(now_s, held=held)]
        if self._online:
            self._sidecar.expire(now_s)
            self._editing.expire(now_s)
        actions += self._ready(now_s)
        actions += self._shorten(now_s)
        return actions + self._maybe_hang_up(now_s)

    def close(self) -> list[Action]:
        """The leg is gone: stop listening and speaking, commit what the caller was saying."""
        self._closing = self._closing_unconfirmed = True
        self._goodbye = None
        self._claims.closing()
        actions: list[Action] = [Send(SessionUpdate(event_id=CLOSING_ID, session=listening_off()))]
        actions += self.agent.stop()
        if self._speech.open_ms(self._uplink.sent_ms) >= MIN_COMMIT_MS:
            self._commit_unconfirmed = True
            actions.append(Send(AudioCommit(event_id=COMMIT_ID)))
        return actions

    def abandon(self, reason: str, now_s: float) -> list[Action]:
        """No more will come from the server: open turns leave as they stand."""
        self._sidecar.abandon(reason)
        self._claims.session_lost()
        return self._ready(now_s) + self._claims.finish(self.lines)

    def open_turns(self, reason: str, now_s: float) -> list[TranscribedTurn]:
        """Caller turns that have not left, in order, as they would for `reason` if nothing more came."""
        return self._sidecar.as_they_stand(reason, now_s, self.lines.answer_to)

    # -- one session takes over from another -----------------------------------------------------------------------

    def session_lost(self) -> None:
        """The session is gone. What was received is played out; what it had not finished is owed by the next."""
        self._editing.session_lost()
        self._online = False
        self._answer_owed = self.agent.session_lost() or self._answer_owed
        speech_from_ms = self._speech.lost()
        self._speech_was_open = speech_from_ms is not None
        # What was on its way when the session broke, and what the caller says until the next, is sent again as well.
        self._resend_from_ms = max(0, self._uplink.sent_ms - RESEND_MS) if speech_from_ms is None else speech_from_ms
        if self._goodbye is not None:
            self._goodbye.call_id = ""
        self._claims.session_lost()

    def resume(self, now_s: float) -> list[Action]:
        """A new session is open: tell it the conversation, then the audio that no item held, then go on."""
        self._online = True
        pending = self._sidecar.session_lost(now_s)
        actions: list[Action] = []
        if (summary := self._editing.told_first()) is not None:
            actions.append(Send(summary))
        told: set[str] = set()
        for item_id in self.lines.item_ids():
            if self._editing.replaced(item_id):
                continue
            line = self.lines.find(item_id)
            if item_id in pending:
                actions.append(Send(audio_item(item_id, upsampled(pending[item_id]))))
            elif line is not None:
                told.add(item_id)
                actions.append(Send(text_item(item_id, line.speaker, line.text)))
        # The ACK, and with it the greeting, may have come between the two sessions.
        owed = self.agent.told(told) or self._answer_owed
        if owed and not self._speech_was_open and not self._closing and self._goodbye is None:
            # Ahead of the audio: a turn in it ends this response, where a response behind it would meet the turn's own.
            actions += self.agent.request()
        actions += [Send(AudioAppend(audio=pcm)) for pcm in self._uplink.restart(self._resend_from_ms)]
        if self._speech_was_open:
            self._speech.sent_again()
        self._claims.resumed()
        return actions + self._ready(now_s)

    @property
    def pausing(self) -> bool:
        """Nobody speaks and nothing is asked for: the moment to change the session unheard."""
        return (
            not self.agent.busy
            and not self._answer_owed
            and not self._speech.open_ms(self._uplink.sent_ms)
            and not self._sidecar.open_turns
            and not self._claims.busy
            and not self._editing.awaiting
        )

    @property
    def settled(self) -> bool:
        """After `close`: whether everything that was asked for has come."""
        return self._claims.settled and not (
            self._closing_unconfirmed
            or self._commit_unconfirmed
            or self.agent.speaking
            or self._sidecar.open_turns
            or self._editing.awaiting
        )

    # -- the server's side -----------------------------------------------------------------------------------------

    def server_event(  # noqa: PLR0911, PLR0912 -- one arm per event
        self, event: events.ServerEvent, priced: Priced | None, now_s: float
    ) -> list[Action]:
        """React to one event. `priced` is what the meter made of its usage, where it has one."""
        match event:
            case events.AudioDelta():
                if not self._closing:
                    self.agent.audio(event)
                return []
            case events.AudioTranscriptDelta():
                if not self._closing:
                    self.agent.words(event, now_s)
                return []
            case events.AudioDone():
                self.agent.audio_done(event.item_id)
                return []
            case events.SpeechStarted():
                self._silences.broken()
                self._speech.started(event.item_id, event.audio_start_ms)
                return self._interrupt()
            case events.SpeechStopped():
                self._speech.stopped(event.item_id, event.audio_end_ms)
                self.agent.caller_stopped(self._uplink.arrived_s(event.audio_end_ms))
                return []
            case events.Committed():
                return self._committed(event, now_s)
            case events.TimeoutTriggered():
                self._sidecar.item_silent(event.item_id)
                return self._after_silence()
            case events.ItemAdded():
                return self._item_added(event, now_s)
            case events.ItemDeleted():
                self._sidecar.item_deleted(event.item_id)
                self._editing.item_deleted(event.item_id)
                return []
            case events.TranscriptionCompleted():
                self._sidecar.asr_completed(event.item_id, event.transcript.strip(), event.logprobs)
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
                return self._ready(now_s)
            case events.ServerError():
                return self._error(event.error, now_s)
            case _:
                return []

    # -- inside ----------------------------------------------------------------------------------------------------

    def _interrupt(self) -> list[Action]:
        """The caller speaks: the agent is silent, and does not hang up."""
        if self._closing:
            return []
        actions = self.agent.caller_begins()
        if actions and self._goodbye is not None:
            goodbye, self._goodbye = self._goodbye, None
            if goodbye.call_id:
                told = "The caller interrupted the goodbye; the call goes on."
                actions.append(Send(tool_output(goodbye.call_id, told)))
        return actions

    def _after_silence(self) -> list[Action]:
        if self._closing or self._goodbye is not None:
            return []
        match self._silences.timed_out():
            case AfterSilence.ASK:
                return []
            case AfterSilence.WRAP_UP:
                return self.wrap_up("The caller no longer answers.")
            case AfterSilence.HANG_UP:
                return [HangUp("no_input")]

    def _committed(self, event: events.Committed, now_s: float) -> list[Action]:
        self._commit_unconfirmed = False
        self.lines.place(event.item_id, event.previous_item_id)
        span = self._speech.committed(event.item_id, self._uplink.sent_ms)
        if span is not None:
            self._answer_owed = self._answering and not self._closing
            spoken_s = self._uplink.arrived_s(span.start_ms)
            self._sidecar.item_committed(
                event.item_id,
                event.previous_item_id,
                spoken_s=now_s - span.duration_ms / 1000 if spoken_s is None else spoken_s,
                duration_ms=span.duration_ms,
                now_s=now_s,
                pcm8k=self._uplink.cut(span.start_ms, span.start_ms + span.duration_ms),
            )
        return []

    def _item_added(self, event: events.ItemAdded, now_s: float) -> list[Action]:
        self.lines.place(event.item.id, event.previous_item_id)
        edited = self._edited(event)
        if event.item.is_caller_audio:
            self._sidecar.item_added(event.item.id, event.previous_item_id, now_s)
        else:
            self._sidecar.item_placed(event.item.id, event.previous_item_id)
        return edited + self._ready(now_s)

    def _shorten(self, now_s: float) -> list[Action]:
        """Ask for a summary of a conversation that has grown long."""
        if not self._editing.long or not self.pausing or self._closing or self._goodbye is not None:
            return []
        request = self._editing.request(self.lines, now_s)
        return [Send(request)] if request is not None else []

    def _edited(self, event: events.ItemAdded) -> list[Action]:
        """Delete what the item stands for, where it is a summary."""
        gone = self._editing.item_added(event.item, event.previous_item_id)
        for item_id in gone:
            self._sidecar.item_deleted(item_id)
        told: list[Action] = [Summarized(len(gone))] if gone else []
        return told + [Send(ItemDelete(item_id=item_id)) for item_id in gone]

    def _summarized(self, response: events.Response, now_s: float) -> list[Action]:
        if self._closing:
            self._editing.abandon()
            return []
        summary = self._editing.summarized(response, now_s)
        return [Send(summary)] if summary is not None else []

    def _response_created(self, response: events.Response) -> list[Action]:
        if is_ours(response) or is_claim(response) or is_summary(response):
            return []
        self.agent.response_created(response)
        self._answer_owed = False
        return self.agent.stop() if self._closing else []

    def _response_done(self, response: events.Response, priced: Priced | None, now_s: float) -> list[Action]:
        actions: list[Action] = []
        if response.status == "failed":
            error = response.status_details.error if response.status_details else None
            actions.append(Failure((error and error.code) or "response_failed", (error and error.message) or ""))
        if is_ours(response):
            self._sidecar.response_done(response, priced, now_s)
            return actions + self._ready(now_s)
        if is_claim(response):
            self._claims.response_done(response)
            return actions + self._ready(now_s)
        if is_summary(response):
            return actions + self._summarized(response, now_s)
        self._editing.responded(response.usage)
        holds, waiting = self.agent.response_done(response, now_s)
        self._claims.agent_said()
        if self._closing:
            return actions
        for item in response.output:
            if holds and item.type == "function_call":
                actions += self._tool_call(item, now_s)
        return actions + waiting + self._claims_go_on(now_s) + (self._late_answer() if holds else [])

    def _late_answer(self) -> list[Action]:
        """Ask for the answer to a turn that ended under a response: the server may fail to create it by itself then."""
        owed = self._answer_owed and self._goodbye is None and not self._speech.open_ms(self._uplink.sent_ms)
        return self.agent.request() if owed and not self.agent.awaited else []

    def _keys_told(self, now_s: float) -> list[Action]:
        told = self._keypad.take(now_s)
        if told is None:
            return []
        item_id, digits = told
        text = f"[keys pressed: {' '.join(digits)}]"
        self.lines.caller_said(item_id, text, now_s)
        return [Send(text_item(item_id, "caller", text)), *self._unasked()]

    def _unasked(self) -> list[Action]:
        """Ask for a response, unless the server will answer the caller's turn by itself, and take this up with it."""
        if self._speech.open_ms(self._uplink.sent_ms) or self._answer_owed:
            return []
        return self.agent.request()

    def _tool_call(self, item: events.Item, now_s: float) -> list[Action]:
        arguments = parse_arguments(item.arguments)
        called = ToolCalled(item.name or "", arguments)
        if item.name == END_CALL:
            self._claims.noted_by_agent(claim_of(arguments))
            self._goodbye = Goodbye(str(arguments.get("reason", "completed")), item.call_id or "", now_s)
            return [called]
        about_claim = self._claims.tool_called(item.name or "", arguments, item.call_id or "", now_s)
        if about_claim is not None:
            return [called, *about_claim]
        known = item.name == REQUEST_HUMAN
        output = "Noted: a person will call back." if known else f"There is no tool named {item.name!r}."
        told = Send(tool_output(item.call_id or "", output))
        return [called, told, *self.agent.request()]

    def _error(self, error: events.ErrorBody, now_s: float) -> list[Action]:
        code = error.code or error.type or "unknown"
        event_id = error.event_id or ""
        if event_id == COMMIT_ID:
            self._commit_unconfirmed = False
        elif event_id == CLOSING_ID:
            self._closing_unconfirmed = False
        elif event_id == "agent_response":
            self.agent.refused()
        elif not self._claims.request_failed(event_id):
            self._sidecar.request_failed(event_id, code)
            self._editing.refused(event_id, now_s)
        return [Failure(code, error.message or ""), *self._ready(now_s)]

    def _ready(self, now_s: float) -> list[Action]:
        requests = self._sidecar.take_requests(now_s) if self._online else ()
        actions: list[Action] = [Send(request) for request in requests]
        for turn in self._sidecar.take_ready(now_s, self.lines.answer_to):
            self.lines.caller_said(turn.item_id, turn.transcript, turn.spoken_s)
            actions.append(TurnTranscribed(turn))
            self._claims.turn_transcribed(turn.turn, turn.item_id, turn.transcript)
        return actions + self._claims_go_on(now_s)

    def _claims_go_on(self, now_s: float) -> list[Action]:
        turns_open = self._sidecar.open_turns > 0 or self._commit_unconfirmed
        actions = self._claims.proceed(now_s, self.lines, turns_open=turns_open, agent_speaks=self.agent.speaking)
        answered = self._claims.take_answers()
        if not answered or self._closing:
            return actions
        for call_id, output in answered:
            actions.append(Send(tool_output(call_id, output) if call_id else _note(output)))
        return actions + self._unasked()

    def _maybe_hang_up(self, now_s: float) -> list[Action]:
        if self._goodbye is None:
            return []
        busy = not self.agent.silent or self.agent.speaking or self._speech.open_ms(self._uplink.sent_ms) > 0
        if not self._goodbye.is_over(now_s, busy=busy or self._claims.waiting):
            return []
        goodbye, self._goodbye = self._goodbye, None
        return [HangUp(goodbye.reason)]


def _note(text: str) -> ItemCreate:
    """A word to the agent that is no answer to a tool call."""
    content = [{"type": "input_text", "text": text}]
    return ItemCreate(item={"type": "message", "role": "system", "content": content})
