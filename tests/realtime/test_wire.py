"""JSON ⇄ events: what a server sends becomes a value, and what we send is what the protocol's own types allow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.call.summary import summary_item, summary_request
from service.call.tools import TOOLS, tool_output
from service.config import Realtime, Session, Transcription
from service.realtime import commands, events, wire
from service.realtime.payload import listening_off, session_payload
from service.transcript.request import transcript_request
from tests.realtime_schema import check_client_event


def payload(realtime: Realtime | None = None, **transcription: Any) -> dict[str, Any]:
    return session_payload(realtime or Realtime(), Transcription(**transcription), instructions="Be kind.", tools=TOOLS)


def session(**fields: Any) -> Realtime:
    return Realtime(session=Session.model_validate(fields))


SENT = {
    "defaults": commands.SessionUpdate(event_id="e", session=payload()),
    "second opinion": commands.SessionUpdate(session=payload(asr_model="gpt-transcribe")),
    "semantic": commands.SessionUpdate(
        session=payload(session(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}))
    ),
    "everything": commands.SessionUpdate(
        session=payload(
            session(
                audio={
                    "input": {
                        "noise_reduction": {"type": "far_field"},
                        "turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000},
                        "transcription": {"language": "en", "prompt": "policy numbers"},
                    },
                    "output": {"speed": 1.1},
                },
                max_output_tokens=2048,
                tool_choice="auto",
                parallel_tool_calls=False,
                reasoning={"effort": "low"},
                truncation={"retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}},
                tracing={"workflow_name": "claims"},
                include=["item.input_audio_transcription.logprobs"],
            ),
            asr_model="gpt-4o-transcribe",
        )
    ),
    "listening off": commands.SessionUpdate(event_id="off", session=listening_off()),
    "audio": commands.AudioAppend(audio=b"\x01\x02" * 480),
    "commit": commands.AudioCommit(event_id="c"),
    "clear": commands.AudioClear(event_id="c"),
    "truncate": commands.ItemTruncate(item_id="item_1", content_index=0, audio_end_ms=1480),
    "delete": commands.ItemDelete(item_id="item_1"),
    "tool output": tool_output("call_1", "done"),
    "greeting": commands.ResponseCreate(event_id="agent_response"),
    "summary asked for": summary_request("summary_1", ["Caller: Hello.", "Agent: Hello."]),
    "summary first of all": summary_item("summary_1", "They crashed.", at_the_head=True),
    "summary for a new session": summary_item("summary_1", "They crashed.", at_the_head=False),
    "cancel": commands.ResponseCancel(response_id="resp_1"),
    "transcript of a turn": transcript_request(
        "item_2", earlier_item_ids=["item_1"], context="turn", instructions="Write.", max_output_tokens=100
    ),
    "transcript in full context": transcript_request(
        "item_2", earlier_item_ids=["item_1"], context="full", instructions="Write.", max_output_tokens=100
    ),
    "transcript in the context of two": transcript_request(
        "item_2", earlier_item_ids=["item_0", "item_1"], context=2, instructions="Write.", max_output_tokens=100
    ),
}


@pytest.mark.parametrize("event", SENT.values(), ids=list(SENT))
def test_what_we_send_is_the_protocols(event: commands.ClientEvent) -> None:
    check_client_event(wire.encode(event))


def test_every_client_event_is_checked() -> None:
    assert {type(event) for event in SENT.values()} == set(commands.ClientEvent.__args__)


def test_audio_travels_as_base64_both_ways() -> None:
    assert json.loads(wire.encode(commands.AudioAppend(audio=b"\x00\x01")))["audio"] == "AAE="
    event = wire.decode('{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AAE="}')
    assert event == events.AudioDelta(response_id="r", item_id="i", delta=b"\x00\x01")


def test_fields_that_we_do_not_know_are_no_trouble() -> None:
    event = wire.decode('{"type":"input_audio_buffer.committed","item_id":"a","obfuscation":"x","new":{"deep":[1]}}')
    assert event == events.Committed(item_id="a")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"type":"rate_limits.updated","rate_limits":[]}', events.Ignored("rate_limits.updated")),
        ('{"type":"response.holographic.delta"}', events.Unknown("response.holographic.delta")),
        ("nonsense", events.Malformed("", "not a JSON object with a type")),
        ('{"type":17}', events.Malformed("", "not a JSON object with a type")),
        ("[" * 100_000, events.Malformed("", "not a JSON object with a type")),
        (b"\xff\xfe", events.Malformed("", "not a JSON object with a type")),
    ],
)
def test_strange_messages_become_values(raw: str | bytes, expected: events.ServerEvent) -> None:
    assert wire.decode(raw) == expected


def test_a_known_event_with_wrong_fields_says_what_is_wrong() -> None:
    event = wire.decode('{"type":"input_audio_buffer.speech_started","item_id":"a","audio_start_ms":"soon"}')
    assert isinstance(event, events.Malformed)
    assert "audio_start_ms" in event.problem


@pytest.mark.parametrize("audio_end_ms", [10**400, 2**31, -(2**40)])
def test_a_time_that_cannot_be_reckoned_with_is_malformed(audio_end_ms: int) -> None:
    stopped = {"type": "input_audio_buffer.speech_stopped", "item_id": "a", "audio_end_ms": audio_end_ms}
    assert isinstance(wire.decode(json.dumps(stopped)), events.Malformed)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_json_whatever_raises(value: object) -> None:
    wire.decode(json.dumps(value))
    wire.as_dict(json.dumps(value))


@given(
    st.sampled_from(sorted(events.IGNORED) + [kind.__struct_config__.tag for kind in events.Known.__args__]),
    st.dictionaries(
        st.sampled_from(["item", "response", "delta", "item_id", "error", "session", "usage"]),
        st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.none()),
    ),
)
def test_no_known_type_with_any_fields_raises(kind: str, fields: dict[str, object]) -> None:
    wire.decode(json.dumps({"type": kind, **fields}))
