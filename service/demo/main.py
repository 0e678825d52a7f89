"""`claimline demo`: engine, receiver, worker and caller on loopback, and one real SIP call between them."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import tempfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from service.demo.caller import DemoCaller
from service.demo.processes import command, embedded_engine
from service.demo.screen import Screen
from service.demo.summary import sum_up
from service.engine.voice import Voice
from service.errors import ClaimlineError
from service.media.resample import Pcm, resample
from service.media.ring import LINE_RATE_HZ
from service.outbox.inbox import Received
from service.outbox.receiver import Receiver
from service.outbox.signature import parse_secrets
from sip.caller import CALLER
from sip.endpoint import Endpoint
from sip.wav import write_line_audio

WORKER_READY_S = 30.0
CALL_S = 240.0
DELIVERED_S = 20.0
POLL_S = 0.25
AGENT_SPEED = 1.2
CALLER_SPEED = 1.1
"""Brisk, so that the demo is over in two minutes."""
CALLER_PITCH = 0.84
"""The caller and the agent share one voice in the wheel; pitch tells them apart."""


class Demo:
    """One run."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._screen = Screen()
        self._call: dict[str, Any] = {}
        self._shown: dict[str, int] = {}
        self._claim_shown: Mapping[str, Any] = {}
        self._http_url = ""

    async def run(self) -> int:
        """Run it all; 0 only if every turn was heard, transcribed, delivered and priced."""
        screen, out = self._screen, self._out
        out.mkdir(parents=True, exist_ok=True)
        for name in ("call.wav", "webhooks.jsonl", "metrics.txt", "events.jsonl"):
            (out / name).unlink(missing_ok=True)
        screen.step("No key, no network: a small speech engine stands in for the model. It is no language model.")
        secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
        with tempfile.TemporaryDirectory(prefix="claimline-demo-") as scratch_name:
            scratch = Path(scratch_name)
            receiver = Receiver(parse_secrets(secret), on_message=self._delivered, journal=out / "webhooks.jsonl")
            async with receiver:
                screen.step("starting the engine (loads speech recognition and voice) …")
                async with embedded_engine(out / "engine.log") as engine_url:
                    screen.step("starting the service …")
                    settings = {
                        "CLAIMLINE_REALTIME__URL": engine_url,
                        "CLAIMLINE_REALTIME__SESSION__AUDIO__OUTPUT__SPEED": str(AGENT_SPEED),
                        "CLAIMLINE_REALTIME__EVENT_LOG": str(scratch / "events"),
                        "CLAIMLINE_SIP__BIND": "127.0.0.1",
                        "CLAIMLINE_SIP__PORT": "0",
                        "CLAIMLINE_HTTP__PORT": "0",
                        "CLAIMLINE_WEBHOOK__URL": receiver.url,
                        "CLAIMLINE_WEBHOOK__SECRET": secret,
                        "CLAIMLINE_OUTBOX__PATH": str(scratch / "outbox.db"),
                    }
                    worker = command(
                        "serve", settings, out / "service.log", ready_word="answers at", timeout_s=WORKER_READY_S
                    )
                    async with worker as worker_says, aiohttp.ClientSession() as http:
                        self._http_url = _found(r"http://[^/]+", worker_says)
                        caller = await self._place_call(http, _found(r"sip:\S+", worker_says))
                        await self._until_delivered(receiver)
                        await self._refresh(http)
                        (out / "metrics.txt").write_text(await _text(http, f"{self._http_url}/metrics"))
            for log in (scratch / "events").glob("*.jsonl"):
                (out / "events.jsonl").write_bytes(log.read_bytes())
        return sum_up(screen, out, caller, receiver.messages)

    # -- the call --------------------------------------------------------------------------------------------------

    async def _place_call(self, http: aiohttp.ClientSession, uri: str) -> DemoCaller:
        voice = await asyncio.to_thread(_caller_voice)
        endpoint = Endpoint(
            CALLER.model_copy(update={"bind": "127.0.0.1"}),
            lambda leg: leg.refuse(403, "Forbidden"),
            lambda _refusal: None,
            lambda _level, _line: None,
        )
        await endpoint.start()
        try:
            self._screen.step(f"dialling {uri} (SIP, G.711) …")
            leg = endpoint.dial(uri)
            caller = DemoCaller(leg, voice, lambda: self._agent_text(http), self._screen.caller)
            leg.listen(caller.on_event, caller.on_tick)
            async with asyncio.timeout(CALL_S), asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(http))
                await caller.talk()
                watching.cancel()
        except TimeoutError:
            raise ClaimlineError(f"the call did not end within {CALL_S:g} s; see {self._out}/service.log") from None
        finally:
            await endpoint.stop()
        if caller.ended is not None and caller.ended.code >= 300:
            raise ClaimlineError(
                f"the call was not answered: {caller.ended.code} {caller.ended.reason}; see {self._out}/service.log"
            )
        write_line_audio(self._out / "call.wav", _pcm(caller.left), _pcm(caller.right))
        return caller

    async def _until_delivered(self, receiver: Receiver) -> None:
        try:
            await receiver.wait_for(_has_ended, DELIVERED_S)
        except TimeoutError:
            raise ClaimlineError(
                f"the webhook receiver got no call.ended within {DELIVERED_S:g} s; see {self._out}/service.log"
            ) from None

    async def _agent_text(self, http: aiohttp.ClientSession) -> str:
        """The agent's words since the caller's last turn."""
        await self._refresh(http)
        words: list[str] = []
        for line in reversed(self._call.get("transcript") or []):
            if line["speaker"] != "agent":
                break
            words.insert(0, line["text"])
        return " ".join(words)

    async def _watch(self, http: aiohttp.ClientSession) -> None:
        while True:
            await self._refresh(http)
            await asyncio.sleep(POLL_S)

    async def _refresh(self, http: aiohttp.ClientSession) -> None:
        """Read the call from the service's own API; show the agent's words as they come."""
        calls = json.loads(await _text(http, f"{self._http_url}/calls"))["calls"]
        if not calls:
            return
        self._call = json.loads(await _text(http, f"{self._http_url}/calls/{calls[0]['call_id']}"))
        for line in self._call["transcript"]:
            if line["speaker"] == "agent":
                shown = self._shown.get(line["at"], 0)
                if len(line["text"]) > shown:
                    self._shown[line["at"]] = len(line["text"])
                    self._screen.agent(line["text"][shown:].strip())

    def _delivered(self, message: Received) -> None:
        if message.type == "turn.transcribed":
            self._screen.heard(message.data, self._call.get("cost_usd"))
        elif message.type in ("claim.updated", "claim.submitted"):
            self._screen.claim(message.data, self._claim_shown)
            self._claim_shown = message.data["fields"]


async def run(out: Path) -> int:
    """Run the demo; results go to `out`."""
    return await Demo(out).run()


def _caller_voice() -> Callable[[str], Pcm]:
    voice = Voice(pitch=CALLER_PITCH)
    voice.load()

    def speak(text: str) -> Pcm:
        return resample(np.concatenate(list(voice.synthesize(text, seed=7, speed=CALLER_SPEED))), 24_000, LINE_RATE_HZ)

    return speak


def _pcm(recorded: bytearray) -> Pcm:
    return np.frombuffer(bytes(recorded), "<i2").astype(np.int16)


def _has_ended(messages: list[Received]) -> bool:
    return any(message.type == "call.ended" for message in messages)


async def _text(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(url) as answer:
        return await answer.text()


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ClaimlineError(f"expected an address in {text.strip()!r}")
    return match.group()
