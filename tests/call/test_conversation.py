"""A conversation in memory, its clock wound by hand: what the model and the line see."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pytest

from service.call.actions import Action, Answered, BargeIn, Failure, HangUp, Send, ToolCalled, TurnTranscribed
from service.call.conversation import Conversation
from service.call.goodbye import ENDING_LIMIT_S, HANG_UP_GRACE_S, SILENCES_ASKED
from service.call.intake import ClaimIntake
from service.call.tools import parse_arguments
from service.media.playout import Playout
from service.media.ring import AudioHandover, UplinkFrame
from service.media.uplink import Uplink
from service.realtime import events
from service.realtime.commands import (
    AudioAppend,
    AudioCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from service.transcript.request import Context
from service.transcript.sidecar import Sidecar

A = TypeVar("A", bound=ClientEvent)
SPEECH = (np.sin(np.arange(24 * 20) / 10) * 8000).astype("<i2").tobytes()


class Call:
    """The runner's part, by hand: 20 ms at a time."""

    def __init__(
        self, *, interruptible: bool = True, context: Context = "turn", claims: ClaimIntake | None = None
    ) -> None:
        self.now_s = 100.0
        self.audio = AudioHandover()
        self.playout = Playout(self.audio)
        self.conversation = Conversation(
            uplink=Uplink(),
            playout=self.playout,
            sidecar=Sidecar(
                instructions="", context=context, max_output_tokens=100, max_open=4, timeout_s=10.0, asr=False
            ),
            interruptible=interruptible,
            claims=claims,
        )
        self.actions: list[Action] = []

    def do(self, actions: list[Action]) -> list[Action]:
        self.actions += actions
        return actions

    def wait(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.conversation.caller_audio(UplinkFrame(bytes(320), self.now_s))
            self.do(self.conversation.tick(self.now_s))
            self.audio.take_downlink(self.now_s)
            self.now_s += 0.02

    def server(self, event: events.ServerEvent) -> list[Action]:
        return self.do(self.conversation.server_event(event, None, self.now_s))

    def sent(self, kind: type[A]) -> list[A]:
        return [one.event for one in self.actions if isinstance(one, Send) and isinstance(one.event, kind)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.actions if isinstance(one, kind)]

    # -- what a server does --

    def agent_says(self, item: str, ms: int, *, done: bool = True, tool: str | None = None, text: str = "hi") -> None:
        response = f"resp_{item}"
        self.server(events.ResponseCreated(response=events.Response(id=response, conversation_id="conv")))
        self.server(events.AudioTranscriptDelta(response_id=response, item_id=item, delta=text))
        for _ in range(ms // 20):
            self.server(events.AudioDelta(response_id=response, item_id=item, delta=SPEECH))
        if done:
            self.agent_done(item, tool=tool)

    def agent_done(self, item: str, *, tool: str | None = None, status: str = "completed") -> None:
        output = [events.Item(id=item, type="message")]
        if tool is not None:
            output.append(
                events.Item(id="f", type="function_call", name=tool, call_id="c1", arguments='{"reason": "completed"}')
            )
        self.server(events.AudioDone(response_id=f"resp_{item}", item_id=item))
        self.server(events.ResponseDone(response=events.Response(id=f"resp_{item}", status=status, output=output)))

    def caller_begins(self, item: str) -> None:
        self.server(events.SpeechStarted(item_id=item, audio_start_ms=self.sent_ms))

    def caller_ends(self, item: str, previous: str | None = None) -> None:
        self.server(events.SpeechStopped(item_id=item, audio_end_ms=self.sent_ms))
        self.commit(item, previous)

    def commit(self, item: str, previous: str | None = None) -> None:
        self.server(events.Committed(item_id=item, previous_item_id=previous))
        content = [events.ContentPart(type="input_audio")]
        self.server(
            events.ItemAdded(
                item=events.Item(id=item, type="message", role="user", content=content), previous_item_id=previous
            )
        )

    def transcript(self, item: str, text: str) -> None:
        response = events.Response(
            id=f"oob_{item}",
            status="completed",
            metadata={"purpose": "transcription", "item_id": item},
            output=[events.Item(id="o", type="message", content=[events.ContentPart(type="output_text", text=text)])],
        )
        self.server(events.ResponseCreated(response=response))
        self.server(events.ResponseDone(response=response))

    @property
    def sent_ms(self) -> int:
        return round((self.now_s - 100.0) * 1000)


@pytest.fixture
def call() -> Call:
    return Call()


def test_the_agent_speaks_first(call: Call) -> None:
    call.do(call.conversation.begin())
    assert len(call.sent(ResponseCreate)) == 1


def test_a_turn_is_transcribed_once_its_item_is_in_the_conversation(call: Call) -> None:
    call.wait(400)
    call.caller_begins("u1")
    call.wait(1000)
    call.server(events.SpeechStopped(item_id="u1", audio_end_ms=call.sent_ms))
    assert call.sent(ResponseCreate) == []
    call.commit("u1")
    (request,) = call.sent(ResponseCreate)
    assert request.response is not None
    assert request.response["conversation"] == "none"
    call.transcript("u1", "My car was hit.")
    (done,) = call.of(TurnTranscribed)
    assert (done.turn.turn, done.turn.transcript, done.turn.duration_ms) == (1, "My car was hit.", 1000)
    assert done.turn.spoken_s == pytest.approx(100.4, abs=0.021)


def test_interruption_silences_truncates_to_what_was_heard_and_drops_late_audio(call: Call) -> None:
    call.agent_says("a1", 3000, done=False, text="one two three four five six seven eight nine ten")
    call.wait(1200)
    call.caller_begins("u1")
    (cut,) = call.sent(ItemTruncate)
    assert (cut.item_id, cut.content_index) == ("a1", 0)
    assert 1160 <= cut.audio_end_ms <= 1200
    assert [one.item_id for one in call.of(BargeIn)] == ["a1"]
    call.server(events.AudioDelta(response_id="resp_a1", item_id="a1", delta=SPEECH * 50))
    call.agent_done("a1", status="cancelled")
    call.wait(200)
    assert call.playout.idle
    (line,) = call.conversation.lines.in_order()
    assert (line.text, line.interrupted) == ("one two three four", True)


def test_finished_playback_is_never_truncated(call: Call) -> None:
    call.agent_says("a1", 400)
    call.wait(600)
    call.caller_begins("u1")
    assert call.sent(ItemTruncate) == []
    assert call.of(BargeIn) == []


def test_an_answer_of_which_nothing_was_heard_is_deleted(call: Call) -> None:
    call.agent_says("a1", 1000, done=False)
    call.caller_begins("u1")
    assert [one.item_id for one in call.sent(ItemDelete)] == ["a1"]
    assert call.sent(ItemTruncate) == []


def test_an_agent_that_must_not_be_interrupted_goes_on() -> None:
    call = Call(interruptible=False)
    call.agent_says("a1", 1000)
    call.wait(200)
    call.caller_begins("u1")
    call.wait(2000)
    heard = call.playout.heard("a1")
    assert heard is not None
    assert heard.to_the_end


def test_latency_runs_from_the_end_of_speech_to_the_first_sample_on_the_line(call: Call) -> None:
    call.wait(100)
    call.caller_begins("u1")
    call.wait(1000)
    call.caller_ends("u1")
    call.wait(300)
    call.agent_says("a1", 500)
    call.wait(100)
    call.agent_says("a2", 500)
    call.wait(1000)
    assert [one.latency_s for one in call.of(Answered)] == [pytest.approx(0.32, abs=0.021)]


def test_the_agent_hangs_up_after_its_last_word_was_heard(call: Call) -> None:
    call.agent_says("a1", 2000, tool="end_call")
    call.wait(2000)
    assert call.of(HangUp) == []
    call.wait(int(HANG_UP_GRACE_S * 1000) + 100)
    assert [one.reason for one in call.of(HangUp)] == ["completed"]
    assert [one.name for one in call.of(ToolCalled)] == ["end_call"]


def test_a_callers_own_goodbye_is_waited_for(call: Call) -> None:
    call.agent_says("a1", 400, tool="end_call")
    call.wait(800)
    call.caller_begins("u1")
    call.wait(3000)
    assert call.of(HangUp) == []
    call.caller_ends("u1")
    call.wait(int(HANG_UP_GRACE_S * 1000) + 100)
    assert len(call.of(HangUp)) == 1


def test_a_caller_who_talks_for_ever_does_not_keep_the_line(call: Call) -> None:
    call.agent_says("a1", 400, tool="end_call")
    call.wait(800)
    call.caller_begins("u1")
    call.wait(int(ENDING_LIMIT_S * 1000))
    assert len(call.of(HangUp)) == 1


def test_a_goodbye_that_is_interrupted_is_no_goodbye(call: Call) -> None:
    call.agent_says("a1", 3000, tool="end_call")
    call.wait(1000)
    call.caller_begins("u1")
    call.wait(500)
    call.caller_ends("u1")
    call.wait(5000)
    assert call.of(HangUp) == []
    (told,) = call.sent(ItemCreate)
    assert told.item["call_id"] == "c1"


def test_an_unknown_tool_is_answered_and_the_agent_goes_on(call: Call) -> None:
    call.agent_says("a1", 100, tool="order_pizza")
    assert call.sent(ItemCreate)[0].item["type"] == "function_call_output"
    assert len(call.sent(ResponseCreate)) == 1


def test_a_second_main_response_waits_for_the_first(call: Call) -> None:
    call.do(call.conversation.begin())
    call.agent_says("a1", 1000, done=False)
    call.do(call.conversation.begin())
    assert len(call.sent(ResponseCreate)) == 1
    call.agent_done("a1")
    assert len(call.sent(ResponseCreate)) == 2


def test_hanging_up_in_the_middle_of_a_sentence_commits_and_transcribes_it(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(700)
    call.do(call.conversation.close())
    (off,) = call.sent(SessionUpdate)
    assert off.session["audio"]["input"]["turn_detection"] is None
    (commit,) = call.sent(AudioCommit)
    assert not call.conversation.settled
    call.server(events.SessionUpdated(session={}))
    assert not call.conversation.settled
    call.commit("u1")
    call.transcript("u1", "and then the other car")
    assert call.conversation.settled
    (done,) = call.of(TurnTranscribed)
    assert (done.turn.transcript, done.turn.duration_ms) == ("and then the other car", 700)
    assert commit.event_id


def test_less_than_a_tenth_of_a_second_is_not_committed(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(80)
    call.do(call.conversation.close())
    assert call.sent(AudioCommit) == []


def test_a_refused_commit_does_not_hold_the_call(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(500)
    call.do(call.conversation.close())
    call.server(events.SessionUpdated(session={}))
    (commit,) = call.sent(AudioCommit)
    call.server(
        events.ServerError(error=events.ErrorBody(code="input_audio_buffer_commit_empty", event_id=commit.event_id))
    )
    assert call.conversation.settled
    assert [one.code for one in call.of(Failure)] == ["input_audio_buffer_commit_empty"]


def test_on_hang_up_the_agent_is_cancelled_and_its_usage_awaited(call: Call) -> None:
    call.agent_says("a1", 3000, done=False)
    call.do(call.conversation.close())
    assert [one.response_id for one in call.sent(ResponseCancel)] == ["resp_a1"]
    call.server(events.SessionUpdated(session={}))
    assert not call.conversation.settled
    call.agent_done("a1", status="cancelled")
    assert call.conversation.settled


def test_a_response_that_begins_while_hanging_up_is_cancelled_too(call: Call) -> None:
    call.do(call.conversation.close())
    call.server(events.ResponseCreated(response=events.Response(id="late", conversation_id="conv")))
    assert [one.response_id for one in call.sent(ResponseCancel)] == ["late"]


def test_what_does_not_come_is_given_up_with_a_reason(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(500)
    call.caller_ends("u1")
    call.do(call.conversation.close())
    call.do(call.conversation.abandon("flush_timeout", call.now_s))
    (done,) = call.of(TurnTranscribed)
    assert (done.turn.source, done.turn.reason) == ("none", "flush_timeout")


def test_both_sides_stand_in_the_order_of_the_conversation(call: Call) -> None:
    call.agent_says("a1", 200, text="Name?")
    call.wait(400)
    call.caller_begins("u1")
    call.wait(500)
    call.caller_ends("u1", previous="a1")
    call.agent_says("a2", 200, text="Thanks.")
    call.transcript("u1", "Hale.")
    assert [line.text for line in call.conversation.lines.in_order()] == ["Name?", "Hale.", "Thanks."]


def test_waiting_for_a_new_session_counts_against_no_transcript(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(600)
    call.caller_ends("u1")
    call.conversation.session_lost()
    call.wait(40_000)
    assert call.of(TurnTranscribed) == []
    call.do(call.conversation.resume(call.now_s))
    assert [item.item["content"][0]["type"] for item in call.sent(ItemCreate)] == ["input_audio"]
    call.commit("u1")
    assert len([event for event in call.sent(ResponseCreate) if event.response]) == 2
    call.transcript("u1", "My car was hit.")
    assert [(one.turn.transcript, one.turn.source) for one in call.of(TurnTranscribed)] == [
        ("My car was hit.", "out_of_band")
    ]


def test_a_deleted_item_is_not_referenced_any_more() -> None:
    call = Call(context=3)
    for number in range(3):
        call.caller_begins(f"u{number}")
        call.wait(200)
        call.caller_ends(f"u{number}")
        call.transcript(f"u{number}", "words")
        if number == 0:
            call.server(events.ItemDeleted(item_id="u0"))
    last = call.sent(ResponseCreate)[-1].response
    assert last is not None
    assert [one["id"] for one in last["input"]] == ["u1", "u2"]


def test_an_idle_timeout_is_not_transcribed(call: Call) -> None:
    call.wait(6000)
    call.server(events.TimeoutTriggered(item_id="u1", audio_start_ms=0, audio_end_ms=6000))
    call.commit("u1")
    assert call.sent(ResponseCreate) == []
    assert call.of(TurnTranscribed) == []


def test_the_greeting_counts_as_heard_after_its_end(call: Call) -> None:
    call.agent_says("a1", 600)
    call.wait(300)
    assert not call.conversation.agent.greeting_heard
    call.wait(600)
    assert call.conversation.agent.greeting_heard


def test_who_cuts_the_greeting_short_is_greeted_by_the_answer(call: Call) -> None:
    call.agent_says("a1", 3000, done=False)
    call.wait(200)
    call.caller_begins("u1")
    call.agent_done("a1", status="cancelled")
    assert not call.conversation.agent.greeting_heard
    call.wait(500)
    call.caller_ends("u1")
    call.agent_says("a2", 800)
    call.wait(1000)
    assert call.conversation.agent.greeting_heard


def test_caller_audio_is_resampled_to_24_khz(call: Call) -> None:
    event = call.conversation.caller_audio(UplinkFrame(bytes(320), 0.0))
    assert isinstance(event, AudioAppend)
    assert len(event.audio) == 960


def test_keys_reach_the_model_as_text_after_a_pause(call: Call) -> None:
    for key in "42":
        call.conversation.key_pressed(key, call.now_s)
        call.wait(300)
    assert call.sent(ItemCreate) == []
    call.wait(1500)
    (told,) = call.sent(ItemCreate)
    assert told.item["content"] == [{"type": "input_text", "text": "[keys pressed: 4 2]"}]
    assert len(call.sent(ResponseCreate)) == 1
    assert [line.text for line in call.conversation.lines.in_order()] == ["[keys pressed: 4 2]"]


def test_a_hash_key_ends_the_number_at_once(call: Call) -> None:
    call.conversation.key_pressed("7", call.now_s)
    call.conversation.key_pressed("#", call.now_s)
    call.wait(20)
    assert len(call.sent(ItemCreate)) == 1


def test_keys_behind_a_turn_are_taken_up_by_its_own_answer(call: Call) -> None:
    call.caller_begins("u1")
    call.wait(400)
    call.caller_ends("u1")
    for key in "42#":
        call.conversation.key_pressed(key, call.now_s)
    call.wait(20)
    # The server begins that answer by itself: a second one would be refused.
    assert [event.response for event in call.sent(ResponseCreate) if event.response is None] == []


def test_an_answer_to_keys_is_not_asked_for_while_the_caller_interrupts(call: Call) -> None:
    call.agent_says("a1", 2000, done=False)
    for key in "42#":
        call.conversation.key_pressed(key, call.now_s)
    call.wait(100)
    call.caller_begins("u1")
    call.agent_done("a1", status="cancelled")
    assert [event.response for event in call.sent(ResponseCreate) if event.response is None] == []


def test_what_no_telephone_has_is_no_key(call: Call) -> None:
    call.conversation.key_pressed("<script>", call.now_s)
    call.wait(2000)
    assert call.sent(ItemCreate) == []


def test_asking_for_a_person_is_noted_and_the_agent_goes_on(call: Call) -> None:
    call.agent_says("a1", 100, tool="request_human")
    assert call.sent(ItemCreate)[0].item["output"] == "Noted: a person will call back."
    assert len(call.sent(ResponseCreate)) == 1
    assert call.of(HangUp) == []


def test_on_hold_the_agent_pauses_and_then_goes_on_where_it_was(call: Call) -> None:
    call.agent_says("a1", 1000)
    call.wait(400)
    for _ in range(100):
        call.do(call.conversation.tick(call.now_s, held=True))
        call.audio.take_downlink(call.now_s)
        call.now_s += 0.02
    held = call.playout.heard("a1")
    assert held is not None
    assert held.heard_ms <= 440
    call.wait(1000)
    after = call.playout.heard("a1")
    assert after is not None
    assert after.to_the_end


def test_a_response_that_failed_is_asked_for_again_a_little_later(call: Call) -> None:
    for _ in range(3):
        call.server(events.ResponseCreated(response=events.Response(id="r", conversation_id="c")))
        error = events.ErrorBody(code="inference_rate_limit_exceeded")
        details = events.StatusDetails(type="failed", error=error)
        call.server(events.ResponseDone(response=events.Response(id="r", status="failed", status_details=details)))
        call.wait(4000)
    assert [one.code for one in call.of(Failure)] == ["inference_rate_limit_exceeded"] * 3
    assert len(call.sent(ResponseCreate)) == 2


def test_a_response_that_came_meanwhile_stands_for_the_one_that_failed(call: Call) -> None:
    call.server(events.ResponseCreated(response=events.Response(id="r", conversation_id="c")))
    call.server(events.ResponseDone(response=events.Response(id="r", status="failed")))
    call.wait(500)
    call.agent_says("a1", 2000)
    call.wait(4000)
    assert call.sent(ResponseCreate) == []


@pytest.mark.parametrize("tool", [None, "request_human"])
def test_who_answers_before_an_agent_that_is_not_interrupted_has_ended_is_answered_then(tool: str | None) -> None:
    call = Call(interruptible=False)
    call.agent_says("a1", 2000, done=False)
    call.wait(500)
    call.caller_begins("u1")
    call.wait(500)
    call.caller_ends("u1")
    refused = events.ErrorBody(code="conversation_already_has_active_response")
    call.server(events.ServerError(error=refused))
    assert _asked_of_the_agent(call) == 0
    call.agent_done("a1", tool=tool)
    assert _asked_of_the_agent(call) == 1
    call.agent_says("a2", 200)
    call.wait(4000)
    assert _asked_of_the_agent(call) == 1


def _asked_of_the_agent(call: Call) -> int:
    return sum(event.response is None for event in call.sent(ResponseCreate))


def test_an_incomplete_response_is_heard_as_far_as_it_goes(call: Call) -> None:
    call.agent_says("a1", 400, done=False)
    call.agent_done("a1", status="incomplete")
    call.wait(600)
    heard = call.playout.heard("a1")
    assert heard is not None
    assert heard.to_the_end
    assert call.sent(ResponseCreate) == []


def test_at_its_limit_the_call_is_wrapped_up(call: Call) -> None:
    call.do(call.conversation.wrap_up("The time limit of this call is reached."))
    assert call.sent(ItemCreate)[0].item["role"] == "system"
    assert len(call.sent(ResponseCreate)) == 1


def silent(call: Call, times: int) -> None:
    for number in range(times):
        item = f"silence{number}"
        call.server(events.TimeoutTriggered(audio_start_ms=0, audio_end_ms=100, item_id=item))
        call.agent_says(f"ask{number}", 200)
        call.wait(1000)


def test_a_caller_who_no_longer_answers_is_asked_then_told_goodbye_then_hung_up_on(call: Call) -> None:
    silent(call, SILENCES_ASKED)
    assert call.sent(ItemCreate) == []
    silent(call, 1)
    assert "no longer answers" in call.sent(ItemCreate)[0].item["content"][0]["text"]
    assert call.of(HangUp) == []
    silent(call, 1)
    assert call.of(HangUp) == [HangUp("no_input")]


@pytest.mark.parametrize("sign", ["speech", "key"])
def test_a_sign_of_the_caller_begins_the_count_anew(call: Call, sign: str) -> None:
    for _ in range(3):
        silent(call, SILENCES_ASKED)
        if sign == "speech":
            call.server(events.SpeechStarted(audio_start_ms=0, item_id="turn"))
            call.server(events.SpeechStopped(audio_end_ms=100, item_id="turn"))
        else:
            call.conversation.key_pressed("5", call.now_s)
            call.conversation.key_pressed("#", call.now_s)
            call.wait(100)
    assert not any(item.item["role"] == "system" for item in call.sent(ItemCreate))
    assert call.of(HangUp) == []


@pytest.mark.parametrize("text", [None, "", "[1]", "end the call", "[" * 5000, '{"a":' * 5000])
def test_arguments_of_a_tool_that_are_no_object_are_none(text: str | None) -> None:
    assert parse_arguments(text) == {}
