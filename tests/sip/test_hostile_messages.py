"""Datagrams and streams that no well-behaved peer sends: the worker lives, and the next honest call is answered."""

from __future__ import annotations

import asyncio
import random

import pytest

from service.call.leg import Ended
from tests.sip.desk import Desk, Line, answer_and_echo, desk
from tests.sip.raw import SDP, RawPeer, to_tag

pytestmark = pytest.mark.real

BROKEN_SDP = {
    "empty": "\r\n",
    "no_media": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
    "port_zero": SDP.replace("40000", "0"),
    "port_too_large": SDP.replace("40000", "99999"),
    "no_connection": SDP.replace("c=IN IP4 127.0.0.1\r\n", ""),
    "connection_of_another_kind": SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1"),
    "connection_by_name": SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 no.such.host.invalid"),
    "video_only": SDP.replace("m=audio", "m=video"),
    "a_hundred_streams": SDP + "m=audio 40000 RTP/AVP 0\r\n" * 50,
    "wrong_rate": SDP.replace("RTP/AVP 0", "RTP/AVP 96").replace("0 PCMU/8000", "96 PCMU/4294967296"),
    "negative_ptime": SDP + "a=ptime:-20\r\n",
    "huge_ptime": SDP + "a=ptime:4000000000\r\n",
    "many_formats": SDP.replace("RTP/AVP 0", "RTP/AVP " + " ".join(map(str, range(128)))),
    "not_sdp": "\x00\xff" * 40,
    "savp_without_keys": SDP.replace("RTP/AVP", "RTP/SAVP"),
}


def broken_requests(raw: RawPeer) -> list[bytes | str]:
    """In the spirit of RFC 4475, in our own words."""
    good = raw.request("INVITE", call="broken", body=SDP)
    lines = good.split("\r\n")
    return [
        b"",
        b"\r\n\r\n",
        b"\x00" * 1200,
        b"\xff\xfe" * 30000,
        "INVITE",
        "INVITE sip:\r\n\r\n",
        good[: len(good) // 2],
        good.replace("SIP/2.0", "SIP/7.0"),
        good.replace("Content-Length: ", "Content-Length: -"),
        good.replace("Content-Length: ", "Content-Length: 99999"),
        good.replace("CSeq: 1 INVITE", "CSeq: 36893488147419103232 INVITE"),
        good.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        good.replace("Max-Forwards: 70", "Max-Forwards: 0"),
        good.replace("Max-Forwards: 70", "Max-Forwards: -1\r\nMax-Forwards: 300"),
        good.replace("<sip:raw@127.0.0.1>", '"unended <sip:raw@127.0.0.1>'),
        good.replace("<sip:raw@127.0.0.1>", "<sip:raw@127.0.0.1>;tag=a;tag=b;" + "p=" * 200),
        good.replace("Call-ID: broken", "Call-ID: " + "x" * 3000),
        good.replace("Call-ID: broken\r\n", "Call-ID: one\r\nCall-ID: two\r\n"),
        good.replace("sip:100@", "sip:%00%0d%0a%ff@"),
        good.replace("sip:100@", "sip:" + "1" * 2000 + "@"),
        good.replace("Contact: <", "Contact: <sips:%%:::@@@@,<"),
        good.replace("Max-Forwards: 70\r\n", "Max-Forwards: 70\r\n" + "X-Filler: y\r\n" * 250),
        good.replace("Max-Forwards: 70\r\n", "Max-Forwards: 70\r\nRequire: telepathy\r\nProxy-Require: magic\r\n"),
        good.replace("Max-Forwards: 70\r\n", "Max-Forwards: 70\r\nReplaces: broken;to-tag=1;from-tag=2\r\n"),
        good.replace("Max-Forwards: 70\r\n", "Max-Forwards: 70\r\nSession-Expires: 1;refresher=no\r\nMin-SE: 0\r\n"),
        good.replace("application/sdp", "multipart/mixed;boundary=--"),
        good.replace("application/sdp", "multipart/mixed"),
        "\r\n".join(line for line in lines if not line.startswith("Via")),
        "\r\n".join(line for line in lines if not line.startswith("Contact")),
        "\r\n".join(line for line in lines if not line.startswith(("From", "To"))),
        "\n".join(lines),
        "SIP/2.0 200 OK\r\n\r\n",
        "SIP/2.0 999999999999 What\r\n" + "\r\n".join(lines[1:]),
        *(raw.request(method, call=f"stray-{method}", to_tag="nobody") for method in ("BYE", "ACK", "CANCEL", "INFO")),
        *(
            raw.request(method, call=f"odd-{method}")
            for method in ("REGISTER", "SUBSCRIBE", "MESSAGE", "REFER", "ÜBEL")
        ),
        *(raw.request("INVITE", call=f"sdp-{name}", body=body) for name, body in BROKEN_SDP.items()),
    ]


def not_now(line: Line) -> None:
    line.leg.refuse(480, "Not now")


async def honest_call(party: Desk, raw: RawPeer) -> None:
    """Once the rate of INVITEs before it is forgotten, it is answered."""
    party.manner = answer_and_echo
    async with asyncio.timeout(5):
        for number in range(100):
            raw.send(raw.request("INVITE", call=f"honest{number}", body=SDP))
            answer = await raw.answer(f"honest{number}", "INVITE", 1)
            raw.send(raw.request("ACK", call=f"honest{number}", to_tag=to_tag(answer)))
            if answer.startswith("SIP/2.0 200"):
                await raw.hang_up(f"honest{number}", to_tag(answer))
                return
            await asyncio.sleep(0.1)


async def test_broken_requests_one_by_one() -> None:
    async with desk(not_now) as party, RawPeer(party.port) as raw:
        for number, message in enumerate(broken_requests(raw)):
            raw.send(message)
            raw.send(raw.request("OPTIONS", call=f"ping{number}"))
            assert (await raw.answer(f"ping{number}", "OPTIONS", 1)).startswith("SIP/2.0 200")
        assert raw.statuses()[481] >= 2  # The strays.
        await honest_call(party, raw)


async def test_bit_rot_and_noise() -> None:
    dice = random.Random(4475)
    async with desk(not_now) as party, RawPeer(party.port) as raw:
        good = raw.request("INVITE", call="rot", body=SDP).encode()
        for number in range(600):
            rotten = bytearray(good)
            for _ in range(dice.randrange(1, 12)):
                rotten[dice.randrange(len(rotten))] = dice.randrange(256)
            raw.send(bytes(rotten))
            raw.send(dice.randbytes(dice.randrange(1, 1400)))
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        raw.send(raw.request("OPTIONS", call="ping"))
        await raw.answer("ping", "OPTIONS", 1)
        await honest_call(party, raw)
        assert len(party.log) <= 120  # A flood of garbage is no flood of lines.


async def test_tcp_streams_that_never_make_sense() -> None:
    async with desk() as party:
        writers = []
        for junk in (b"", b"INVITE sip:", b"\x16\x03\x01\x02\x00", b"x" * 70000, b"Content-Length: 99\r\n" * 500):
            _, writer = await asyncio.open_connection("127.0.0.1", party.bound.tcp_port)
            writer.write(junk)
            writers.append(writer)
        async with RawPeer(party.port) as raw:
            await honest_call(party, raw)
        for writer in writers:
            writer.close()


async def test_a_live_call_survives_what_is_sent_inside_it() -> None:
    async with desk() as party, RawPeer(party.port) as raw:
        tag = await raw.dial("inside")

        async def status(method: str, cseq: int, body: str = "", headers: str = "", content_type: str = "x/y") -> str:
            raw.send(
                raw.request(
                    method, call="inside", to_tag=tag, cseq=cseq, body=body, headers=headers, content_type=content_type
                )
            )
            answer = await raw.answer("inside", method, cseq)
            if method == "INVITE":
                raw.send(raw.request("ACK", call="inside", to_tag=tag, cseq=cseq))
            return answer.split(" ", 2)[1]

        g722 = SDP.replace("AVP 0", "AVP 9").replace("0 PCMU", "9 G722")
        assert await status("INVITE", 2, g722, content_type="application/sdp") in "488 500"
        assert await status("REFER", 3, headers="Refer-To: <sip:evil@127.0.0.1:9>\r\n") == "603"
        # PJSIP itself aborts on a body without a line end.
        for cseq, body in enumerate(
            ("Signal=", "Signal=5", "Signal=5 Duration=1", "Signal=" + "9" * 3000, "x"), start=4
        ):
            assert await status("INFO", cseq, body, content_type="application/dtmf-relay") in "200 415"
        assert await status("INFO", 9, "<media_control/>", content_type="application/media_control+xml") == "415"
        assert await status("INFO", 10) == "200"
        assert await status("UPDATE", 11, "nonsense", content_type="application/sdp") in "400 415 488 500"
        assert await status("MESSAGE", 12, "hello", content_type="text/plain") in "200 202 405"
        replaces = f"Replaces: inside;to-tag={tag};from-tag=inside\r\n"
        raw.send(raw.request("INVITE", call="thief", body=SDP, headers=replaces))
        assert (await raw.answer("thief", "INVITE", 1)).split(" ", 2)[1] in {"481", "486"}
        assert not party.lines[0].of(Ended)
        assert party.endpoint.active == 1
        await raw.hang_up("inside", tag)
        assert (await party.lines[0].ended()).by == "caller"
