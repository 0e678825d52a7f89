"""SIP by hand over one UDP socket, for what no well-behaved peer would send."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


class RawPeer(asyncio.DatagramProtocol):
    """Sends what it is told and keeps every answer."""

    def __init__(self, port: int) -> None:
        self._far_end = (HOST, port)
        self._come = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0
        self.messages: list[str] = []

    async def __aenter__(self) -> Self:
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(HOST, 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.messages.append(data.decode("utf-8", "replace"))
        self._come.set()

    def send(self, data: bytes | str) -> None:
        assert self._transport is not None
        self._transport.sendto(data if isinstance(data, bytes) else data.encode(), self._far_end)

    def request(
        self,
        method: str,
        *,
        call: str,
        branch: str | None = None,
        to_tag: str = "",
        cseq: int = 1,
        body: str = "",
        headers: str = "",
        content_type: str = "application/sdp",
    ) -> str:
        """A well-formed request; `headers` are whole lines."""
        tag = f";tag={to_tag}" if to_tag else ""
        return (
            f"{method} sip:100@{HOST}:{self._far_end[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {HOST}:{self.port};branch={branch or 'z9hG4bK' + uuid.uuid4().hex}\r\n"
            f"From: <sip:raw@{HOST}>;tag={call[:8]}\r\nTo: <sip:100@{HOST}>{tag}\r\nCall-ID: {call}\r\n"
            f"CSeq: {cseq} {method}\r\nContact: <sip:raw@{HOST}:{self.port}>\r\nMax-Forwards: 70\r\n{headers}"
            + (f"Content-Type: {content_type}\r\n" if body else "")
            + f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def statuses(self) -> Counter[int]:
        """How often each final status has come."""
        codes = (int(message.split(" ", 2)[1]) for message in self.messages if message.startswith("SIP/2.0 "))
        return Counter(code for code in codes if code >= 200)

    async def answer(self, call: str, method: str, cseq: int, timeout_s: float = 5.0) -> str:
        """The final answer to a request."""
        head = rf"SIP/2\.0 [2-6]\d\d .*^Call-ID: {re.escape(call)}\s.*^CSeq: {cseq} {method}\b"
        pattern = re.compile(head, re.MULTILINE | re.DOTALL)
        async with asyncio.timeout(timeout_s):
            while True:
                for message in self.messages:
                    if pattern.match(message):
                        return message
                self._come.clear()
                await self._come.wait()

    async def dial(self, call: str, headers: str = "") -> str:
        """A call that stands; returns the far end's tag."""
        self.send(self.request("INVITE", call=call, body=SDP, headers=headers))
        answer = await self.answer(call, "INVITE", 1)
        assert answer.startswith("SIP/2.0 200"), answer
        tag = to_tag(answer)
        self.send(self.request("ACK", call=call, to_tag=tag))
        return tag

    async def hang_up(self, call: str, tag: str) -> None:
        """End a call that stands."""
        self.send(self.request("BYE", call=call, to_tag=tag, cseq=99))
        await self.answer(call, "BYE", 99)


def to_tag(message: str) -> str:
    """The tag of the To header."""
    found = re.search(r"^To:.*;tag=([^\s;]+)", message, re.MULTILINE)
    return found[1] if found else ""
