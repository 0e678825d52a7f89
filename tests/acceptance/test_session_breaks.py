"""The websocket dies while the caller speaks: the caller stays on the line, and every word arrives once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.outbox.receiver import Receiver
from service.outbox.signature import parse_secrets
from tests import peers
from tests.acceptance.cut_proxy import CutProxy
from tests.acceptance.product import SECRET, has_ended, serving
from tests.speech_material import CALL_PROMPTS, LINE_HZ, load, word_error_rate

pytestmark = [pytest.mark.real, pytest.mark.speech]

SAID = [prompt for prompt in CALL_PROMPTS if prompt.name in {"agent-alreadyon", "conf-onlyperson", "vm-nomore"}]
PAUSE_S = 2.0
CUT_AFTER_S = 1.0
"""Into the second prompt: in the middle of a word."""


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * LINE_HZ), np.int16)


async def test_no_word_is_lost_or_told_twice(engine_url: str, tmp_path: Path) -> None:
    clips = [load(prompt) for prompt in SAID]
    parts = [silence(PAUSE_S)]
    for clip in clips:
        parts += [clip, silence(PAUSE_S)]
    speech = np.concatenate(parts)
    (tmp_path / "speech.ulaw").write_bytes(peers.encode(speech, "PCMU"))
    proxy = CutProxy(engine_url)
    async with (
        proxy.running(),
        Receiver(parse_secrets(SECRET)) as receiver,
        serving(tmp_path, proxy.url, webhook_url=receiver.url) as service,
        asyncio.TaskGroup() as group,
    ):
        placed = group.create_task(
            peers.place_call(tmp_path / "speech.ulaw", service.sip_port, tmp_path, talk_s=len(speech) / LINE_HZ)
        )
        await service.until_calls(lambda calls: any(call["state"] == "LIVE" for call in calls))
        await asyncio.sleep(PAUSE_S + len(clips[0]) / LINE_HZ + PAUSE_S + CUT_AFTER_S)
        proxy.cut()
        assert (await placed).code == 0
        messages = await receiver.wait_for(has_ended(), 15)
        reconnects = await service.metric("claimline_realtime_reconnects_total")
    turns = [message.data for message in messages if message.type == "turn.transcribed"]
    ended = messages[-1].data
    assert (proxy.connections, reconnects) == (2, 1)
    assert [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
    assert {turn["source"] for turn in turns} == {"out_of_band"}
    heard, said = " ".join(turn["transcript"] for turn in turns), " ".join(prompt.text for prompt in SAID)
    assert word_error_rate([(said, heard)]) <= 0.1, heard
    assert ended["result"] == "success"
