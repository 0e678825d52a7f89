"""Events come in the order, and with the neighbours, that recordings of the real service show."""

from __future__ import annotations

from tests.engine.scripted_speech import Said, SaidTool, silence, speech
from tests.engine.talk import Talk, kinds

SPOKEN_ANSWER = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
]
FUNCTION_CALL = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]
END_TOOL = {"type": "function", "name": "end_call", "description": "Hang up.", "parameters": {"type": "object"}}


def test_a_turn_found_by_voice_activity() -> None:
    talk = Talk({2000: "hello there"}, {"hello there": Said("Good.")})
    events = talk.turn(2000)
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        *SPOKEN_ANSWER,
        "response.done",
        "rate_limits.updated",
    ]
    user = events[0]["item_id"]
    assert [event["item_id"] for event in events[1:3]] == [user, user]
    assert events[3]["item"] == {
        "id": user,
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    assert events[4]["item"] == events[3]["item"]
    answer = events[6]["item"]
    assert answer["status"] == "in_progress"
    assert answer["content"] == []
    assert events[7]["previous_item_id"] == user
    done = events[-2]["response"]
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Good."}]
    assert done["conversation_id"]


def test_times_of_a_turn_include_the_padding_and_the_hang_over() -> None:
    talk = Talk()
    talk.hears(silence(1000))
    events = talk.turn(2000, 2000)
    # 300 ms before the onset at 1,000 ms; 200 ms after the end at 3,000 ms.
    assert events[0]["audio_start_ms"] == 700
    assert events[1]["audio_end_ms"] == 3200
    assert talk.last("response.done")["response"]["usage"]["input_token_details"]["audio_tokens"] == 25


def test_the_built_in_transcription_runs_beside_the_response() -> None:
    talk = Talk({2000: "hello there"})
    talk.send(
        "session.update",
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}},
    )
    talk.recognizes = False
    assert kinds(talk.turn(2000))[-1] == "response.created"
    events = talk.recognize()
    assert kinds(events)[:2] == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert events[1]["transcript"] == "hello there"
    assert events[1]["usage"] == {"type": "duration", "seconds": 2}


def test_a_round_with_a_tool() -> None:
    talk = Talk({2000: "bye"}, {"bye": Said("Goodbye.", SaidTool("end_call", {"reason": "done"}))})
    talk.send("session.update", session={"type": "realtime", "tools": [END_TOOL]})
    events = talk.turn(2000)
    after = events[kinds(events).index("response.created") :]
    assert kinds(after) == [
        "response.created",
        *SPOKEN_ANSWER,
        *FUNCTION_CALL,
        "response.done",
        "rate_limits.updated",
    ]
    done = talk.last("response.done")["response"]
    assert [item["type"] for item in done["output"]] == ["message", "function_call"]
    call = done["output"][1]
    assert (call["name"], call["arguments"]) == ("end_call", '{"reason": "done"}')

    answered = talk.send(
        "conversation.item.create", item={"type": "function_call_output", "call_id": call["call_id"], "output": "{}"}
    )
    assert kinds(answered) == ["conversation.item.added", "conversation.item.done"]
    assert answered[0]["previous_item_id"] == call["id"]
    assert kinds(talk.send("response.create")) == ["response.created", "response.done", "rate_limits.updated"]
    assert talk.last("response.done")["response"]["output"] == []


def test_a_written_turn() -> None:
    talk = Talk()
    talk.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    assert kinds(talk.send("conversation.item.create", item=item)) == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert kinds(talk.send("response.create")) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]


def test_an_interruption_closes_the_message_before_the_response() -> None:
    talk = Talk({2000: "hello there"}, speaks=False)
    talk.turn(2000)
    talk.speak(talk.last("response.created")["response"]["id"], words=2)
    events = talk.hears(speech(3000, 100))
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = events[-2]["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
