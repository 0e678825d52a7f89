"""Configuration → the `session` of `session.update`. Every field the protocol has, by its own name."""

from __future__ import annotations

from typing import Any

from service.config import Realtime, Transcription

FORMAT = {"type": "audio/pcm", "rate": 24000}


def session_payload(
    realtime: Realtime, transcription: Transcription, *, instructions: str, tools: list[dict[str, Any]]
) -> dict[str, Any]:
    """The whole session, with nulls only where null means something to the server."""
    session = realtime.session
    turn_detection = session.audio.input.turn_detection.model_dump()
    noise = session.audio.input.noise_reduction
    asr: dict[str, Any] | None = None
    if transcription.asr_model:
        asr = {"model": transcription.asr_model, **session.audio.input.transcription.model_dump(exclude_none=True)}
    payload: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": instructions,
        "audio": {
            "input": {
                "format": FORMAT,
                "noise_reduction": noise.model_dump(exclude_none=True) if noise else None,
                "transcription": asr,
                "turn_detection": turn_detection,
            },
            "output": {"format": FORMAT, "voice": realtime.voice, "speed": session.audio.output.speed},
        },
        "tools": [*tools, *session.tools],
        "tool_choice": session.tool_choice,
        "max_output_tokens": session.max_output_tokens,
        "truncation": session.truncation
        if isinstance(session.truncation, str)
        else session.truncation.model_dump(exclude_none=True),
        "tracing": session.tracing,
    }
    if session.parallel_tool_calls is not None:
        payload["parallel_tool_calls"] = session.parallel_tool_calls
    if session.reasoning is not None:
        payload["reasoning"] = session.reasoning.model_dump()
    if session.include is not None:
        payload["include"] = list(session.include)
    return payload


def listening_off() -> dict[str, Any]:
    """The session change that ends turn detection, so that nothing is committed or answered by itself any more."""
    return {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
