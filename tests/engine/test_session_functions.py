"""Functions that a response must call beside the conversation, what their outputs lead to, and summaries."""

from __future__ import annotations

from typing import Any

import pytest

from service.engine.responses import NO_LANGUAGE_MODEL
from tests.engine.scripted_speech import Said, SaidTool
from tests.engine.talk import Event, Talk, kinds

NOTE = {"type": "function", "name": "note", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "other", "parameters": {"type": "object"}}


def text_message(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def beside(talk: Talk, *, valid: bool = True, **fields: Any) -> list[Event]:
    response = {
        "conversation": "none",
        "output_modalities": ["text"],
        "instructions": "Note the claim.",
        "input": [text_message("caller 1: hello")],
        **fields,
    }
    return talk.send("response.create", valid=valid, event_id="mine", response=response)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "note"}])
def test_a_function_that_must_be_called_is_called(choice: Any) -> None:
    talk = Talk()
    events = beside(talk, tools=[NOTE], tool_choice=choice, metadata={"purpose": "claim"})
    # As a recorded round with a tool has them, without the conversation's own.
    assert kinds(events) == [
        "response.created",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    begun = events[1]["item"]
    assert (begun["name"], begun["arguments"], begun["status"]) == ("note", "", "in_progress")
    done = events[-2]["response"]
    assert (done["status"], done["conversation_id"], done["metadata"]) == ("completed", None, {"purpose": "claim"})
    [item] = done["output"]
    assert (item["arguments"], item["status"]) == ('{"text": "caller 1: hello"}', "completed")
    assert item["call_id"] == events[2]["call_id"]
    # 27 bytes of arguments, the name, and the item itself.
    assert done["usage"]["output_token_details"] == {"text_tokens": 7 + 1 + 4, "audio_tokens": 0}
    assert talk.send("conversation.item.retrieve", item_id=item["id"])[0]["type"] == "error"


def test_a_function_that_it_does_not_know_is_called_with_nothing() -> None:
    events = beside(Talk(), tools=[OTHER], tool_choice={"type": "function", "name": "other"})
    assert events[-2]["response"]["output"][0]["arguments"] == "{}"


def test_a_function_that_may_be_called_is_not() -> None:
    done = beside(Talk(), tools=[NOTE])[-2]["response"]
    assert done["output"][0]["content"][0]["text"] == NO_LANGUAGE_MODEL


def test_a_function_that_is_none_of_the_tools_is_refused() -> None:
    [refused] = beside(Talk(), tools=[OTHER], tool_choice={"type": "function", "name": "note"})
    assert (refused["error"]["code"], refused["error"]["param"]) == ("invalid_value", "response.tool_choice")
    assert refused["error"]["event_id"] == "mine"


def test_arguments_beyond_the_limit_are_cut_off_and_incomplete() -> None:
    done = beside(Talk(), tools=[NOTE], tool_choice="required", max_output_tokens=4)[-2]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert done["output"][0]["status"] == "incomplete"
    assert done["output"][0]["arguments"] == '{"text": "caller'


def test_the_choice_of_a_tool_is_kept_and_echoed_by_the_session() -> None:
    talk = Talk()
    choice = {"type": "function", "name": "note"}
    [updated] = talk.send("session.update", session={"type": "realtime", "tools": [NOTE], "tool_choice": choice})
    assert updated["session"]["tool_choice"] == choice
    assert beside(talk)[-2]["response"]["output"][0]["name"] == "note"


def test_the_output_of_a_function_reaches_the_dialogue_under_its_name() -> None:
    script = {"done": Said("One moment.", SaidTool("submit")), "submit 17": Said("It is number 17.")}
    talk = Talk({2000: "done"}, script)
    tool = {"type": "function", "name": "submit", "parameters": {"type": "object"}}
    talk.send("session.update", session={"type": "realtime", "tools": [tool]})
    talk.turn(2000)
    assert talk.dialogue.functions == {"submit"}
    call = talk.last("response.done")["response"]["output"][1]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "17"}
    talk.send("conversation.item.create", item=output)
    talk.send("response.create")
    assert talk.last("response.output_audio_transcript.done")["transcript"] == "It is number 17."


def summary(talk: Talk, **fields: Any) -> str:
    done = beside(talk, metadata={"purpose": "summary"}, **fields)[-2]["response"]
    assert done["status"] == "completed"
    return str(done["output"][0]["content"][0]["text"])


def test_a_summary_is_made_of_the_messages_it_is_given() -> None:
    talk = Talk({2000: "my car was hit"})
    assert summary(talk, tools=[], tool_choice="none") == "user: caller 1: hello"
    talk.turn(2000)
    spoken, answer = talk.last("input_audio_buffer.committed")["item_id"], "You said my car was hit."
    assert summary(talk, input=[{"type": "item_reference", "id": spoken}]) == "user: my car was hit"
    talk.send("conversation.item.create", item=text_message("Earlier.", "system"), previous_item_id="root")
    whole = beside(talk, metadata={"purpose": "summary"})
    assert whole[-2]["response"]["output"][0]["content"][0]["text"] == "user: caller 1: hello"
    response = {"conversation": "none", "output_modalities": ["text"], "metadata": {"purpose": "summary"}}
    done = talk.send("response.create", response=response)[-2]["response"]
    text = f"system: Earlier. / user: my car was hit / assistant: {answer}"
    assert done["output"][0]["content"][0]["text"] == text


def test_a_summary_waits_for_the_words_of_every_turn() -> None:
    talk = Talk({2000: "one", 3000: "two"}, recognizes=False)
    talk.turn(2000)
    talk.turn(3000)
    references = [
        {"type": "item_reference", "id": event["item_id"]} for event in talk.named("input_audio_buffer.committed")
    ]
    assert kinds(beside(talk, input=references, metadata={"purpose": "summary"})) == ["response.created"]
    talk.recognize()
    texts = [
        event["response"]["output"][0]["content"][0]["text"]
        for event in talk.named("response.done")
        if event["response"]["metadata"]
    ]
    assert texts == ["user: one / user: two"]
