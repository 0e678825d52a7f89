"""SIGTERM: no new calls, the live one goes on to its end, or to the drain's, and everything is written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.demo.listening import find_faults
from service.outbox.receiver import Receiver
from service.outbox.signature import parse_secrets
from sip.wav import read_line_audio, write_line_audio
from tests import peers
from tests.acceptance.product import SECRET, has_ended, serving
from tests.speech_material import LINE_HZ, Prompt, load, words

pytestmark = [pytest.mark.alone, pytest.mark.real, pytest.mark.speech]

PROMPT = Prompt("asterisk", "number-not-answering", "The number is not answering.")
LEAD_S = 4.0
"""The worker is told to end before the caller has said anything."""
TAIL_S = 3.0


async def test_a_live_call_goes_on_while_new_ones_are_refused(engine_url: str, tmp_path: Path) -> None:
    silence = [np.zeros(int(seconds * LINE_HZ), np.int16) for seconds in (LEAD_S, TAIL_S + 10)]
    write_line_audio(tmp_path / "speech.wav", np.concatenate([silence[0], load(PROMPT), silence[1]]))
    talk_s = LEAD_S + load(PROMPT).size / LINE_HZ + TAIL_S
    async with (
        Receiver(parse_secrets(SECRET)) as receiver,
        serving(tmp_path, engine_url, webhook_url=receiver.url, CLAIM__EXTRACT="off") as service,
    ):
        assert await service.ready_status() == 200
        target = f"sip:claims@127.0.0.1:{service.sip_port}"
        calling = asyncio.create_task(
            peers.baresip_call(target, tmp_path / "speech.wav", tmp_path, codec="PCMA", seconds=talk_s)
        )
        await service.until_calls(lambda calls: any(call["state"] == "LIVE" for call in calls))
        service.command.terminate()
        refused = await peers.sipp("unavailable", service.sip_port, tmp_path)
        assert refused.code == 0, refused.messages
        assert await service.ready_status() == 503
        assert await service.metric("claimline_calls_total", result="rejected", reason="draining") == 1
        assert [call["state"] for call in await service.calls()] == ["LIVE"]
        _, recording = await calling
        assert await service.command.exit_code() == 0
        messages = await receiver.wait_for(has_ended(), 1)
    assert [message.type for message in messages] == ["call.started", "turn.transcribed", "call.ended"]
    assert words(messages[1].data["transcript"]) == words(PROMPT.text)
    assert (messages[-1].data["result"], messages[-1].data["reason"]) == ("success", "caller_hung_up")
    # An independent user agent has heard the agent, whole.
    assert recording is not None
    heard = read_line_audio(recording)
    assert np.count_nonzero(np.abs(heard.astype(int)) > 1000) > LINE_HZ / 2
    assert not find_faults(heard).any


async def test_a_call_that_outlasts_the_drain_is_hung_up_and_written(engine_url: str, tmp_path: Path) -> None:
    async with (
        Receiver(parse_secrets(SECRET)) as receiver,
        serving(tmp_path, engine_url, webhook_url=receiver.url, SIP__DRAIN_TIMEOUT_S="1.0") as service,
    ):
        calling = asyncio.create_task(peers.sipp("wait_for_bye", service.sip_port, tmp_path))
        await service.until_calls(lambda calls: any(call["state"] == "LIVE" for call in calls))
        service.command.terminate()
        call = await calling
        assert call.code == 0, call.messages
        assert await service.command.exit_code() == 0
        messages = await receiver.wait_for(has_ended(), 1)
    assert [message.type for message in messages] == ["call.started", "call.ended"]
    ended = messages[-1].data
    assert (ended["result"], ended["reason"]) == ("server_error", "drain_timeout")
    assert ended["duration_s"] >= 1.0
