"""The console in a real browser: a call appears, grows and ends; a caller's words stay words; no token, no look."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from service.outbox.receiver import Receiver
from service.outbox.signature import parse_secrets
from tests import peers
from tests.acceptance import chromium
from tests.acceptance.far_end import far_end, say, until_answered
from tests.acceptance.product import SECRET, serving
from tests.call.test_runner import USAGE

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="not installed: chromium, which Ubuntu has as a snap only"),
]

TOKEN = "for those on duty"  # noqa: S105 -- of this test's own worker
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script><b>bold</b>"
NAME = "<svg onload=alert(1)>Eve"
TALK_S = 4.0
CLAIM = {"value": NAME, "turns": [1], "confirmed": False, "unknown": False}


class Talk:
    """A Realtime server whose agent and caller say what the test lets them say, when it does."""

    def __init__(self) -> None:
        self._connection: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def manner(self, connection: ServerConnection) -> None:
        await until_answered(connection)
        self._connection.set_result(connection)
        async for raw in connection:
            event = json.loads(raw)
            purpose = (event.get("response") or {}).get("metadata", {}).get("purpose")
            if purpose == "transcription":
                words = {"id": "o", "type": "message", "content": [{"type": "output_text", "text": EVIL}]}
                await self._beside(event, words)
            elif purpose == "claim":
                noted = json.dumps({"claims": [{"fields": {"policyholder": CLAIM}}]})
                call = {"id": "n", "type": "function_call", "name": "note_claim", "call_id": "n", "arguments": noted}
                await self._beside(event, call)
            elif event["type"] == "session.update":
                await say(connection, "session.updated", session=event["session"])

    async def agent_begins(self, words: str) -> None:
        """Four seconds of the agent's voice, and the first of its words."""
        connection = await self._connection
        response = {"id": "r1", "status": "in_progress", "conversation_id": "c", "output": []}
        await say(connection, "response.created", response=response)
        await self.agent_goes_on(words)
        hum = (2000 * np.sin(np.arange(4 * 24_000) / 20)).astype("<i2").tobytes()
        await say(connection, "response.output_audio.delta", delta=base64.b64encode(hum).decode(), **self._where())

    async def agent_goes_on(self, words: str) -> None:
        await say(await self._connection, "response.output_audio_transcript.delta", delta=words, **self._where())

    async def caller_interrupts(self) -> None:
        connection = await self._connection
        await say(connection, "input_audio_buffer.speech_started", item_id="u1", audio_start_ms=200)
        await say(connection, "input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=900)
        await say(connection, "input_audio_buffer.committed", item_id="u1", previous_item_id="a1")
        item: dict[str, Any] = {"id": "u1", "type": "message", "role": "user", "status": "completed"}
        item["content"] = [{"type": "input_audio", "transcript": None}]
        await say(connection, "conversation.item.added", previous_item_id="a1", item=item)
        done = {"id": "r1", "status": "cancelled", "conversation_id": "c", "output": [], "usage": USAGE}
        await say(connection, "response.done", response=done)

    async def _beside(self, request: dict[str, Any], item: dict[str, Any]) -> None:
        connection = await self._connection
        response = {"id": f"oob_{item['id']}", "conversation_id": None, "metadata": request["response"]["metadata"]}
        begun = {**response, "status": "in_progress", "output": []}
        await say(connection, "response.created", response=begun)
        done = {**response, "status": "completed", "output": [item], "usage": USAGE}
        await say(connection, "response.done", response=done)

    @staticmethod
    def _where() -> dict[str, Any]:
        return {"response_id": "r1", "item_id": "a1", "output_index": 0, "content_index": 0}


def text(selector: str) -> str:
    return f"(document.querySelector({json.dumps(selector)})?.innerText ?? '')"


def has(selector: str, words: str) -> str:
    return f"{text(selector)}.includes({json.dumps(words)})"


async def look(http: aiohttp.ClientSession, url: str, page: chromium.Page) -> None:
    """Without the token there is a form; with it, an empty console."""
    for path in ("/", "/events", "/calls"):
        async with http.get(url + path) as answer:
            assert answer.status == 401
    await page.see(1280, 800)
    await page.open(url)
    await page.until("document.querySelector('#token') !== null")
    assert "Live calls" not in await page.value("document.body.innerText")
    page.complaints.clear()  # The 401 itself.
    await page.value(f"document.querySelector('#token').value = {json.dumps(TOKEN)}")
    await page.value("document.querySelector('form').submit()")
    await page.until(has("#no-live", "Dial sip:claims@127.0.0.1:"))
    await page.until(has("#connection", "Connected"))
    assert await page.value("document.cookie") == "", "scripts cannot read it"
    assert await page.value("location.href") == url + "/"


async def watch(page: chromium.Page, talk: Talk) -> None:
    """A call appears while it lives and grows with every word."""
    await page.until("document.querySelectorAll('#live article').length === 1")
    await talk.agent_begins("Thank you")
    await page.until(has("#live .agent", "Thank you"))
    await talk.agent_goes_on(" for calling. What is your name?")
    await page.until(has("#live .agent", "What is your name?"))
    assert not await page.value(has("#live .agent", "interrupted"))
    await asyncio.sleep(0.8)  # At least a word of it is heard.
    await talk.caller_interrupts()
    await page.until(has("#live .agent", "interrupted"))
    await page.until(has("#live .caller", EVIL))
    await page.until(has("#live .claim", NAME))
    assert "not confirmed" in await page.value(text("#live .claim"))
    assert "PCMU" in await page.value(text("#live article"))
    assert "$0.00" in await page.value(text("#live article"))
    await page.value("document.querySelector('#live summary').click()")
    assert "Transcription" in await page.value(text("#live details"))
    assert await page.value("document.title") == "(1) claimline"


async def look_back(page: chromium.Page) -> None:
    """The call has ended: it is in the table, and drawn; with the keyboard alone."""
    await page.until("document.querySelectorAll('#live article').length === 0")
    await page.until(has("#recent-rows", "success: caller_hung_up"))
    await page.value("document.activeElement.blur()")
    seen: list[str] = []
    while "link" not in seen:
        await page.press("Tab")
        seen.append(await page.value("document.activeElement.className || document.activeElement.tagName"))
        outline = await page.value("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"the focus on {seen[-1]} cannot be seen"
        assert len(seen) < 20, seen
    assert seen[0] == "skip"
    await page.press("Enter")
    await page.until("document.querySelectorAll('.drawing svg rect').length === 2")
    assert await page.value("document.activeElement.id") == "call-heading"
    assert await page.value("document.querySelectorAll('.drawing .cut line').length") == 1
    assert "1 interruption" in await page.value("document.querySelector('.drawing desc').textContent")
    assert EVIL in await page.value("document.querySelector('.drawing rect.caller title').textContent")
    listed = await page.value(text("#call .talk"))
    assert EVIL in listed
    assert "interrupted" in listed
    await page.until(has("#call table", "call.ended"))
    await page.until("!" + has("#call table", "waiting"))
    await page.until("document.querySelectorAll('.drawing .message.sent circle').length >= 3")
    await page.value("window.old = true; location.reload()")
    # The address names the call.
    await page.until("!window.old && document.querySelectorAll('.drawing svg rect').length === 2")
    await page.until(has("#recent-rows", "success: caller_hung_up"))


async def look_differently(page: chromium.Page) -> None:
    """Dark and light, on a desk and on a telephone."""
    brightness = {}
    for dark in (False, True):
        for width, height in ((1280, 800), (360, 740)):
            await page.see(width, height, dark=dark, calm=True)
            assert await page.value("document.documentElement.scrollWidth") <= width
            contrasts = await page.value(CONTRASTS)
            assert len(contrasts) > 20
            assert min(ratio for ratio, _ in contrasts) >= 4.5, min(contrasts)
        ground = await page.value("getComputedStyle(document.body).backgroundColor")
        brightness[dark] = sum(map(int, ground.strip("rgb()").split(","))) / 3 / 255
        assert await page.value("document.getAnimations().length") == 0
    assert brightness[False] > 0.8
    assert brightness[True] < 0.2


CONTRASTS = """
(() => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (part) => (part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb(colour).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return rgb(colour)[3] === 0 ? ground(node.parentElement) : colour;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((node) => !node.closest("svg") && node.checkVisibility()
      && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .map((node) => {
      const [one, two] = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a);
      return [(one + 0.05) / (two + 0.05), node.outerHTML.slice(0, 120)];
    });
})()
"""
"""WCAG 2.2 §1.4.3: the contrast of every element that has words of its own, with the element."""


async def test_a_call_appears_grows_and_ends_and_its_words_stay_words(tmp_path: Path) -> None:
    talk = Talk()
    async with (
        far_end() as server,
        Receiver(parse_secrets(SECRET)) as receiver,
        chromium.page() as page,
        aiohttp.ClientSession() as http,
    ):
        server.manner = talk.manner
        settings = {"HTTP__TOKEN": TOKEN, "CLAIM__EXTRACT": "turn"}
        async with serving(tmp_path, server.url, webhook_url=receiver.url, **settings) as service:
            await look(http, service.http_url, page)
            async with peers.talking(service.sip_port, tmp_path, payload=b"\xff" * 32_000, talk_s=TALK_S):
                await watch(page, talk)
            await look_back(page)
            await look_differently(page)
            assert await page.value("document.querySelectorAll('img, b, main script, main svg[onload]').length") == 0
            assert "owned" not in await page.value("document.title")
            assert page.complaints == []
            assert TOKEN not in service.log.read_text()
        await page.until(has("#connection", "Connection lost"))
