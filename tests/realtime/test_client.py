"""The websocket client against servers that behave, refuse, vanish and talk nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from service.realtime.client import SEND_QUEUE_EVENTS, RealtimeClient, SessionError, open_session, with_model
from service.realtime.commands import AudioAppend, AudioCommit, ResponseCreate
from service.realtime.event_log import EventLog
from service.realtime.events import Committed

KEY = "sk-" + "k" * 30
Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as running:
        port = running.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def say(connection: ServerConnection, kind: str, **fields: Any) -> None:
    await connection.send(json.dumps({"type": kind, "event_id": "x", **fields}))


async def open_well(connection: ServerConnection) -> None:
    await say(connection, "session.created", session={"model": "m"})
    update = json.loads(await connection.recv())
    await say(connection, "session.updated", session=update["session"])


async def open_to(url: str, log: EventLog | None = None) -> RealtimeClient:
    async with asyncio.timeout(5):
        client, _ = await open_session(url, "gpt-realtime-2.1", KEY, {"type": "realtime"}, log)
    return client


async def drain(client: RealtimeClient) -> None:
    """Send what is queued and read until the session ends."""
    pump = asyncio.ensure_future(client.pump())
    try:
        async with asyncio.timeout(5):
            async for _ in client.events():
                pass
    finally:
        pump.cancel()


async def reason_of(url: str) -> str:
    with pytest.raises(SessionError) as failed:
        await open_to(url)
    assert KEY not in str(failed.value)
    return failed.value.reason


async def test_a_session_is_opened_configured_and_carries_events_in_order() -> None:
    got: list[dict[str, Any]] = []
    seen: dict[str, str] = {}

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen["path"], seen["key"] = connection.request.path, connection.request.headers["Authorization"]
        await open_well(connection)
        async for raw in connection:
            got.append(json.loads(raw))
            if got[-1]["type"] == "response.create":
                await say(connection, "input_audio_buffer.committed", item_id="i")

    async with server(handler) as url:
        client = await open_to(url)
        client.send(AudioAppend(audio=b"\0\0"))
        client.send(AudioCommit())
        client.send(ResponseCreate())
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            pump = group.create_task(client.pump())
            async for received in client.events():
                assert received.event == Committed(event_id="x", item_id="i")
                break
            pump.cancel()
        await client.close()
    assert [one["type"] for one in got] == ["input_audio_buffer.append", "input_audio_buffer.commit", "response.create"]
    assert seen == {"path": "/v1/realtime?model=gpt-realtime-2.1", "key": f"Bearer {KEY}"}


async def test_refused_and_unauthorized_are_told_apart() -> None:
    async def never(_connection: ServerConnection) -> None:
        raise AssertionError

    for status, reason in ((HTTPStatus.UNAUTHORIZED, "unauthorized"), (HTTPStatus.INTERNAL_SERVER_ERROR, "refused")):

        def refuse(connection: ServerConnection, _request: Request, status: HTTPStatus = status) -> Response:
            return connection.respond(status, "no")

        async with server(never, process_request=refuse) as url:
            assert await reason_of(url) == reason


@pytest.mark.parametrize("location", ["ws://h:99999/", "ws://[::1", "ws://a..b/", "http://x/"])
async def test_a_redirect_to_no_address_is_a_session_that_was_not_to_be_had(location: str) -> None:
    async def never(_connection: ServerConnection) -> None:
        raise AssertionError

    def redirect(connection: ServerConnection, _request: Request) -> Response:
        answer = connection.respond(HTTPStatus.FOUND, "")
        answer.headers["Location"] = location
        return answer

    async with server(never, process_request=redirect) as url:
        assert await reason_of(url) == "unreachable"


@pytest.mark.parametrize("variable", ["https_proxy", "socks_proxy"])
async def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "socks9://user:hidden@127.0.0.1:1")
    with pytest.raises(SessionError, match="proxy") as failed:
        await open_to("wss://127.0.0.2:1/v1/realtime")
    assert "hidden" not in str(failed.value)


async def test_a_key_that_no_header_can_carry_is_not_shown() -> None:
    async def never(_connection: ServerConnection) -> None:
        raise AssertionError

    async with server(never) as url:
        with pytest.raises(SessionError) as failed:
            await open_session(url, "m", f"\ufeff{KEY}", {}, None)
    assert KEY not in str(failed.value)


async def test_nobody_listens() -> None:
    assert await reason_of("ws://127.0.0.1:1/v1/realtime") == "unreachable"


async def test_not_a_websocket() -> None:
    async def rubbish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(rubbish, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        assert await reason_of(f"ws://127.0.0.1:{port}/") == "protocol"


async def test_closed_at_once() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(1011)

    async with server(close) as url:
        assert await reason_of(url) == "closed"


@pytest.mark.parametrize("first", ["nonsense", '{"type":"session.updated","session":{}}', "[]"])
async def test_nonsense_instead_of_a_session(first: str) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(first)
        await connection.wait_closed()

    async with server(talk) as url:
        assert await reason_of(url) == "protocol"


async def test_a_refused_configuration_names_the_servers_code() -> None:
    async def refuse(connection: ServerConnection) -> None:
        await say(connection, "session.created", session={})
        await connection.recv()
        await say(connection, "error", error={"code": "invalid_api_key", "message": "no", "type": "x"})
        await connection.wait_closed()

    async with server(refuse) as url:
        assert await reason_of(url) == "invalid_api_key"


@pytest.mark.parametrize("code", [1000, 1001, 1011])
async def test_the_end_of_the_session_is_never_silent(code: int) -> None:
    async def leave(connection: ServerConnection) -> None:
        await open_well(connection)
        await connection.close(code)

    async with server(leave) as url:
        client = await open_to(url)
        with pytest.raises(SessionError) as ended:
            await anext(client.events())
        await client.close()
    assert ended.value.reason == "closed"


async def test_a_server_that_does_not_read_costs_audio_and_no_memory() -> None:
    client = RealtimeClient(None, None)  # type: ignore[arg-type]
    for _ in range(SEND_QUEUE_EVENTS + 10):
        client.send(AudioAppend(audio=b"\0\0"))
    assert client.audio_dropped == 10


async def test_the_event_log_has_both_ways_no_audio_and_no_key(tmp_path: Path) -> None:
    async def handler(connection: ServerConnection) -> None:
        await open_well(connection)
        await connection.recv()
        delta = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": "AAAA" * 100}
        await connection.send(json.dumps(delta))
        await connection.send("not json")
        await connection.close()

    async with server(handler) as url:
        log = EventLog(tmp_path, "call_1", 0.0, None)
        client = await open_to(url, log)
        client.send(AudioAppend(audio=b"\0\0" * 480))
        with pytest.raises(SessionError):
            await drain(client)
        await client.close()
        log.close()
    text = (tmp_path / "call_1.jsonl").read_text()
    assert KEY not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["dir"], line["event"]["type"]) for line in lines] == [
        ("recv", "session.created"),
        ("sent", "session.update"),
        ("recv", "session.updated"),
        ("sent", "input_audio_buffer.append"),
        ("recv", "response.output_audio.delta"),
        ("recv", ""),
    ]
    assert (lines[3]["event"]["audio"], lines[3]["event"]["audio_bytes"]) == (None, 960)
    assert (lines[4]["event"]["delta"], lines[4]["event"]["audio_bytes"]) == (None, 300)


def test_a_model_is_added_to_the_query_that_is_there() -> None:
    assert with_model("wss://h/v1/realtime?x=1", "a b") == "wss://h/v1/realtime?x=1&model=a+b"


@pytest.mark.parametrize("depth", [300, 600, 900, 5000])
def test_an_event_nested_deep_is_a_line_of_the_log_like_any_other(depth: int, tmp_path: Path) -> None:
    log = EventLog(tmp_path, "call_1", 0.0, str)
    for text in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        log.write("recv", text, 1.0)
    log.close()
    assert (tmp_path / "call_1.jsonl").read_bytes().count(b"\n") == 2


def test_the_event_log_is_redacted_and_keeps_no_pieces_of_words(tmp_path: Path) -> None:
    card = "4111 1111 1111 1111"
    log = EventLog(tmp_path, "call_1", 0.0, lambda text: text.replace(card, "[card]"))
    asr = "conversation.item.input_audio_transcription"
    token = {"token": "4111", "logprob": -0.1, "bytes": [52]}
    for event in (
        {"type": f"{asr}.delta", "item_id": "u", "delta": "4111 1111"},
        {"type": f"{asr}.completed", "item_id": "u", "transcript": f"it is {card}", "logprobs": [token]},
        {"type": "response.output_audio_transcript.delta", "item_id": "a", "delta": "4111 1111 "},
        {"type": "response.done", "response": {"output": [{"content": [{"type": "output_text", "text": card}]}]}},
        {"type": "response.function_call_arguments.done", "arguments": f'{{"account": "{card}"}}'},
    ):
        log.write("recv", json.dumps(event), 1.0)
    log.close()
    assert (tmp_path / "call_1.jsonl").stat().st_mode & 0o077 == 0, "callers' words are nobody else's to read"
    text = (tmp_path / "call_1.jsonl").read_text()
    assert "4111" not in text
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert (events[0]["delta"], events[0]["characters"]) == (None, 9)
    assert (events[1]["transcript"], events[1]["logprobs"]) == ("it is [card]", [{"logprob": -0.1}])
    assert events[3]["response"]["output"][0]["content"] == [{"type": "output_text", "text": "[card]"}]
    assert json.loads(events[4]["arguments"]) == {"account": "[card]"}
