"""The claims desk's receiver is killed in the middle of a call and started again: it misses nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import peers
from tests.acceptance.product import POLL_S, SECRET, Command, Service, running, serving
from tests.speech_material import LINE_HZ, Prompt, load, word_errors

pytestmark = [pytest.mark.real, pytest.mark.speech]

PROMPTS = (
    Prompt("asterisk", "call-forwarding", "Call forwarding."),
    Prompt("asterisk", "vm-repeat", "Press 5 to repeat the current message."),
    Prompt("asterisk", "conf-full", "That conference is full."),
)
PAUSE_S = 2.0


@asynccontextmanager
async def receiver(scratch: Path, port: int, *misdeeds: str) -> AsyncIterator[Command]:
    """`claimline receiver` with a journal that outlives it."""
    arguments = ("--port", str(port), "--journal", str(scratch / "taken.jsonl"), *misdeeds)
    settings = {"CLAIMLINE_WEBHOOK__SECRET": SECRET}
    log = scratch / "receiver.log"
    async with running("receiver", log, *arguments, ready="receiving webhooks at", settings=settings) as command:
        yield command


def taken(scratch: Path) -> list[dict[str, Any]]:
    """What the receiver has taken, in the order of arrival; its last line may be half written."""
    path = scratch / "taken.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


async def until(enough: Callable[[], bool], timeout_s: float = 25.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not enough():  # noqa: ASYNC110 -- other processes' work
            await asyncio.sleep(POLL_S)


async def until_more(service: Service, tries: float) -> None:
    """The service has found the receiver gone."""
    async with asyncio.timeout(20):
        while await service.metric("claimline_webhook_attempts_total", outcome="retry") <= tries:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)


async def test_nothing_is_lost_and_nothing_out_of_order(engine_url: str, tmp_path: Path) -> None:
    pause = np.zeros(int(PAUSE_S * LINE_HZ), np.int16)
    speech = np.concatenate([part for prompt in PROMPTS for part in (pause, load(prompt))] + [pause])
    (tmp_path / "speech.ulaw").write_bytes(peers.encode(speech, "PCMU"))
    port = peers.free_port()
    url = f"http://127.0.0.1:{port}/claims"
    async with serving(tmp_path, engine_url, webhook_url=url, CLAIM__EXTRACT="off") as service:
        # Its first answer gets lost on the way: that message has to come twice, under one id.
        async with receiver(tmp_path, port, "--fail", "forget", "--first", "1") as first_life:
            calling = asyncio.create_task(peers.place_call(tmp_path / "speech.ulaw", service.sip_port, tmp_path))
            await until(lambda: len(taken(tmp_path)) >= 2)
            assert [call["result"] for call in await service.calls()] == [None], "killed while the call is live"
            first_life.kill()
            await first_life.exit_code()
        refused_before = await service.metric("claimline_webhook_attempts_total", outcome="retry")
        assert refused_before == 1
        await until_more(service, refused_before)
        async with receiver(tmp_path, port):
            assert (await calling).code == 0
            await until(lambda: taken(tmp_path)[-1]["type"] == "call.ended")
            delivered = await service.metric("claimline_webhook_attempts_total", outcome="delivered")
            dead = await service.metric("claimline_outbox_dead")

    messages = taken(tmp_path)
    assert [message["type"] for message in messages] == ["call.started", *["turn.transcribed"] * 3, "call.ended"]
    assert [message["data"]["seq"] for message in messages] == [1, 2, 3, 4, 5]
    # A second copy under another id would be in the journal too.
    assert len({message["webhook_id"] for message in messages}) == len(messages)
    assert (delivered, dead) == (len(messages), 0)
    assert not any(message["data"].get("gap") for message in messages)
    for prompt, message in zip(PROMPTS, messages[1:-1], strict=True):
        assert word_errors(prompt.text, message["data"]["transcript"])[0] <= 1
