"""The caller's audio in a session: turns by voice activity, by hand, after silence; what is recognised when."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from service.engine.input_buffer import InputBuffer
from tests.engine.scripted_speech import silence, speech
from tests.engine.talk import Talk, encoded, kinds


def detect(talk: Talk, **fields: Any) -> None:
    detection = {"type": "server_vad", **fields} if fields else None
    talk.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})


def test_recognition_begins_in_the_pause_and_its_result_serves_the_turn() -> None:
    talk = Talk({2000: "one"}, recognizes=False)
    detect(talk, silence_duration_ms=500)
    talk.hears(speech(2000, 1000))
    assert not talk.recognitions
    talk.hears(silence(240))
    assert len(talk.recognitions) == 1
    talk.recognize()
    assert not talk.dialogue.happened
    events = talk.hears(silence(300))
    assert not talk.recognitions
    assert talk.dialogue.happened == ["hear one"]
    assert kinds(events)[-2:] == ["response.done", "rate_limits.updated"]


def test_what_was_begun_in_a_pause_is_thrown_away_when_the_caller_goes_on() -> None:
    talk = Talk({2000: "one", 3000: "two"})
    detect(talk, silence_duration_ms=500)
    talk.hears(speech(2000, 500))
    talk.hears(silence(300))
    talk.hears(speech(3000, 500))
    talk.hears(silence(520))
    assert talk.dialogue.happened == ["hear two"]
    assert len(talk.named("input_audio_buffer.committed")) == 1


def test_the_next_turn_waits_for_no_result_of_the_last() -> None:
    talk = Talk({2000: "my number is", 3000: "seven"}, recognizes=False)
    talk.turn(2000)
    talk.turn(3000)
    done = talk.last("response.done")["response"]
    assert (done["status"], done["output"]) == ("cancelled", [])
    talk.recognize()
    # Cut in before it was answered, the first turn is a part of what is answered now.
    assert talk.dialogue.happened == ["hear my number is seven"]


def test_turns_by_hand() -> None:
    talk = Talk({2000: "by hand"})
    detect(talk)
    assert kinds(talk.hears(speech(2000, 500))) == []
    assert kinds(talk.send("input_audio_buffer.commit")) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert not talk.named("response.created")
    talk.send("response.create")
    assert talk.dialogue.happened == ["hear by hand"]


def test_less_than_100_ms_cannot_be_committed() -> None:
    talk = Talk()
    detect(talk)
    talk.hears(speech(2000, 80))
    [refused] = talk.send("input_audio_buffer.commit", event_id="early")
    assert refused["error"]["code"] == "input_audio_buffer_commit_empty"
    assert "80.00ms" in refused["error"]["message"]
    assert refused["error"]["event_id"] == "early"


def test_cleared_audio_is_gone() -> None:
    talk = Talk({2000: "gone"})
    talk.hears(speech(2000, 500))
    assert kinds(talk.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    talk.hears(silence(600))
    assert not talk.named("input_audio_buffer.committed")
    assert talk.turn(2000)[0]["audio_start_ms"] == 500 + 600 - 300


def test_open_speech_can_be_committed_when_detection_is_switched_off() -> None:
    talk = Talk({2000: "last words"})
    talk.hears(silence(1000))
    started = talk.hears(speech(2000, 700))[0]
    detect(talk)
    events = talk.send("input_audio_buffer.commit")
    assert events[0]["item_id"] == started["item_id"]
    retrieved = talk.send("conversation.item.retrieve", item_id=started["item_id"])[0]["item"]
    # 300 ms of padding and 700 ms of speech.
    assert len(base64.b64decode(retrieved["content"][0]["audio"])) == 1000 * 48


def test_detection_that_must_not_answer_only_commits() -> None:
    talk = Talk({2000: "one"})
    detect(talk, create_response=False)
    assert kinds(talk.turn(2000))[-1] == "conversation.item.done"


def test_a_caller_who_may_not_interrupt_gets_an_error_instead_of_a_second_response() -> None:
    talk = Talk({2000: "one"}, speaks=False)
    detect(talk, interrupt_response=False)
    talk.turn(2000)
    events = talk.turn(2000)
    assert kinds(events)[-1] == "error"
    assert events[-1]["error"]["code"] == "conversation_already_has_active_response"
    assert not talk.named("response.done")


def test_silence_after_the_answer_makes_the_agent_ask() -> None:
    talk = Talk()
    detect(talk, idle_timeout_ms=5000)
    talk.hears(silence(2000))
    talk.send("response.create")
    # Five words: one second of playback before the caller's silence begins.
    assert talk.wait(5.9) == []
    events = talk.wait(0.2)
    assert kinds(events)[:5] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert talk.dialogue.happened == ["greet", "silence"]


def test_a_caller_who_speaks_is_not_asked_whether_he_is_there() -> None:
    talk = Talk({2000: "one"})
    detect(talk, idle_timeout_ms=5000)
    talk.send("response.create")
    talk.hears(speech(2000, 8000))
    assert not talk.named("input_audio_buffer.timeout_triggered")


def test_silence_is_counted_from_the_end_of_the_answer_and_not_of_an_older_one() -> None:
    talk = Talk({2000: "one"})
    talk.send("response.create")
    detect(talk, idle_timeout_ms=5000, create_response=False)
    talk.turn(2000, 8000)
    talk.wait(60)
    assert not talk.named("input_audio_buffer.timeout_triggered")


def test_a_turn_leaves_nothing_of_itself_in_the_buffer() -> None:
    talk = Talk({2000: "one"})
    talk.turn(2000)
    item_id = talk.send("input_audio_buffer.commit")[0]["item_id"]
    [retrieved] = talk.send("conversation.item.retrieve", item_id=item_id)
    # The turn ended 200 ms into 400 ms of silence.
    assert len(base64.b64decode(retrieved["item"]["content"][0]["audio"])) == 200 * 48


def test_the_session_ends_after_an_hour() -> None:
    talk = Talk()
    talk.wait(3599)
    assert talk.closed is None
    [expired] = talk.wait(1)
    assert expired["error"]["code"] == "session_expired"
    assert talk.closed is not None
    assert talk.closed.code == 1001


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("whisper-1", {"type": "duration", "seconds": 2}),
        (
            "gpt-4o-transcribe",
            {
                "type": "tokens",
                "total_tokens": 16,
                "input_tokens": 15,
                "output_tokens": 1,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 15},
            },
        ),
    ],
)
def test_built_in_transcription_is_counted_as_its_model_is_priced(model: str, usage: dict[str, Any]) -> None:
    talk = Talk({2000: "two"})
    talk.send("session.update", session={"type": "realtime", "audio": {"input": {"transcription": {"model": model}}}})
    talk.hears(silence(300))
    talk.turn(2000, 1000)
    completed = talk.last("conversation.item.input_audio_transcription.completed")
    assert (completed["transcript"], completed["usage"]) == ("two", usage)


def test_a_recognition_that_failed_is_told_and_the_call_goes_on() -> None:
    talk = Talk(recognizes=False)
    talk.send(
        "session.update", session={"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    )
    talk.turn(2000)
    for key in list(talk.recognitions):
        talk.recognitions.pop(key)
        talk.perform(talk.session.recognized(key, None, talk.now_s))
    assert talk.last("conversation.item.input_audio_transcription.failed")["error"]["code"] == "transcription_failed"
    assert talk.dialogue.happened == ["hear "]
    assert talk.last("response.done")["response"]["status"] == "completed"


def test_audio_that_is_none_is_refused() -> None:
    talk = Talk()
    assert talk.send("input_audio_buffer.append", audio="?")[0]["error"]["param"] == "audio"
    odd = base64.b64encode(b"123").decode()
    assert "even" in talk.send("input_audio_buffer.append", audio=odd)[0]["error"]["message"]
    [refused] = talk.send("input_audio_buffer.append", audio="A" * (15 * 2**20 + 4))
    assert refused["error"]["code"] == "string_above_max_length"
    assert kinds(talk.turn(2000))[0] == "input_audio_buffer.speech_started"


def test_a_long_append_is_heard_like_many_short_ones() -> None:
    talk = Talk({2000: "long"})
    talk.send("input_audio_buffer.append", audio=encoded(speech(2000, 30_000)))
    talk.send("input_audio_buffer.append", audio=encoded(silence(1000)))
    assert talk.last("input_audio_buffer.speech_stopped")["audio_end_ms"] == 30_200


def test_a_buffer_that_nobody_commits_stays_bounded() -> None:
    buffer = InputBuffer(limit_ms=1000)
    for _ in range(10):
        buffer.append(speech(2000, 300))
    assert (buffer.start_ms, buffer.end_ms) == (2000, 3000)
    assert buffer.cut(2500, 2600).size == 2400
