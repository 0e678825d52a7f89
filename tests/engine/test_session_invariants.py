"""Whatever a client does: every event is valid, every response ends once, and no two main ones overlap."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.scripted_speech import Said, SaidTool, silence, speech
from tests.engine.talk import Talk, encoded

TEXTS = {2000: "one", 3000: "two", 4000: "bye"}
SCRIPT = {"bye": Said("Goodbye now.", SaidTool("end_call"))}
END_TOOL = {"type": "function", "name": "end_call", "parameters": {"type": "object"}}
ITEMS = [f"item_{n:04d}" for n in range(1, 90)]

item_ids = st.sampled_from(ITEMS)
steps: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("speech"), st.tuples(st.sampled_from(sorted(TEXTS)), st.sampled_from([60, 400]))),
    st.tuples(st.just("silence"), st.sampled_from([100, 260, 700])),
    st.tuples(st.just("recognize"), st.none()),
    st.tuples(st.just("speak"), st.integers(1, 6)),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 6.0])),
    st.tuples(st.just("commit"), st.none()),
    st.tuples(st.just("clear"), st.none()),
    st.tuples(st.just("detect"), st.sampled_from([None, "server_vad", "semantic_vad"])),
    st.tuples(st.just("respond"), st.sampled_from(["auto", "none"])),
    st.tuples(st.just("refer"), item_ids),
    st.tuples(st.just("cancel"), st.none()),
    st.tuples(st.just("truncate"), st.tuples(item_ids, st.sampled_from([0, 150, 5000]))),
    st.tuples(st.just("delete"), item_ids),
    st.tuples(st.just("write"), st.sampled_from(["user", "assistant"])),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=25))
def test_every_response_ends_once_and_main_ones_never_overlap(script: list[tuple[str, Any]]) -> None:
    talk = Talk(TEXTS, SCRIPT, recognizes=False, speaks=False)
    talk.send("session.update", session={"type": "realtime", "tools": [END_TOOL]})
    for name, value in script:
        act(talk, name, value)
    settle(talk)
    check(talk)


def act(talk: Talk, name: str, value: Any) -> None:  # noqa: PLR0912 - a step each
    match name:
        case "speech":
            level, duration_ms = value
            talk.send("input_audio_buffer.append", audio=encoded(speech(level, duration_ms)))
        case "silence":
            talk.send("input_audio_buffer.append", audio=encoded(silence(value)))
        case "recognize":
            talk.recognize()
        case "speak":
            for response_id in list(talk.speeches):
                talk.speak(response_id, words=value)
        case "wait":
            talk.wait(value)
        case "commit" | "clear":
            talk.send(f"input_audio_buffer.{name}")
        case "detect":
            detection = value and {"type": value} | ({"idle_timeout_ms": 5000} if value == "server_vad" else {})
            talk.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
        case "respond":
            talk.send("response.create", response={"conversation": value})
        case "refer":
            reference = {"type": "item_reference", "id": value}
            talk.send("response.create", response={"conversation": "none", "input": [reference]})
        case "cancel":
            talk.send("response.cancel")
        case "truncate":
            item_id, audio_end_ms = value
            talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=audio_end_ms)
        case "delete":
            talk.send("conversation.item.delete", item_id=value)
        case "write":
            kind = "input_text" if value == "user" else "output_text"
            item = {"type": "message", "role": value, "content": [{"type": kind, "text": "words"}]}
            talk.send("conversation.item.create", item=item)


def settle(talk: Talk) -> None:
    while talk.recognitions or talk.speeches:
        talk.recognize()
        for response_id in list(talk.speeches):
            talk.speak(response_id)
            talk.speeches.pop(response_id, None)


def check(talk: Talk) -> None:
    open_main: str | None = None
    opened: set[str] = set()
    for event in talk.events:
        response = event.get("response", {})
        if event["type"] == "response.created":
            opened.add(response["id"])
            if response["conversation_id"] is not None:
                assert open_main is None
                open_main = response["id"]
        elif event["type"] == "response.done":
            opened.remove(response["id"])
            open_main = None if response["id"] == open_main else open_main
            assert (response["status"] == "completed") == (response["status_details"] is None)
            assert all(item["status"] != "in_progress" for item in response["output"])
        elif "response_id" in event:
            assert event["response_id"] in opened
    assert not opened
