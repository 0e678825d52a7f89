"""Every type of message, made by calls as they happen, sent over HTTP: the schemas and the reference library agree."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from contextlib import suppress

import standardwebhooks

from service.call import ending
from service.config import LOOPBACK, Transcription
from service.outbox.delivery import Deliverer
from service.outbox.outbox import Outbox
from service.outbox.receiver import Receiver
from service.outbox.sender import Sender
from service.outbox.signature import parse_secrets
from service.realtime.client import SessionError
from service.realtime.commands import ResponseCreate
from service.schemas import TYPES
from tests.call.conftest import PUBLISHED
from tests.call.test_endurance import Call, Server, talking
from tests.call.test_runner import World, opens, settle
from tests.call.test_story import play

SECRET = "whsec_" + b64encode(b"a key for tests, 32 bytes long..").decode()


def world_of(outbox: Outbox, call_id: str, *sessions: Server | SessionError) -> World:
    transcription = Transcription(flush_timeout_s=0.3, asr_model="whisper-1")
    world = World(outbox, opens(*sessions), shared={"transcription": transcription}, reconnect_timeout_s=0.05)
    world.runner = type(world.runner)(call_id, world.leg, world.services)
    return world


def heard(server: Server, item_id: str, text: str) -> None:
    """The built-in transcription of a turn."""
    server.says("conversation.item.input_audio_transcription.completed", item_id=item_id, transcript=text)


async def refuse_request(server: Server) -> None:
    """The latest request for a transcript is refused."""
    await settle(lambda: any(event.response for event in server.of(ResponseCreate)))
    asked = [event for event in server.of(ResponseCreate) if event.response]
    server.says("error", error={"code": "invalid_value", "event_id": asked[-1].event_id, "message": "no", "type": "t"})


async def a_call_that_goes_well(outbox: Outbox) -> None:
    server = Server()
    world = world_of(outbox, "call_well", server)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        await call.until(lambda: world.runner._playout.heard("a1") is not None)
        call.line_plays(200)
        server.caller_turn("u1")
        heard(server, "u1", "words of u1")
        await call.until(lambda: len(call.record.turns) == 1)
        world.leg.caller_hangs_up()


async def a_call_transcribed_by_the_second_source_and_drained(outbox: Outbox) -> None:
    server = Server(transcribes=False)
    world = world_of(outbox, "call_drained", server)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = await talking(world, group)
        server.caller_turn("u1")
        heard(server, "u1", "my card is 4111 1111 1111 1111")
        await refuse_request(server)
        await call.until(lambda: len(call.record.turns) == 1)
        world.runner.hang_up(ending.DRAINED)


async def a_call_that_is_hung_up_on_early(outbox: Outbox) -> None:
    world = world_of(outbox, "call_early", Server(greets=False))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        await talking(world, group)
        world.leg.caller_hangs_up()


async def a_call_whose_server_goes_away(outbox: Outbox) -> None:
    server = Server(transcribes=False)
    world = world_of(outbox, "call_lost", server, SessionError("unreachable", "no"))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call: Call = await talking(world, group)
        call.caller_speaks(1000)
        server.caller_turn("u1")
        await call.until(lambda: any(event.response for event in server.of(ResponseCreate)))
        server.breaks()
        await call.until(lambda: world.runner._playout.heard("claimline_apology") is not None)
        call.line_plays(9000)


async def test_every_message_is_as_published_and_verifies_with_the_reference_library(outbox: Outbox) -> None:
    await play(outbox)
    await a_call_that_goes_well(outbox)
    await a_call_transcribed_by_the_second_source_and_drained(outbox)
    await a_call_that_is_hung_up_on_early(outbox)
    await a_call_whose_server_goes_away(outbox)

    secrets = parse_secrets(SECRET)
    async with Receiver(secrets) as receiver:
        sender = Sender(receiver.url, secrets, allowed_networks=LOOPBACK, connect_timeout_s=5.0, timeout_s=5.0)
        async with sender:
            deliverer = Deliverer(outbox, sender, parallel_calls=8, max_per_s=1e4, max_age_s=1e9)
            running = asyncio.create_task(deliverer.run())
            assert (await deliverer.drain(20.0)).pending == 0
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    bodies = []
    for arrival in receiver.arrivals:
        standardwebhooks.Webhook(SECRET).verify(arrival.body, arrival.headers)
        bodies.append(json.loads(arrival.body))
        PUBLISHED[bodies[-1]["type"]].validate(bodies[-1])
        assert len(arrival.body) < 20_000
    assert {body["type"] for body in bodies} == set(TYPES)
    sources = {body["data"]["source"] for body in bodies if body["type"] == "turn.transcribed"}
    assert sources == {"out_of_band", "input_transcription", "none"}
    endings = {
        body["data"]["call_id"]: (body["data"]["result"], body["data"]["reason"])
        for body in bodies
        if body["type"] == "call.ended"
    }
    assert endings.pop("call_1")
    assert endings == {
        "call_well": ("success", "caller_hung_up"),
        "call_drained": ("server_error", "drain_timeout"),
        "call_early": ("client_error", "hung_up_early"),
        "call_lost": ("upstream_error", "session_unreachable"),
    }
