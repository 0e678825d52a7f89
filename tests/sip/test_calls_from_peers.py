"""Calls placed by sipp and baresip: answered, heard, held and ended as SIP says."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from service.call.leg import Confirmed, Digit, Ended, MediaActive, MediaHeld, MediaLost
from sip.wav import write_line_audio
from tests import peers
from tests.peers import Codec
from tests.sip.desk import SETTINGS, Line, answer_and_echo, desk
from tests.sip.raw import SDP, RawPeer, to_tag

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(peers.missing_peers()), reason=f"not installed: {peers.missing_peers()}"),
]


TRIES = 6


def held_still(rtp: peers.RtpPeer) -> bool:
    """Whether the machine did, which may be a shared one: how long a tone lasts is judged in a call that it let be."""
    return float(rtp.gaps_ms().max()) < 30


@pytest.mark.alone
@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_a_tone_comes_back_whole(codec: Codec, tmp_path: Path) -> None:
    payload = peers.encode(peers.tone(440, 1.6), codec)
    for _ in range(TRIES):
        async with desk() as party:
            async with peers.talking(party.port, tmp_path, payload=payload, codec=codec, talk_s=2.2) as rtp:
                pass
            ended = await party.lines[0].ended()
        if held_still(rtp):
            break
    assert party.lines[0].of(MediaActive) == [MediaActive(codec)]
    sequence = np.array([packet.sequence for packet in rtp.packets])
    assert set(np.diff(sequence) % 65536) == {1}
    assert set(np.diff([packet.timestamp for packet in rtp.packets])) == {160}
    heard = rtp.heard().astype(np.float64)
    loud = np.flatnonzero(np.abs(heard) > 2000)
    body = heard[loud[0] : loud[-1]]
    assert len(body) / 8000 == pytest.approx(1.6, abs=0.06)
    middle = body[800:-800]
    assert peers.loudest_hz(middle) == pytest.approx(440, abs=1.5)
    frames = middle[: len(middle) // 160 * 160].reshape(-1, 160)
    assert frames.std(axis=1).min() > 0.9 * 8000 / np.sqrt(2)
    assert (ended.code, ended.by) == (200, "caller")
    assert ended.stats is not None
    assert (ended.stats.codec, ended.stats.rx_packets, ended.stats.rx_lost) == (codec, 80, 0)
    assert ended.stats.tx_packets >= 100


async def test_over_tcp_ringing_comes_before_the_answer(tmp_path: Path) -> None:
    def ring_then_answer(line: Line) -> None:
        line.leg.ring()
        asyncio.get_running_loop().call_later(0.1, line.leg.answer)

    async with desk(ring_then_answer) as party:
        with peers.RtpPeer() as rtp:
            call = await peers.sipp(
                "ringing", party.bound.tcp_port, tmp_path, transport="tcp", rtp_port=rtp.port, pt=0, codec="PCMU"
            )
        assert call.code == 0, call.messages
        assert call.statuses() == [100, 180, 200]
        line = party.lines[0]
        await line.ended()
    assert line.leg.invite.transport == "tcp"
    assert [type(event) for event in line.events] == [MediaActive, Confirmed, Ended]


async def test_the_invite_tells_who_calls(tmp_path: Path) -> None:
    speech = tmp_path / "silence.ul"
    speech.write_bytes(b"\xff" * 1600)
    headers = {"X-Twilio-CallSid": "CA0123", "x-twilio-accountsid": "AC9", "X-Other": "secret"}
    async with desk() as party:
        call = await peers.place_call(speech, party.port, tmp_path, user="+4930987;ext=1", headers=headers)
        assert call.code == 0, call.messages
        invite = party.lines[0].leg.invite
    assert invite.line == "+4930987"
    assert invite.from_uri.startswith("sip:+4930123456@127.0.0.1")
    assert invite.to_uri.startswith("sip:+4930987;ext=1@127.0.0.1")
    assert invite.peer == "127.0.0.1"
    assert invite.sip_call_id
    assert invite.headers == {"X-Twilio-CallSid": "CA0123", "X-Twilio-AccountSid": "AC9"}


async def test_sipp_speaks_by_its_own_rtp(tmp_path: Path) -> None:
    speech = tmp_path / "tone.ul"
    speech.write_bytes(peers.encode(peers.tone(600, 0.6), "PCMU"))
    async with desk() as party:
        call = await peers.place_call(speech, party.port, tmp_path, talk_s=1.0)
        assert call.code == 0, call.messages
        ended = await party.lines[0].ended()
    assert ended.stats is not None
    assert ended.stats.rx_packets >= 30


async def test_our_hangup_is_a_bye_with_its_reason(tmp_path: Path) -> None:
    async with desk() as party, asyncio.TaskGroup() as group:
        call = group.create_task(peers.sipp("wait_for_bye", party.port, tmp_path))
        line = await party.line()
        await line.until(Confirmed)
        line.leg.hangup('said "goodbye"\r\nX-Evil: 1')
        ended = await line.ended()
    assert call.result().code == 0, call.result().messages
    assert ended.by == "us"
    assert 'Reason: SIP;text="said  goodbye X-Evil: 1"' in call.result().messages


async def test_cancel_before_the_answer_ends_with_487(tmp_path: Path) -> None:
    async with desk(lambda line: line.leg.ring()) as party:
        call = await peers.sipp("cancel", party.port, tmp_path)
        assert call.code == 0, call.messages
        ended = await (await party.line()).ended()
        party.lines[0].leg.answer()  # Too late: of no effect.
    assert (ended.code, ended.by) == (487, "caller")


async def test_refused_by_the_call_with_retry_after(tmp_path: Path) -> None:
    async with desk(lambda line: line.leg.refuse(503, "Service Unavailable", 7)) as party:
        call = await peers.sipp("unavailable", party.port, tmp_path)
        assert call.code == 0, call.messages
        assert "Retry-After: 7" in call.messages
        ended = await (await party.line()).ended()
    assert (ended.code, ended.by) == (503, "us")


async def test_hangup_before_the_answer_is_a_failure_that_trunks_fail_over_on(tmp_path: Path) -> None:
    async with desk(lambda line: line.leg.hangup()) as party:
        call = await peers.sipp("unavailable", party.port, tmp_path, timeout_s=3)
        ended = await (await party.line()).ended()
    assert call.statuses()[-1] == 480
    assert (ended.code, ended.by) == (480, "us")


async def test_a_second_bye_does_no_harm(tmp_path: Path) -> None:
    async with desk() as party:
        call = await peers.sipp("bye_twice", party.port, tmp_path)
        assert call.code == 0, call.messages
        line = await party.line()
        await line.ended()
        assert len(line.of(Ended)) == 1
        assert party.endpoint.active == 0


async def test_hold_and_resume(tmp_path: Path) -> None:
    async with desk() as party:
        with peers.RtpPeer() as rtp:
            rtp.play(peers.encode(peers.tone(500, 2.0), "PCMU"))
            call = await peers.sipp("hold", party.port, tmp_path, rtp_port=rtp.port, pt=0, codec="PCMU", talk_ms=300)
        assert call.code == 0, call.messages
        line = party.lines[0]
        ended = await line.ended()
    assert [type(event) for event in line.events] == [MediaActive, Confirmed, MediaHeld, MediaActive, Ended]
    assert max(rtp.gaps_ms()) > 200  # Nothing is sent while held.
    assert ended.stats is not None
    assert 25 <= ended.stats.tx_packets <= 45  # Counted over both streams.


async def test_an_invite_without_sdp_gets_our_offer(tmp_path: Path) -> None:
    async with desk() as party:
        with peers.RtpPeer() as rtp:
            call = await peers.sipp(
                "no_offer", party.port, tmp_path, rtp_port=rtp.port, pt=8, codec="PCMA", talk_ms=200
            )
        assert call.code == 0, call.messages
        line = party.lines[0]
        await line.ended()
    assert MediaActive("PCMA") in line.events
    assert rtp.packets


async def test_audio_is_found_behind_a_line_that_this_build_cannot_do() -> None:
    video = "m=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    async with desk() as party, RawPeer(party.port) as raw:
        raw.send(raw.request("INVITE", call="video", body=SDP.replace("m=audio", f"{video}m=audio")))
        tag = to_tag(await raw.answer("video", "INVITE", 1))
        raw.send(raw.request("ACK", call="video", to_tag=tag))
        assert await (await party.line()).until(MediaActive) == MediaActive("PCMU")
        await raw.hang_up("video", tag)


async def test_a_call_that_is_not_acknowledged_is_not_one_whose_media_is_lost() -> None:
    async with desk(settings=SETTINGS.model_copy(update={"media_timeout_s": 0.5})) as party, RawPeer(party.port) as raw:
        raw.send(raw.request("INVITE", call="late", body=SDP))
        tag = to_tag(await raw.answer("late", "INVITE", 1))
        async with asyncio.timeout(5):
            # PJSIP repeats it after 0.5 s and after another second.
            while raw.statuses()[200] < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        raw.send(raw.request("ACK", call="late", to_tag=tag))
        line = await party.line()
        await line.until(Confirmed)
        assert [type(event) for event in line.events] == [MediaActive, Confirmed]
        await line.until(MediaLost)
        await raw.hang_up("late", tag)


async def test_no_codec_in_common_is_488_and_told(tmp_path: Path) -> None:
    async with desk() as party:
        call = await peers.sipp("bad_codec", party.port, tmp_path)
        assert call.code == 0, call.messages
    assert not party.lines
    assert [(refusal.code, refusal.reason) for refusal in party.refusals] == [(488, "bad_request")]
    assert party.refusals[0].invite.line == "100"


@pytest.mark.alone
@pytest.mark.parametrize("ptime_ms", [10, 30])
async def test_other_packet_times_are_heard(ptime_ms: int, tmp_path: Path) -> None:
    for _ in range(TRIES):
        async with desk() as party, peers.talking(party.port, tmp_path, talk_s=1.2) as rtp:
            rtp.play(peers.encode(peers.tone(700, 0.9), "PCMU"), ptime_ms=ptime_ms)
        if held_still(rtp):
            break
    heard = rtp.heard().astype(np.float64)
    loud = np.flatnonzero(np.abs(heard) > 2000)
    assert (loud[-1] - loud[0]) / 8000 == pytest.approx(0.9, abs=0.08)
    assert peers.loudest_hz(heard[loud[0] + 400 : loud[-1] - 400]) == pytest.approx(700, abs=2)


async def test_digits_by_rtp_even_where_their_end_is_lost(tmp_path: Path) -> None:
    async with desk() as party, peers.talking(party.port, tmp_path, talk_s=1.5) as rtp:
        await asyncio.to_thread(rtp.digit, 4, timestamp=160)
        await asyncio.to_thread(rtp.digit, 2, timestamp=3200, end_packets=0)
        await asyncio.to_thread(rtp.digit, 11, timestamp=6400, end_packets=1)
        await party.lines[0].until(Digit, count=3)
        await asyncio.to_thread(rtp.digit, 1, timestamp=9600, end_packets=0)
        await party.lines[0].until(Digit, count=4, timeout_s=1.0)
    assert party.lines[0].of(Digit) == [Digit("4", 100), Digit("2", 100), Digit("#", 100), Digit("1", 100)]


async def test_a_digit_by_info(tmp_path: Path) -> None:
    async with desk() as party:
        call = await peers.sipp("info_digit", party.port, tmp_path)
        assert call.code == 0, call.messages
        line = party.lines[0]
        await line.ended()
    assert line.of(Digit) == [Digit("9", 160)]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_baresip_talks_with_us(transport: str, tmp_path: Path) -> None:
    spoken = tmp_path / "tone.wav"
    write_line_audio(spoken, peers.tone(350, 6.0))
    async with desk() as party:
        target = f"sip:100@127.0.0.1:{party.port};transport={transport}"
        _, recording = await peers.baresip_call(target, spoken, tmp_path, codec="PCMA", transport=transport, seconds=2)
        ended = await (await party.line()).ended()
    assert ended.stats is not None
    assert ended.stats.rx_packets > 50
    assert recording is not None
    with wave.open(str(recording), "rb") as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert peers.loudest_hz(heard[len(heard) // 2 :]) == pytest.approx(350, abs=2)


async def test_the_endpoint_starts_again_in_the_same_process(tmp_path: Path) -> None:
    for _ in range(3):
        async with desk(answer_and_echo) as party:
            async with asyncio.TaskGroup() as group:
                call = group.create_task(peers.sipp("wait_for_bye", party.port, tmp_path))
                line = await party.line()
                await line.until(Confirmed)
                await party.endpoint.stop()  # With a live call: it gets a BYE.
            assert call.result().code == 0, call.result().messages
            assert (await line.ended()).by == "us"
