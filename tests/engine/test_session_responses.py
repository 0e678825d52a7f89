"""Responses of a session: one in the conversation, others beside it, cancelled, interrupted, limited."""

from __future__ import annotations

from typing import Any

import pytest

from service.engine.responses import MAX_OUT_OF_BAND, NO_LANGUAGE_MODEL
from tests.engine.scripted_speech import Said, SaidTool, silence, speech
from tests.engine.talk import Event, Talk, encoded, kinds


def committed(talk: Talk, level: int) -> str:
    talk.turn(level)
    return str(talk.last("input_audio_buffer.committed")["item_id"])


def transcribe(talk: Talk, *item_ids: str, **fields: Any) -> list[Event]:
    response = {
        "conversation": "none",
        "output_modalities": ["text"],
        "instructions": "Write down what was said.",
        "input": [{"type": "item_reference", "id": item_id} for item_id in item_ids],
        **fields,
    }
    return talk.send("response.create", event_id=f"oob_{item_ids[-1] if item_ids else ''}", response=response)


def text_of(event: Event) -> str:
    return str(event["response"]["output"][0]["content"][0]["text"])


def test_the_first_response_greets() -> None:
    talk = Talk()
    talk.send("response.create")
    assert talk.last("response.output_audio_transcript.done")["transcript"] == "Hello, this is the test."


def test_out_of_band_writes_down_the_last_turn_referred_to() -> None:
    talk = Talk({2000: "the first turn", 3000: "the second turn"})
    first, second = committed(talk, 2000), committed(talk, 3000)
    events = transcribe(talk, first, second, metadata={"purpose": "transcription", "item_id": second})
    assert kinds(events) == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = events[-2]["response"]
    assert text_of(events[-2]) == "the second turn"
    assert done["conversation_id"] is None
    assert done["metadata"] == {"purpose": "transcription", "item_id": second}
    assert text_of(transcribe(talk, first)[-2]) == "the first turn"
    # Each turn was recognised once, whoever asked.
    assert talk.recognizer.heard == [2000, 3000]


def test_out_of_band_does_not_enter_the_conversation() -> None:
    talk = Talk({2000: "one"})
    item = committed(talk, 2000)
    transcribe(talk, item)
    main = talk.send("response.create")
    previous = next(event for event in main if event["type"] == "conversation.item.added")["previous_item_id"]
    assert previous == talk.named("response.done")[0]["response"]["output"][0]["id"]


def test_out_of_band_without_input_sees_the_conversation_and_with_an_empty_one_nothing() -> None:
    talk = Talk({2000: "one", 3000: "two"})
    committed(talk, 2000)
    committed(talk, 3000)
    whole = talk.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
    assert text_of(whole[-2]) == "two"
    empty = talk.send("response.create", response={"conversation": "none", "output_modalities": ["text"], "input": []})
    assert text_of(empty[-2]) == NO_LANGUAGE_MODEL


def test_audio_can_be_given_inline() -> None:
    talk = Talk({4000: "inline words"})
    content = [{"type": "input_audio", "audio": encoded(speech(4000, 500))}]
    transcribe(talk, input=[{"type": "message", "role": "user", "content": content}])
    done = talk.last("response.done")
    assert text_of(done) == "inline words"
    assert done["response"]["usage"]["input_token_details"]["audio_tokens"] == 5


def test_silence_is_written_down_as_nothing() -> None:
    talk = Talk({})
    item = committed(talk, 2000)
    done = transcribe(talk, item)[-2]
    assert text_of(done) == ""
    assert done["response"]["status"] == "completed"


def test_an_item_that_is_not_there_cannot_be_referred_to() -> None:
    talk = Talk()
    [refused] = transcribe(talk, "item_unknown")
    assert refused["error"]["param"] == "response.input[0].id"
    assert refused["error"]["event_id"] == "oob_item_unknown"


def test_out_of_band_responses_run_beside_the_main_one_and_wait_for_their_own_words() -> None:
    talk = Talk({2000: "one", 3000: "two"}, speaks=False)
    first = committed(talk, 2000)
    talk.send("response.cancel")
    talk.recognizes = False
    second = committed(talk, 3000)
    both = [*transcribe(talk, second), *transcribe(talk, first)]
    assert kinds(both)[:2] == ["response.created", "response.created"]
    # What was recognised before is there at once, although asked for later.
    assert text_of(talk.last("response.done")) == "one"
    talk.recognize()
    assert text_of(talk.last("response.done")) == "two"
    main = talk.named("response.created")[1]["response"]["id"]
    assert talk.speak(main)[-2]["response"]["status"] == "completed"


def test_a_second_main_response_is_refused_while_one_is_active() -> None:
    talk = Talk(speaks=False)
    talk.send("response.create")
    [refused] = talk.send("response.create", event_id="second")
    assert refused["error"]["code"] == "conversation_already_has_active_response"
    assert refused["error"]["event_id"] == "second"
    talk.send("response.cancel")
    assert kinds(talk.send("response.create")) == ["response.created"]


def test_too_many_at_once_are_refused() -> None:
    talk = Talk({2000: "one"}, recognizes=False)
    item = committed(talk, 2000)
    for _ in range(MAX_OUT_OF_BAND):
        assert kinds(transcribe(talk, item)) == ["response.created"]
    assert transcribe(talk, item)[0]["error"]["code"] == "rate_limit_exceeded"
    talk.recognize()
    assert kinds(transcribe(talk, item))[-1] == "rate_limits.updated"


def test_cancelling_without_an_id_stops_the_main_response_only() -> None:
    talk = Talk({2000: "one"}, recognizes=False)
    item = committed(talk, 2000)
    out_of_band = transcribe(talk, item)[0]["response"]["id"]
    main = talk.named("response.created")[0]["response"]["id"]
    done = talk.send("response.cancel")[-2]["response"]
    assert (done["id"], done["status"]) == (main, "cancelled")
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["usage"]["input_tokens"] > 0
    talk.recognize()
    assert talk.last("response.done")["response"]["id"] == out_of_band


def test_cancelling_by_id_stops_that_response() -> None:
    talk = Talk({2000: "one"}, recognizes=False)
    item = committed(talk, 2000)
    out_of_band = transcribe(talk, item)[0]["response"]["id"]
    assert talk.send("response.cancel", response_id=out_of_band)[-2]["response"]["status"] == "cancelled"
    [refused] = talk.send("response.cancel", response_id=out_of_band)
    assert refused["error"]["code"] == "response_cancel_not_active"


def test_an_interruption_leaves_out_of_band_responses_alone() -> None:
    talk = Talk({2000: "one"}, recognizes=False, speaks=False)
    item = committed(talk, 2000)
    out_of_band = transcribe(talk, item)[0]["response"]["id"]
    talk.hears(speech(3000, 200))
    assert [event["response"]["id"] for event in talk.named("response.done")] != [out_of_band]
    talk.recognize()
    assert talk.last("response.done")["response"]["id"] == out_of_band


def test_after_an_interruption_the_dialogue_learns_what_was_heard() -> None:
    talk = Talk({2000: "one", 3000: "two"}, {"one": Said("Alpha beta gamma delta. Second sentence.")}, speaks=False)
    talk.turn(2000)
    answer = talk.last("response.created")["response"]["id"]
    talk.speak(answer, words=5)
    talk.hears(speech(3000, 500))
    item = talk.last("response.done")["response"]["output"][0]["id"]
    assert kinds(talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=600)) == [
        "conversation.item.truncated"
    ]
    talk.hears(silence(400))
    assert talk.dialogue.happened == ["hear one", "interrupted Alpha beta gamma", "hear two"]


def test_without_a_truncation_what_was_sent_counts_as_heard() -> None:
    talk = Talk(
        {2000: "one", 3000: "two"}, {"one": Said("Alpha beta. Gamma delta epsilon zeta eta theta.")}, speaks=False
    )
    talk.turn(2000)
    talk.speak(talk.last("response.created")["response"]["id"], words=2)
    talk.turn(3000)
    # 400 ms of a sentence that is expected to take 715 ms.
    assert talk.dialogue.happened == ["hear one", "interrupted Alpha", "hear two"]


def test_an_answer_cut_off_while_it_was_played_counts_as_interrupted() -> None:
    talk = Talk({2000: "one", 3000: "two"}, {"one": Said("Alpha beta gamma delta.")})
    talk.turn(2000)
    item = talk.last("response.done")["response"]["output"][0]["id"]
    talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=0)
    talk.turn(3000)
    assert talk.dialogue.happened == ["hear one", "interrupted ", "hear two"]


def test_an_answer_heard_to_its_end_is_no_interruption() -> None:
    talk = Talk({2000: "one", 3000: "two"}, {"one": Said("Alpha beta.")})
    talk.turn(2000)
    item = talk.last("response.done")["response"]["output"][0]["id"]
    talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=400)
    talk.turn(3000)
    assert talk.dialogue.happened == ["hear one", "hear two"]


def test_a_function_is_called_only_where_it_was_declared() -> None:
    talk = Talk({2000: "bye"}, {"bye": Said("Goodbye.", SaidTool("end_call"))})
    talk.turn(2000)
    assert [item["type"] for item in talk.last("response.done")["response"]["output"]] == ["message"]


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_a_limit_on_tokens_leaves_the_answer_incomplete(modality: str) -> None:
    talk = Talk({2000: "one"}, {"one": Said("word " * 100)})
    talk.send("session.update", session={"type": "realtime", "output_modalities": [modality], "max_output_tokens": 40})
    talk.turn(2000)
    done = talk.last("response.done")["response"]
    assert done["status"] == "incomplete"
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["output"][0]["status"] == "incomplete"
    assert 30 <= done["usage"]["output_tokens"] <= 240


def test_a_voice_that_fails_fails_the_response_and_not_the_session() -> None:
    talk = Talk(speaks=False)
    talk.send("response.create")
    response_id = talk.last("response.created")["response"]["id"]
    talk.perform(talk.session.voice_ended(response_id, talk.now_s, failed=True))
    assert talk.last("response.done")["response"]["status"] == "failed"
    assert kinds(talk.send("response.create")) == ["response.created"]


def test_late_work_for_a_cancelled_response_is_ignored() -> None:
    talk = Talk(speaks=False)
    talk.send("response.create")
    response_id = talk.last("response.created")["response"]["id"]
    talk.send("response.cancel")
    assert talk.session.voiced(response_id, 0, speech(500, 20), talk.now_s) == []
    assert talk.session.voice_ended(response_id, talk.now_s) == []


def test_a_replayed_conversation_is_lived_through_again() -> None:
    talk = Talk({2000: "and now"})
    for role, kind, text in [
        ("user", "input_text", "my car was hit"),
        ("assistant", "output_text", "I am sorry."),
        ("user", "input_text", "yesterday"),
        ("assistant", "output_text", "I see."),
    ]:
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        talk.send("conversation.item.create", item=item)
    talk.turn(2000)
    assert talk.dialogue.happened == ["hear my car was hit", "hear yesterday", "hear and now"]
