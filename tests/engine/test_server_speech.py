"""The whole engine with its real ears, voice and brain: a human voice in, a transcript and a spoken answer out."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from service.config import Agent, Engine
from service.engine.main import local_speech
from service.engine.rates import Pcm16
from service.engine.server import Limits, engine_server
from tests.engine.talk import encoded
from tests.realtime_schema import check_server_event
from tests.speech_material import CALL_PROMPTS, load, over_the_telephone, word_error_rate

pytestmark = pytest.mark.speech


async def test_a_human_turn_is_written_down_and_answered() -> None:
    prompts = CALL_PROMPTS[:3]
    heard: list[tuple[str, str]] = []
    async with (
        local_speech(Engine(), Agent()) as speech,
        engine_server(speech, "127.0.0.1", 0, Limits(pace=1000.0)) as url,
        asyncio.timeout(60),
        connect(url, max_size=None) as socket,
    ):
        detection = {"type": "server_vad", "silence_duration_ms": 500}
        await send(
            socket, "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        )
        for prompt in prompts:
            text, spoken = await turn(socket, over_the_telephone(load(prompt)))
            heard.append((prompt.text, text))
            assert np.sqrt(np.mean(np.square(spoken.astype(np.float64)))) > 300
    assert word_error_rate(heard) <= 0.1


async def turn(socket: ClientConnection, pcm: Pcm16) -> tuple[str, Pcm16]:
    """The out-of-band transcript of a turn, and the agent's audio after it."""
    for first in range(0, pcm.size, 480):
        await send(socket, "input_audio_buffer.append", audio=encoded(pcm[first : first + 480]))
    spoken, transcript, answered = b"", None, False
    while transcript is None or not answered:
        raw = await socket.recv()
        check_server_event(raw)
        event = json.loads(raw)
        match event["type"]:
            case "conversation.item.added" if event["item"].get("role") == "user":
                reference = {"type": "item_reference", "id": event["item"]["id"]}
                response = {"conversation": "none", "output_modalities": ["text"], "input": [reference]}
                await send(socket, "response.create", response=response)
            case "response.output_audio.delta":
                spoken += base64.b64decode(event["delta"])
            case "response.done" if event["response"]["conversation_id"] is None:
                transcript = event["response"]["output"][0]["content"][0]["text"]
            case "response.done":
                answered = event["response"]["status"] == "completed"
    return transcript, np.frombuffer(spoken, np.int16)


async def send(socket: ClientConnection, event_type: str, **fields: object) -> None:
    await socket.send(json.dumps({"type": event_type, **fields}))
