"""The receivers in docs/webhooks.md, as they are pasted."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from service.config import LOOPBACK
from service.outbox.backoff import Verdict
from service.outbox.message import Claim
from service.outbox.sender import Sender
from service.outbox.signature import Secret, parse_secrets

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
BODY = (
    '{"type":"turn.transcribed","timestamp":"2026-11-05T09:30:00.000Z",'
    '"data":{"call_id":"call_1","seq":1,"turn":1,"transcript":"It was a Škoda."}}'
).encode()
CLAIM = Claim("msg_1", "call_1", 1, "turn.transcribed", BODY, 1, 0, 0.0)


async def hang_up_half_way(url: str) -> None:
    """What a worker does that is killed while it sends, or anybody who means ill."""
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()


async def status_of_nonsense(url: str) -> int:
    """The answer to a signature that is no base64."""
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,abc"}
    async with aiohttp.ClientSession() as http, http.post(url, data=BODY, headers=headers) as answer:
        return answer.status


def example(language: str, folder: Path) -> list[str]:
    """The command line that runs the page's example."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    name = {"python": "backend.py", "javascript": "backend.mjs"}[language]
    (folder / name).write_text(text, "utf-8")
    return [sys.executable if language == "python" else "node", str(folder / name)]


@pytest.mark.parametrize(
    "language",
    [
        "python",
        pytest.param("javascript", marks=pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")),
    ],
)
async def test_the_example_takes_each_message_once_and_refuses_forgeries(
    language: str, tmp_path: Path, secrets: tuple[Secret, ...], secret_text: str
) -> None:
    environment = {"WEBHOOK_SECRET": secret_text, "PORT": "0", "BACKEND_DB": str(tmp_path / "backend.db")}
    process = await asyncio.create_subprocess_exec(
        *example(language, tmp_path), env=os.environ | environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            url = f"http://127.0.0.1:{(await process.stdout.readline()).decode().split()[-1]}/"
            await hang_up_half_way(url)
            stranger = parse_secrets("whsec_" + "A" * 32)
            verdicts: list[object] = [await status_of_nonsense(url)]
            for signers, clock in (
                (stranger, time.time),
                (secrets, lambda: time.time() - 3600),
                (secrets, time.time),
                ((*stranger, *secrets), time.time),
            ):
                async with Sender(
                    url, signers, allowed_networks=LOOPBACK, connect_timeout_s=2.0, timeout_s=10.0, clock=clock
                ) as sender:
                    verdicts.append((await sender.send(CLAIM)).verdict)
    finally:
        process.terminate()
        out, _ = await process.communicate()
    assert verdicts == [401, Verdict.RETRY, Verdict.RETRY, Verdict.DELIVERED, Verdict.DELIVERED]
    assert out.decode().splitlines() == ["call_1 turn 1: It was a Škoda."]
