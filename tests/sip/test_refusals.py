"""INVITEs that must not become calls, few and many at a time, while live calls go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import numpy as np
import pytest

from service.call.leg import Confirmed, Ended
from service.errors import ConfigError
from sip.endpoint import Endpoint
from tests import peers
from tests.sip.desk import SETTINGS, Desk, Line, answer_and_echo, desk
from tests.sip.raw import SDP, RawPeer, to_tag

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(peers.missing_peers()), reason=f"not installed: {peers.missing_peers()}"),
]


@contextlib.asynccontextmanager
async def full_house(party: Desk, tmp_path: Path, talk_s: float) -> AsyncIterator[list[peers.RtpPeer]]:
    """As many calls as are answered, each with a tone going both ways."""
    payload = peers.encode(peers.tone(440, talk_s), "PCMU")
    async with contextlib.AsyncExitStack() as stack:
        calls = peers.talking(party.port, tmp_path, payload=payload, talk_s=talk_s)
        rtp = [await stack.enter_async_context(calls)]
        for _ in range(party.bound.max_calls - 1):
            calls = peers.talking(party.port, tmp_path, payload=payload, talk_s=talk_s)
            rtp.append(await stack.enter_async_context(calls))
        yield rtp


async def test_a_peer_that_is_not_allowed_gets_403(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"allowed_peers": (ip_network("192.0.2.0/24"),)})
    async with desk(settings=settings) as party:
        call = await peers.sipp("forbidden", party.port, tmp_path, calls=10)
        assert call.code == 0, call.messages
    assert not party.lines
    assert Counter((refusal.code, refusal.reason) for refusal in party.refusals) == {(403, "not_allowed"): 10}
    assert party.refusals[0].invite.peer == "127.0.0.1"


async def test_an_invite_without_an_offer_is_refused_like_any_other() -> None:
    """PJSIP aborts the process where that is done in the callback that brings the INVITE."""
    settings = SETTINGS.model_copy(update={"allowed_peers": (ip_network("192.0.2.0/24"),)})
    async with desk(settings=settings) as party, RawPeer(party.port) as stranger:
        for number in range(6):
            call, branch = f"bare{number}", f"z9hG4bKbare{number}"
            stranger.send(stranger.request("INVITE", call=call, branch=branch))
            if number % 2:
                stranger.send(stranger.request("CANCEL", call=call, branch=branch))
            answer = await stranger.answer(call, "INVITE", 1)
            assert answer.startswith(("SIP/2.0 403", "SIP/2.0 487")), answer
            stranger.send(stranger.request("ACK", call=call, branch=branch, to_tag=to_tag(answer)))
    assert not party.lines
    assert Counter((refusal.code, refusal.reason) for refusal in party.refusals) == {(403, "not_allowed"): 6}


async def test_who_takes_the_place_of_a_caller_just_gone_is_not_hung_up_on() -> None:
    """PJSIP gives the slot of a call to the next before its object is destroyed, which ends whatever the slot holds."""

    def answer_three(line: Line) -> None:
        if len(party.lines) <= 3:
            answer_and_echo(line)
        else:
            line.leg.refuse(480, "Not now")

    async with (
        desk(answer_three, SETTINGS.model_copy(update={"max_calls": 4})) as party,
        RawPeer(party.port) as caller,
    ):
        tags = {name: await caller.dial(name) for name in ("a", "b", "c")}
        for number in range(6):
            call, branch = f"brief{number}", f"z9hG4bKbrief{number}"
            caller.send(caller.request("INVITE", call=call, branch=branch, body=SDP))
            answer = await caller.answer(call, "INVITE", 1)
            assert answer.startswith("SIP/2.0 480"), answer
            caller.send(caller.request("ACK", call=call, branch=branch, to_tag=to_tag(answer)))
        for name, tag in tags.items():
            await caller.hang_up(name, tag)
        for line in party.lines:
            await line.ended()
    assert len(party.lines) == 9


async def test_the_fourth_call_gets_503_until_one_of_three_has_ended(tmp_path: Path) -> None:
    async with desk() as party:
        assert (party.bound.slots, party.bound.max_calls) == (4, 3)
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(peers.sipp("wait_for_bye", party.port, tmp_path)) for _ in range(3)]
            for number in range(3):
                await (await party.line(number)).until(Confirmed)
            assert party.endpoint.active == 3
            fourth = await peers.sipp("unavailable", party.port, tmp_path)
            assert fourth.code == 0, fourth.messages
            assert "Retry-After: 5" in fourth.messages
            party.lines[0].leg.hangup()
            await party.lines[0].ended()
            calls.append(group.create_task(peers.sipp("wait_for_bye", party.port, tmp_path)))
            await (await party.line(3)).until(Confirmed)
            for line in party.lines:
                line.leg.hangup()
        assert [call.result().code for call in calls] == [0, 0, 0, 0]
    assert [(refusal.code, refusal.reason) for refusal in party.refusals] == [(503, "capacity")]


async def test_draining_refuses_new_calls_and_keeps_the_live_one(tmp_path: Path) -> None:
    async with desk() as party:
        async with peers.talking(party.port, tmp_path, talk_s=2.5) as rtp:
            party.endpoint.drain()
            refused = await peers.sipp("unavailable", party.port, tmp_path, calls=5)
            assert refused.code == 0, refused.messages
            before = len(rtp.packets)
            await peers.heard_from(rtp, before + 10)
        assert (await party.lines[0].ended()).code == 200
    assert Counter((refusal.code, refusal.reason) for refusal in party.refusals) == {(503, "draining"): 5}


@pytest.mark.alone
async def test_three_calls_do_not_notice_a_burst_and_a_run_of_refusals(tmp_path: Path) -> None:
    async with desk() as party:
        async with full_house(party, tmp_path, talk_s=12.0) as streams:
            burst = await peers.sipp("refused", party.port, tmp_path, calls=200, per_second=1000)
            run = await peers.sipp("refused", party.port, tmp_path, calls=100, per_second=20)
            assert (burst.code, run.code) == (0, 0), burst.output + run.output
            assert Counter(run.statuses()) == {100: 100, 503: 100}
        for line in party.lines:
            assert (await line.ended()).code == 200
    assert len(party.lines) == 3
    # Whoever refused, us or PJSIP itself: each INVITE is counted.
    assert Counter(refusal.reason for refusal in party.refusals) == {"capacity": 300}
    for rtp in streams:
        assert set(np.diff([packet.sequence for packet in rtp.packets]) % 65536) == {1}
        assert np.percentile(rtp.gaps_ms(), 90) <= peers.MAX_GAP_P90_MS
        assert peers.loudest_hz(rtp.heard()[8000:16000]) == pytest.approx(440, abs=2)


async def test_callers_who_cancel_at_once_by_the_hundred(tmp_path: Path) -> None:
    async with desk(lambda line: line.leg.ring()) as party, RawPeer(party.port) as raw:
        for number in range(300):
            call, branch = f"flood{number}", f"z9hG4bKflood{number}"
            raw.send(raw.request("INVITE", call=call, branch=branch, body=SDP))
            raw.send(raw.request("CANCEL", call=call, branch=branch))
            await asyncio.sleep(0.003)
        await raw.answer("flood299", "INVITE", 1)
        assert set(raw.statuses()) <= {200, 486, 487, 503}
        for line in party.lines:
            assert (await line.ended()).code == 487
        assert len(party.lines) + len(party.refusals) == 300
        assert party.endpoint.active == 0


async def test_refusals_that_are_never_acknowledged_hold_no_slot() -> None:
    async with desk() as party, RawPeer(party.port) as raw:
        live = [(f"live{number}", await raw.dial(f"live{number}")) for number in range(3)]
        for number in range(300):
            raw.send(raw.request("INVITE", call=f"mute{number}", body=SDP))
            await asyncio.sleep(0.003)
        raw.send(raw.request("INVITE", call="late", body=SDP))
        assert "Retry-After: 5" in await raw.answer("late", "INVITE", 1)
        assert Counter(refusal.reason for refusal in party.refusals) == {"capacity": 301}
        for call, tag in live:
            await raw.hang_up(call, tag)
        for line in party.lines:
            await line.ended()
        await raw.hang_up("after", await raw.dial("after"))


async def test_a_bye_that_is_lost_is_sent_again_before_the_endpoint_is_gone() -> None:
    async with desk() as party, RawPeer(party.port) as raw:
        await raw.dial("deaf")
        await party.lines[0].until(Confirmed)
        await party.endpoint.stop()
        assert (await party.lines[0].ended()).by == "us"
        assert sum(message.startswith("BYE") for message in raw.messages) >= 2


async def test_a_taken_port_names_its_setting() -> None:
    async with desk() as party:
        # A second PJSIP cannot live in this process: the port alone is asked for.
        taken = party.port
        with pytest.raises(ConfigError, match=r"already runs"):
            await Endpoint(SETTINGS, lambda leg: None, lambda refusal: None, lambda level, line: None).start()
    with peers.occupied(taken):
        second = SETTINGS.model_copy(update={"port": taken})
        with pytest.raises(ConfigError, match=rf"sip.port.*127\.0\.0\.1:{taken}"):
            await Endpoint(second, lambda leg: None, lambda refusal: None, lambda level, line: None).start()
    async with desk(settings=second) as party:
        assert party.port == taken


async def test_more_calls_than_the_build_holds_is_a_wrong_setting() -> None:
    settings = SETTINGS.model_copy(update={"max_calls": 99, "pjsua_slots": None})
    endpoint = Endpoint(settings, lambda leg: None, lambda refusal: None, lambda level, line: None)
    with pytest.raises(ConfigError, match=r"sip.max_calls is 99, but this PJSIP build holds 4"):
        await endpoint.start()
    await endpoint.stop()


async def test_an_unanswered_invite_ends_when_the_endpoint_stops() -> None:
    async with desk(lambda line: None) as party, RawPeer(party.port) as raw:
        raw.send(raw.request("INVITE", call="patient", body=SDP))
        line = await party.line()
        await party.endpoint.stop()
        assert (await line.until(Ended)).by == "us"
        assert (await raw.answer("patient", "INVITE", 1)).startswith("SIP/2.0 480")
