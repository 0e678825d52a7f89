"""session.update: what is echoed, what is kept, what is refused and how."""

from __future__ import annotations

from typing import Any

import pytest

from service.engine.session_config import DEFAULT_INSTRUCTIONS
from tests.engine.scripted_speech import silence, speech
from tests.engine.talk import Talk


def update(talk: Talk, *, valid: bool = True, **fields: Any) -> dict[str, Any]:
    return talk.send("session.update", valid=valid, event_id="mine", session={"type": "realtime", **fields})[-1]


def test_the_session_opens_with_the_defaults_of_the_service() -> None:
    talk = Talk()
    [created] = talk.events
    session = created["session"]
    assert created["type"] == "session.created"
    assert session["model"] == "gpt-realtime-2.1"
    assert session["object"] == "realtime.session"
    assert session["expires_at"] == 1_800_003_600
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
            "idle_timeout_ms": None,
            "create_response": True,
            "interrupt_response": True,
        },
    }
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "alloy",
        "speed": 1.0,
    }


def test_an_update_changes_what_it_names_and_echoes_everything() -> None:
    talk = Talk()
    before = talk.events[0]["session"]
    updated = update(
        talk,
        audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}},
        instructions="Be brief.",
    )
    assert updated["type"] == "session.updated"
    expected = {**before, "instructions": "Be brief."}
    expected["audio"]["input"]["turn_detection"]["silence_duration_ms"] = 500
    assert updated["session"] == expected
    assert update(talk, instructions="")["session"]["instructions"] == DEFAULT_INSTRUCTIONS


def test_another_kind_of_turn_detection_takes_its_own_defaults() -> None:
    talk = Talk()
    update(talk, audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 900}}})
    semantic = update(talk, audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    assert semantic["session"]["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    server = update(talk, audio={"input": {"turn_detection": {"type": "server_vad"}}})
    assert server["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 200
    assert (
        update(talk, audio={"input": {"turn_detection": None}})["session"]["audio"]["input"]["turn_detection"] is None
    )


@pytest.mark.parametrize(("eagerness", "silence_ms"), [("high", 500), ("auto", 800), ("low", 1500)])
def test_the_less_eager_the_longer_a_semantic_turn_lasts(eagerness: str, silence_ms: int) -> None:
    talk = Talk()
    update(talk, audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}})
    talk.hears(speech(2000, 500))
    talk.hears(silence(silence_ms - 40))
    assert not talk.named("input_audio_buffer.speech_stopped")
    talk.hears(silence(40))
    assert talk.named("input_audio_buffer.speech_stopped")


REFUSED = [
    ({"turn_detection": None}, "unknown_parameter", "session.turn_detection"),
    ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
    ({"instructions": 5}, "invalid_type", "session.instructions"),
    ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
    ({"output_modalities": ["video"]}, "invalid_value", "session.output_modalities[0]"),
    ({"model": "another"}, "invalid_value", "session.model"),
    ({"max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
    ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
    ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "invalid_value", "session.audio.input.format.type"),
    ({"audio": {"output": {"speed": 9.0}}}, "invalid_value", "session.audio.output.speed"),
    (
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.5}}}},
        "invalid_value",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        {"audio": {"input": {"turn_detection": {"type": "psychic"}}}},
        "invalid_value",
        "session.audio.input.turn_detection.type",
    ),
]


@pytest.mark.parametrize(("fields", "code", "param"), REFUSED)
def test_what_cannot_be_set_is_refused_by_name_and_nothing_changes(
    fields: dict[str, Any], code: str, param: str
) -> None:
    talk = Talk()
    before = talk.events[0]["session"]
    refused = update(talk, valid=False, **{"tool_choice": "none", **fields})
    assert refused["type"] == "error"
    error = refused["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "mine"
    assert update(talk)["session"] == before


def test_the_kind_of_session_must_be_named() -> None:
    talk = Talk()
    [refused] = talk.send("session.update", valid=False, session={})
    assert (refused["error"]["code"], refused["error"]["param"]) == ("missing_required_parameter", "session.type")


def test_the_voice_is_fixed_once_it_has_spoken() -> None:
    talk = Talk()
    assert update(talk, audio={"output": {"voice": "marin"}})["session"]["audio"]["output"]["voice"] == "marin"
    talk.send("response.create")
    assert update(talk, audio={"output": {"voice": "cedar"}})["error"]["code"] == "cannot_update_voice"
    assert update(talk, audio={"output": {"voice": "marin"}})["type"] == "session.updated"
