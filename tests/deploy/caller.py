"""Callers for the run: signalling over one socket, each with RTP and, where asked for, RTCP of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.deploy.rtcp import RtcpPeer
from tests.peers import HOST, RtpPeer, encode, tone
from tests.sip.raw import RawPeer, to_tag

SPEECH_S = 10.0
PAIR_TRIES = 20
PAYLOAD = encode(tone(300, SPEECH_S), "PCMU")


class LossyRtp(RtpPeer):
    """An RTP socket whose network loses one packet in ten."""

    def _packet(self, kind: int, sequence: int, timestamp: int, payload: bytes) -> None:
        if sequence % 10 != 5:
            super()._packet(kind, sequence, timestamp, payload)


class Switchboard(RawPeer):
    """Dials, and takes it politely when the far end hangs up."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.ended: set[str] = set()
        """Call-IDs that the far end has ended."""
        self._gone = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        super().datagram_received(data, addr)
        message = self.messages[-1]
        if message.startswith("BYE "):
            head = message.partition("\r\n\r\n")[0].splitlines()[1:]
            copied = [line for line in head if re.match(r"(Via|From|To|Call-ID|CSeq):", line, re.IGNORECASE)]
            self.send("\r\n".join(["SIP/2.0 200 OK", *copied, "Content-Length: 0", "", ""]))
            self.ended |= set(re.findall(r"^Call-ID: (\S+)", message, re.MULTILINE))
            self._gone.set()

    async def status(self, call: str, rtp_port: int = 40000) -> tuple[int, str]:
        """Send an INVITE; gives the final status and the far end's tag, and sends the ACK."""
        branch = f"z9hG4bK{call}"
        self.send(self.request("INVITE", call=call, branch=branch, body=_offer(rtp_port)))
        answer = await self.answer(call, "INVITE", 1)
        code = int(answer.split(" ", 2)[1])
        # The ACK to a failure belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
        self.send(self.request("ACK", call=call, branch=branch if code >= 300 else None, to_tag=to_tag(answer)))
        return code, to_tag(answer)

    async def until_ended(self, call: str, timeout_s: float = 10.0) -> None:
        """Wait until the far end has hung up."""
        async with asyncio.timeout(timeout_s):
            while call not in self.ended:
                self._gone.clear()
                await self._gone.wait()


@dataclass
class Line:
    """A call that stands."""

    name: str
    tag: str
    rtp: RtpPeer
    rtcp: RtcpPeer


@dataclass(frozen=True, slots=True)
class Path:
    """What the caller's network is like."""

    lossy: bool = False
    round_trip_s: float = 0.02
    lost: int = 0
    jitter_ms: int = 3


@dataclass
class Callers:
    """Who dials."""

    board: Switchboard
    dialled: int = field(default=0)

    @contextlib.asynccontextmanager
    async def line(self, path: Path) -> AsyncIterator[Line]:
        """A caller who speaks from the answer on. Whoever is inside hangs up, or waits until the far end has."""
        self.dialled += 1
        name = f"call{self.dialled}"
        rtp, rtcp = await _pair(path)
        try:
            code, tag = await self.board.status(name, rtp.port)
            assert code == 200, self.board.messages[-1]
            rtp.play(PAYLOAD)
            yield Line(name, tag, rtp, rtcp)
        finally:
            rtcp.close()
            await asyncio.to_thread(rtp.close)

    async def hang_up(self, line: Line) -> None:
        """BYE."""
        await self.board.hang_up(line.name, line.tag)


async def _pair(path: Path) -> tuple[RtpPeer, RtcpPeer]:
    """On two neighbouring ports (RFC 3550 §11)."""
    for _ in range(PAIR_TRIES):
        rtp = LossyRtp() if path.lossy else RtpPeer()
        rtcp = RtcpPeer(round_trip_s=path.round_trip_s, lost=path.lost, jitter_ms=path.jitter_ms)
        try:
            await rtcp.bind(rtp.port + 1)
        except OSError:
            await asyncio.to_thread(rtp.close)
            continue
        return rtp, rtcp
    raise OSError("no two neighbouring ports are free")


def _offer(rtp_port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {rtp_port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
