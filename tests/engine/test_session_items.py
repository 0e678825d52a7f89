"""Items of a conversation: put in, looked at, cut, taken out, and every way that can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.scripted_speech import Said
from tests.engine.talk import Event, Talk, kinds


def user(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


def error(events: list[Event]) -> tuple[str, str | None]:
    [refused] = events
    assert refused["type"] == "error"
    return refused["error"]["code"], refused["error"]["param"]


def answered(talk: Talk) -> str:
    talk.turn(2000)
    return str(talk.last("response.done")["response"]["output"][0]["id"])


def test_items_stand_where_they_were_put() -> None:
    talk = Talk()
    for name in ("a", "b"):
        talk.send("conversation.item.create", item=user(name, id=name))
    assert talk.last("conversation.item.added")["previous_item_id"] == "a"
    talk.send("conversation.item.create", item=user("c", id="c"), previous_item_id="a")
    assert talk.last("conversation.item.added")["previous_item_id"] == "a"
    talk.send("conversation.item.create", item=user("d", id="d"), previous_item_id="root")
    assert talk.last("conversation.item.added")["previous_item_id"] is None


def test_what_is_put_before_an_answer_is_not_to_be_answered() -> None:
    talk = Talk({2000: "one"})
    answered(talk)
    talk.send("conversation.item.create", item=user("a", id="a"), previous_item_id="root")
    talk.send("conversation.item.create", item=user("b", id="b"), previous_item_id="a")
    talk.send("conversation.item.create", item=user("c", id="c"))
    assistant = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "before"}]}
    talk.send("conversation.item.create", item=assistant, previous_item_id="root")
    talk.send("response.create")
    assert talk.dialogue.happened == ["hear one", "hear c"]


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (user("again", id="taken"), "item_create_duplicate_item_id", "item.id"),
        (user("x", id="no spaces"), "invalid_value", "item.id"),
        (user("x", id="x" * 33), "invalid_value", "item.id"),
        (
            {"type": "message", "role": "user", "content": [{"type": "output_text", "text": "x"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "?"}]},
            "invalid_value",
            "item.content[0].audio",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_text"}]},
            "missing_required_parameter",
            "item.content[0].text",
        ),
        ({"type": "message", "role": "nobody", "content": []}, "invalid_value", "item.role"),
        ({"type": "function_call_output", "call_id": "call_x", "output": ""}, "invalid_tool_call_id", "item.call_id"),
        ({"type": "item_reference", "id": "taken"}, "invalid_value", "item.type"),
    ],
)
def test_items_that_cannot_be(item: dict[str, Any], code: str, param: str) -> None:
    talk = Talk()
    talk.send("conversation.item.create", item=user("first", id="taken"))
    assert error(talk.send("conversation.item.create", valid=False, item=item)) == (code, param)


def test_an_unknown_neighbour_is_refused() -> None:
    talk = Talk()
    events = talk.send("conversation.item.create", item=user("x"), previous_item_id="nowhere")
    assert error(events) == ("invalid_value", "previous_item_id")


def test_retrieve_and_delete() -> None:
    talk = Talk()
    talk.send("conversation.item.create", item=user("hello", id="mine"))
    [retrieved] = talk.send("conversation.item.retrieve", item_id="mine")
    assert retrieved["item"]["content"] == [{"type": "input_text", "text": "hello"}]
    assert kinds(talk.send("conversation.item.delete", item_id="mine")) == ["conversation.item.deleted"]
    assert error(talk.send("conversation.item.retrieve", item_id="mine"))[0] == "item_retrieve_invalid_item_id"
    assert error(talk.send("conversation.item.delete", item_id="mine"))[0] == "item_delete_invalid_item_id"
    talk.send("response.create")
    assert talk.dialogue.happened == ["greet"]


def test_truncation_cuts_to_what_was_heard_and_removes_the_words() -> None:
    talk = Talk({2000: "one"}, {"one": Said("Alpha beta gamma.")})
    item = answered(talk)
    [truncated] = talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=250)
    assert (truncated["item_id"], truncated["content_index"], truncated["audio_end_ms"]) == (item, 0, 250)
    [retrieved] = talk.send("conversation.item.retrieve", item_id=item)
    assert retrieved["item"]["content"][0]["transcript"] is None
    # The next request carries only what was heard: 250 ms are 5 tokens; the caller's turns 12 and 14.
    talk.turn(2000)
    assert talk.last("response.done")["response"]["usage"]["input_token_details"]["audio_tokens"] == 12 + 14 + 5


def test_truncation_beyond_the_audio_is_refused() -> None:
    talk = Talk({2000: "one"}, {"one": Said("Alpha beta gamma.")})
    item = answered(talk)
    events = talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=601)
    assert error(events) == ("invalid_value", "audio_end_ms")
    assert events[0]["error"]["message"] == "Audio content of 600ms is already shorter than 601ms."
    assert kinds(talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=600)) == [
        "conversation.item.truncated"
    ]


def test_only_what_the_agent_spoke_can_be_truncated() -> None:
    talk = Talk({2000: "one"})
    item = answered(talk)
    callers = talk.last("input_audio_buffer.committed")["item_id"]
    for item_id, index in ((callers, 0), (item, 1)):
        events = talk.send("conversation.item.truncate", item_id=item_id, content_index=index, audio_end_ms=0)
        assert error(events)[0] == "unsupported_content_type"
    events = talk.send("conversation.item.truncate", item_id="nowhere", content_index=0, audio_end_ms=0)
    assert error(events)[0] == "item_truncate_invalid_item_id"
    events = talk.send("conversation.item.truncate", valid=False, item_id=item, content_index=0, audio_end_ms=1.5)
    assert error(events) == ("invalid_type", "audio_end_ms")


GARBAGE = [
    (b"", "invalid_json"),
    (b"\xff\xfe\x00", "invalid_json"),
    (b"[" * 100_000, "invalid_json"),
    (b"null", "invalid_type"),
    (b'"response.create"', "invalid_type"),
    (b"{}", "missing_required_parameter"),
    (b'{"type": 7}', "invalid_value"),
    (b'{"type": "response.explode"}', "invalid_value"),
    (b'{"type": "output_audio_buffer.clear"}', "invalid_value"),
    (b'{"type": "response.create", "response": []}', "invalid_type"),
    (b'{"type": "response.create", "response": {"metadata": {"n": 1}}}', "invalid_type"),
    (b'{"type": "response.create", "response": {"conversation": "maybe"}}', "invalid_value"),
    (b'{"type": "input_audio_buffer.append"}', "missing_required_parameter"),
    (b'{"type": "session.update", "session": {"type": "transcription"}}', "invalid_value"),
    (
        b'{"type": "conversation.item.truncate", "item_id": "a", "content_index": -1, "audio_end_ms": 1}',
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("message", "code"), GARBAGE)
def test_garbage_is_answered_with_an_error_and_the_session_goes_on(message: bytes, code: str) -> None:
    talk = Talk()
    assert error(talk.raw(message))[0] == code
    assert kinds(talk.send("response.create"))[-1] == "rate_limits.updated"


def test_an_error_names_the_event_that_caused_it() -> None:
    talk = Talk()
    [refused] = talk.raw(b'{"type": "response.explode", "event_id": "evt_1"}')
    assert refused["error"]["event_id"] == "evt_1"
