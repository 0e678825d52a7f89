"""A Realtime server or a SIP peer that misbehaves ends its own call with a clear result, and nothing else.

Each case is followed by a call that goes well, with the same worker.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection

from service.outbox.receiver import Receiver
from service.outbox.signature import parse_secrets
from tests import peers
from tests.acceptance.far_end import (
    OVERSIZE_BYTES,
    FarEnd,
    Manner,
    far_end,
    listen,
    say,
    until_answered,
)
from tests.acceptance.product import SECRET, Service, serving
from tests.sip.raw import SDP, RawPeer, to_tag

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

TALK_MS = 300


@dataclass
class House:
    """A worker, its far end, its receiver, and a caller who dials quickly."""

    service: Service
    far_end: FarEnd
    receiver: Receiver
    caller: RawPeer
    scratch: Path
    dialled: int = 0

    async def sipp(self, scenario: str, source: str = peers.HOST) -> None:
        """A caller who must be treated as the scenario says."""
        call = await peers.sipp(
            scenario,
            self.service.sip_port,
            self.scratch,
            source=source,
            rtp_port=40000,
            pt=0,
            codec="PCMU",
            talk_ms=TALK_MS,
        )
        assert call.code == 0, call.messages

    async def good_call(self) -> None:
        """The service lives on."""
        self.far_end.behave()
        self.dialled += 1
        tag = await self.caller.dial(f"good{self.dialled}")
        await self.caller.hang_up(f"good{self.dialled}", tag)

    async def refused_call(self) -> None:
        """The caller gets 503 and is told when to come back."""
        self.dialled += 1
        call, branch = f"refused{self.dialled}", f"z9hG4bKrefused{self.dialled}"
        self.caller.send(self.caller.request("INVITE", call=call, branch=branch, body=SDP))
        answer = await self.caller.answer(call, "INVITE", 1)
        self.caller.send(self.caller.request("ACK", call=call, branch=branch, to_tag=to_tag(answer)))
        assert answer.startswith("SIP/2.0 503")
        assert "\r\nRetry-After: 5\r\n" in answer

    @asynccontextmanager
    async def ends_one_call(self, result: str, reason: str) -> AsyncIterator[None]:
        """What happens inside ends exactly one call, this way; afterwards a good call is answered."""
        before = len(await self.service.endings(0))
        counted = await self.service.metric("claimline_calls_total")
        counted_so = await self.service.metric("claimline_calls_total", result=result, reason=reason)
        yield
        endings = await self.service.endings(before + 1)
        assert endings[before:] == [(result, reason)]
        assert await self.service.metric("claimline_calls_total") == counted + 1
        assert await self.service.metric("claimline_calls_total", result=result, reason=reason) == counted_so + 1
        await self.good_call()
        await self.service.endings(before + 2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    scratch = tmp_path_factory.mktemp("house")
    settings = {
        "REALTIME__CONNECT_TIMEOUT_S": "1.0",
        "REALTIME__RECONNECT_TIMEOUT_S": "1.0",
        "TRANSCRIPTION__FLUSH_TIMEOUT_S": "1.0",
        "SIP__ALLOWED_PEERS": '["127.0.0.1/32"]',
    }
    async with (
        far_end() as server,
        Receiver(parse_secrets(SECRET)) as receiver,
        serving(scratch, server.url, webhook_url=receiver.url, **settings) as service,
        RawPeer(service.sip_port) as caller,
    ):
        yield House(service, server, receiver, caller, scratch)


@pytest.fixture(autouse=True)
def _good_to_begin_with(house: House) -> None:
    house.far_end.behave()


# -- the Realtime server, before the call is answered ---------------------------------------------------------------


async def closes_at_once(connection: ServerConnection) -> None:
    await connection.close()


async def closes_without_a_word(connection: ServerConnection) -> None:
    connection.transport.abort()


async def says_nothing(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def no_json(connection: ServerConnection) -> None:
    await connection.send("<html>It works!</html>")
    await connection.wait_closed()


async def no_text(connection: ServerConnection) -> None:
    await connection.send(b"\x00\xff\xfe" * 50)
    await connection.wait_closed()


async def wrong_types(connection: ServerConnection) -> None:
    await say(connection, "session.created", session=7)
    await connection.wait_closed()


async def huge(connection: ServerConnection) -> None:
    await connection.send("x" * OVERSIZE_BYTES)
    await connection.wait_closed()


async def refuses_the_settings(connection: ServerConnection) -> None:
    await say(connection, "session.created", session={"model": "m"})
    await connection.recv()
    await say(connection, "error", error={"type": "invalid_request_error", "code": "no_such_voice", "message": "No."})
    await connection.wait_closed()


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        (closes_at_once, "session_closed"),
        (closes_without_a_word, "session_closed"),
        (says_nothing, "session_timeout"),
        (no_json, "session_protocol"),
        (no_text, "session_protocol"),
        (wrong_types, "session_protocol"),
        (huge, "session_closed"),
        (refuses_the_settings, "session_error"),
    ],
)
async def test_a_session_that_does_not_open(house: House, manner: Manner, reason: str) -> None:
    house.far_end.manner = manner
    async with house.ends_one_call("upstream_error", reason):
        await house.refused_call()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (HTTPStatus.UNAUTHORIZED, "session_unauthorized"),
        (HTTPStatus.INTERNAL_SERVER_ERROR, "session_refused"),
        (HTTPStatus.OK, "session_refused"),
    ],
)
async def test_a_handshake_that_is_refused(house: House, status: HTTPStatus, reason: str) -> None:
    house.far_end.status = status
    async with house.ends_one_call("upstream_error", reason):
        await house.refused_call()


async def test_a_handshake_that_is_never_answered(house: House) -> None:
    house.far_end.deaf = True
    async with house.ends_one_call("upstream_error", "session_timeout"):
        await house.refused_call()


async def test_nobody_listens(house: House) -> None:
    async with house.ends_one_call("upstream_error", "session_unreachable"):
        await house.far_end.down()
        await house.refused_call()
        await house.far_end.up()


# -- the Realtime server, in a live call ------------------------------------------------------------------------------


async def closes_in_the_call(connection: ServerConnection) -> None:
    await until_answered(connection)
    await connection.close(1011, "overloaded")


async def vanishes_in_the_call(connection: ServerConnection) -> None:
    await until_answered(connection)
    connection.transport.abort()


async def huge_in_the_call(connection: ServerConnection) -> None:
    await until_answered(connection)
    await connection.send("x" * OVERSIZE_BYTES)


@pytest.mark.parametrize("manner", [closes_in_the_call, vanishes_in_the_call, huge_in_the_call])
async def test_a_session_that_is_lost_once_costs_no_call(house: House, manner: Manner) -> None:
    async def once(connection: ServerConnection) -> None:
        house.far_end.behave()
        await manner(connection)

    house.far_end.manner = once
    reopened = await house.service.metric("claimline_realtime_reconnects_total", reason="closed")
    async with house.ends_one_call("client_error", "hung_up_early"):
        await house.sipp("call")
    assert await house.service.metric("claimline_realtime_reconnects_total", reason="closed") == reopened + 1


async def test_a_server_that_does_not_come_back_ends_the_call_politely(house: House) -> None:
    async def for_good(connection: ServerConnection) -> None:
        house.far_end.status = HTTPStatus.SERVICE_UNAVAILABLE
        await closes_in_the_call(connection)

    house.far_end.manner = for_good
    told = len(house.receiver.messages)
    async with house.ends_one_call("upstream_error", "session_refused"):
        await house.sipp("wait_for_bye")
    messages = (await house.receiver.wait_for(lambda messages: len(messages) >= told + 4, 5))[told:]
    lost = [message for message in messages if message.call_id == messages[0].call_id]
    assert [message.type for message in lost] == ["call.started", "call.ended"]
    assert (lost[1].data["result"], lost[1].data["reason"]) == ("upstream_error", "session_refused")


async def talks_nonsense(connection: ServerConnection) -> None:
    """Whatever comes in the middle of a call that is no event, or an event that cannot be right."""
    await until_answered(connection)
    for text in ("", "nonsense", "[]", "null", "7", '{"type":', '{"type": 7}', "{}", '"' + "x" * 100_000, "[" * 20_000):
        await connection.send(text)
    for kind, fields in (
        ("response.created", {"response": []}),
        ("response.output_audio.delta", {"response_id": "r", "item_id": "i", "delta": "no base64!"}),
        ("response.done", {"response": {"id": 1, "usage": {"input_tokens": "many"}}}),
        ("response.done", {"response": {"id": "never_created", "status": "completed", "output": []}}),
        ("response.done", {"response": {"id": "poor", "status": "completed", "usage": {"input_tokens": -5}}}),
        ("input_audio_buffer.speech_started", {"audio_start_ms": "soon", "item_id": None}),
        ("input_audio_buffer.speech_stopped", {"audio_end_ms": 10**15, "item_id": "nobody"}),
        ("input_audio_buffer.committed", {"item_id": {"a": 1}}),
        ("input_audio_buffer.committed", {"item_id": "nobody", "previous_item_id": "nobody"}),
        ("conversation.item.added", {"item": {"id": "y", "type": "message", "content": 3}}),
        ("session.updated", {}),
        ("error", {"error": "just a string"}),
        ("rate_limits.updated", {"rate_limits": 3}),
        ("an.event.of.tomorrow", {"answer": 42}),
    ):
        await say(connection, kind, **fields)
    await listen(connection)


async def test_nonsense_in_the_call_is_counted_and_the_call_goes_on(house: House) -> None:
    house.far_end.manner = talks_nonsense
    malformed = await house.service.metric("claimline_realtime_errors_total", code="malformed_event")
    unknown = await house.service.metric("claimline_realtime_errors_total", code="unknown_event")
    async with house.ends_one_call("client_error", "hung_up_early"):
        await house.sipp("call")
    assert await house.service.metric("claimline_realtime_errors_total", code="malformed_event") >= malformed + 15
    assert await house.service.metric("claimline_realtime_errors_total", code="unknown_event") > unknown


# -- the SIP peer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["no_offer", "bye_twice", "hold"])
async def test_unusual_but_lawful_callers(house: House, scenario: str) -> None:
    async with house.ends_one_call("client_error", "hung_up_early"):
        await house.sipp(scenario)


async def test_cancel_before_the_answer(house: House) -> None:
    house.far_end.manner = says_nothing
    async with house.ends_one_call("client_error", "cancelled"):
        await house.sipp("cancel")


@pytest.mark.parametrize(
    ("scenario", "source", "result", "reason"),
    [
        ("bad_codec", "127.0.0.1", "client_error", "bad_sdp"),
        ("forbidden", "127.0.0.2", "rejected", "not_allowed"),
    ],
)
async def test_what_never_becomes_a_call(house: House, scenario: str, source: str, result: str, reason: str) -> None:
    asked = house.far_end.asked
    before = await house.service.metric("claimline_calls_total", result=result, reason=reason)
    await house.sipp(scenario, source)
    assert await house.service.metric("claimline_calls_total", result=result, reason=reason) == before + 1
    assert house.far_end.asked == asked, "a session was opened for a caller who was refused"
    await house.good_call()


async def test_garbage_datagrams(house: House) -> None:
    dice = random.Random(3261)
    async with RawPeer(house.service.sip_port) as raw:
        good = raw.request("INVITE", call="rotten", body=SDP).encode()
        for _ in range(300):
            rotten = bytearray(good)
            for _ in range(dice.randrange(1, 12)):
                rotten[dice.randrange(len(rotten))] = dice.randrange(256)
            raw.send(bytes(rotten))
            raw.send(good[: dice.randrange(len(good))])
            raw.send(dice.randbytes(dice.randrange(1, 1400)))
            await asyncio.sleep(0.002)
        raw.send(raw.request("OPTIONS", call="ping"))
        assert (await raw.answer("ping", "OPTIONS", 1)).startswith("SIP/2.0 200")
    await house.good_call()


async def test_nothing_broke_inside(house: House) -> None:
    """After all of the above."""
    assert not house.service.logged("call_broke")
    assert not house.service.logged("call_lost")
    assert await house.service.ready_status() == 200
