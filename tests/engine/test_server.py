"""The engine's websocket from outside: real sockets, scripted ears, voice and brain."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_blocking

from service.engine.rates import Pcm16
from service.engine.recognition import Transcript
from service.engine.server import Limits, engine_server
from tests.engine.scripted_speech import Said, SaidTool, ScriptedDialogue, scripted, silence, speech
from tests.engine.talk import encoded
from tests.realtime_schema import check_server_event

Event = dict[str, Any]
FAST = Limits(pace=1000.0)


class Client:
    """A websocket client that checks everything it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, event_type: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": event_type, **fields}))

    async def until(self, event_type: str, matches: Callable[[Event], bool] = lambda _: True) -> list[Event]:
        """Events up to and with the first that matches."""
        events: list[Event] = []
        async with asyncio.timeout(10):
            while True:
                raw = await self._socket.recv()
                check_server_event(raw)
                events.append(json.loads(raw))
                if events[-1]["type"] == event_type and matches(events[-1]):
                    return events

    async def hear(self, pcm: Pcm16) -> None:
        await self.send("input_audio_buffer.append", audio=encoded(pcm))


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Client]:
    async with connect(f"{url}?model=gpt-realtime-2.1", max_size=None) as socket:
        yield Client(socket)


def transcript(events: list[Event]) -> object:
    return next(e["transcript"] for e in events if e["type"] == "response.output_audio_transcript.done")


async def test_the_openai_client_holds_a_call() -> None:
    tool = {"type": "function", "name": "end_call", "description": "Hang up.", "parameters": {"type": "object"}}
    speaks = scripted({2000: "that was all"}, {"that was all": Said("Goodbye.", SaidTool("end_call", {"ok": True}))})
    async with engine_server(speaks, "127.0.0.1", 0, FAST) as url, asyncio.timeout(15):
        openai = AsyncOpenAI(api_key="any", websocket_base_url=url.removesuffix("/realtime"))
        async with openai.realtime.connect(model="gpt-realtime-2.1") as connection:
            created = await connection.recv()
            assert created.type == "session.created"
            assert created.session.type == "realtime"
            assert created.session.model == "gpt-realtime-2.1"
            await connection.session.update(session={"type": "realtime", "tools": [tool]})  # type: ignore[list-item]
            assert (await connection.recv()).type == "session.updated"
            await connection.input_audio_buffer.append(audio=encoded(speech(2000, 800)))
            await connection.input_audio_buffer.append(audio=encoded(silence(300)))
            audio_bytes, said, output = 0, "", [""]
            async for event in connection:
                if event.type == "response.output_audio.delta":
                    audio_bytes += len(base64.b64decode(event.delta))
                elif event.type == "response.output_audio_transcript.done":
                    said = event.transcript
                elif event.type == "response.done":
                    output = [item.type for item in event.response.output or ()]
                    break
            assert (said, audio_bytes) == ("Goodbye.", 48 * 200)
            assert output == ["message", "function_call"]
        await openai.close()


async def test_sessions_know_nothing_of_each_other() -> None:
    async with (
        engine_server(scripted({2000: "left", 3000: "right"}), "127.0.0.1", 0, FAST) as url,
        client(url) as left,
        client(url) as right,
    ):
        for caller, level in ((left, 2000), (right, 3000)):
            await caller.hear(speech(level, 500))
            await caller.hear(silence(300))
        answers = await asyncio.gather(left.until("response.done"), right.until("response.done"))
    assert [transcript(events) for events in answers] == ["You said left.", "You said right."]
    assert answers[0][0]["session"]["id"] != answers[1][0]["session"]["id"]


async def test_out_of_band_is_answered_while_the_agent_speaks() -> None:
    long = {"one": Said("word " * 100)}
    async with engine_server(scripted({2000: "one"}, long), "127.0.0.1", 0) as url, client(url) as caller:
        await caller.hear(speech(2000, 500))
        await caller.hear(silence(300))
        events = await caller.until("response.output_audio.delta")
        item = next(e["item_id"] for e in events if e["type"] == "input_audio_buffer.committed")
        for purpose in ("a", "b"):
            response = {
                "conversation": "none",
                "output_modalities": ["text"],
                "input": [{"type": "item_reference", "id": item}],
                "metadata": {"purpose": purpose},
            }
            await caller.send("response.create", response=response)
        for purpose in ("a", "b"):
            done = (await caller.until("response.done"))[-1]["response"]
            assert done["metadata"] == {"purpose": purpose}
            assert done["output"][0]["content"][0]["text"] == "one"
        # The agent has 20 s to say and is still speaking.
        await caller.send("response.cancel")
        assert (await caller.until("response.done"))[-1]["response"]["status"] == "cancelled"


class LongWinded(ScriptedDialogue):
    """Greets with 40 s of speech."""

    def greet(self, *, recorded: bool) -> Said:
        return Said("word " * 200)


async def test_a_cancelled_answer_is_not_sent_to_its_end() -> None:
    # Half a second at once, then next to nothing.
    crawls = Limits(pace=0.01)
    speaks = replace(scripted({}), dialogue=LongWinded)
    async with engine_server(speaks, "127.0.0.1", 0, crawls) as url, client(url) as caller:
        await caller.send("response.create")
        for _ in range(5):
            await caller.until("response.output_audio.delta")
        await caller.send("response.cancel")
        done = (await caller.until("response.done"))[-1]["response"]
        assert 500 <= done["usage"]["output_token_details"]["audio_tokens"] * 50 <= 600
        await caller.send("conversation.item.retrieve", item_id=done["output"][0]["id"])
        # Nothing of it comes later: the answer to the next event is all there is.
        rest = await caller.until("conversation.item.retrieved")
        assert not [event for event in rest if event["type"].startswith("response.")]


async def test_a_client_that_reads_gets_any_amount_through_a_small_outbox() -> None:
    small = Limits(pace=1000.0, outbox_bytes=2**19)
    speaks = replace(scripted({}), dialogue=LongWinded)
    async with engine_server(speaks, "127.0.0.1", 0, small) as url, client(url) as caller:
        await caller.send("response.create")
        done = (await caller.until("response.done"))[-1]["response"]
        assert (done["status"], done["usage"]["output_token_details"]["audio_tokens"]) == ("completed", 800)


async def test_work_for_a_client_that_left_is_dropped() -> None:
    begun, dropped = asyncio.Event(), asyncio.Event()

    class Slow:
        async def transcribe(self, pcm24k: Pcm16, /) -> Transcript:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                dropped.set()
            return Transcript("")

    async with engine_server(replace(scripted({}), recognizer=Slow()), "127.0.0.1", 0) as url:
        async with client(url) as caller:
            await caller.hear(speech(2000, 500))
            await caller.hear(silence(300))
            async with asyncio.timeout(5):
                await begun.wait()
        async with asyncio.timeout(5):
            await dropped.wait()


async def send_and_only_then_read(socket: ClientConnection, message: str) -> None:
    async with asyncio.timeout(20):
        for _ in range(200):
            await socket.send(message)
        while True:
            await socket.recv()


DEAF = [
    Limits(outbox_bytes=2**20, close_timeout_s=0.1),
    Limits(outbox_events=8, close_timeout_s=0.1),
    Limits(send_timeout_s=0.2, close_timeout_s=0.1),
]


@pytest.mark.parametrize("limits", DEAF)
async def test_a_client_that_stops_reading_is_cut_off_and_the_others_are_served(limits: Limits) -> None:
    async with engine_server(scripted({}), "127.0.0.1", 0, limits) as url:
        async with connect(url, max_queue=1) as deaf:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 500_000}]}
            message = json.dumps({"type": "conversation.item.create", "item": item})
            with pytest.raises(ConnectionClosed):
                await send_and_only_then_read(deaf, message)
        async with client(url) as caller:
            await caller.send("response.create")
            await caller.until("response.created")


def send_17_mib(url: str) -> None:
    with connect_blocking(url) as socket:
        socket.send("x" * (17 * 2**20))
        while True:
            socket.recv(timeout=10)


async def test_garbage_is_answered_and_an_oversized_message_ends_only_its_session() -> None:
    async with engine_server(scripted({}), "127.0.0.1", 0) as url, client(url) as caller:
        async with connect(url) as rude:
            await rude.recv()
            for message in ("{", b"\xff\x00", '{"type": "nonsense"}'):
                await rude.send(message)
                refused = await rude.recv()
                check_server_event(refused)
                assert json.loads(refused)["type"] == "error"
        with pytest.raises(ConnectionClosed):
            await asyncio.to_thread(send_17_mib, url)
        await caller.send("response.create")
        await caller.until("response.created")


async def test_a_fault_in_one_session_leaves_the_engine_standing() -> None:
    class Broken(ScriptedDialogue):
        def greet(self, *, recorded: bool) -> Said:
            raise RuntimeError("broken on purpose")

    brains = iter([Broken(), ScriptedDialogue()])
    speaks = replace(scripted({}), dialogue=lambda: next(brains))
    async with engine_server(speaks, "127.0.0.1", 0, FAST) as url:
        async with client(url) as unlucky:
            await unlucky.send("response.create")
            with pytest.raises(ConnectionClosed) as closed:
                await unlucky.until("response.done")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
        async with client(url) as lucky:
            await lucky.send("response.create")
            assert transcript(await lucky.until("response.done")) == "Hello, this is the test."


async def test_only_the_realtime_path_opens_a_session_and_no_foreign_page_does() -> None:
    async with engine_server(scripted({}), "127.0.0.1", 0) as url:
        with pytest.raises(InvalidStatus) as refused:
            await connect(url.replace("/v1/realtime", "/v1/other"))
        assert refused.value.response.status_code == 404
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, origin="https://somewhere.example")  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
        async with connect(url, origin="http://localhost:3000") as page:  # type: ignore[arg-type]
            assert json.loads(await page.recv())["type"] == "session.created"
        health = url.replace("ws://", "http://").replace("/v1/realtime", "/healthz")
        assert await asyncio.to_thread(lambda: urlopen(health, timeout=5).read()) == b"ok\n"  # noqa: S310
        with pytest.raises(HTTPError):
            await asyncio.to_thread(urlopen, health.replace("healthz", "secret"), timeout=5)
