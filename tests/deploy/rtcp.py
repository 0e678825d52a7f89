"""A caller's RTCP (RFC 3550 §6.4): answers each sender report with a receiver report that says what it is told to."""

from __future__ import annotations

import asyncio
import struct

HOST = "127.0.0.1"
SENDER_REPORT, RECEIVER_REPORT = 200, 201
SSRC = 4711


class RtcpPeer(asyncio.DatagramProtocol):
    """Bound beside an RTP port. The path seems `round_trip_s` long, `lost` packets seem never to have come."""

    def __init__(self, *, round_trip_s: float, lost: int, jitter_ms: int) -> None:
        self._round_trip_s = round_trip_s
        self._lost = lost
        self._jitter_ms = jitter_ms
        self._transport: asyncio.DatagramTransport | None = None
        self.reports = 0
        """That were sent."""

    async def bind(self, port: int) -> None:
        """Raises OSError where somebody else has the port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, port))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) >= 20 and data[1] == SENDER_REPORT:
            ssrc, seconds, fraction = struct.unpack("!III", data[4:16])
            middle = (seconds & 0xFFFF) << 16 | fraction >> 16
            packets = struct.unpack("!I", data[20:24])[0]
            asyncio.get_running_loop().call_later(self._round_trip_s, self._report, addr, ssrc, middle, packets)

    def _report(self, addr: tuple[str, int], ssrc: int, last_report: int, packets: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        # Jitter in units of the 8 kHz clock. The answer seems to have left at once: a DLSR of 0 would mean no report.
        block = struct.pack("!IIIIII", ssrc, self._lost, packets, 8 * self._jitter_ms, last_report, 1)
        self._transport.sendto(struct.pack("!BBHI", 0x81, RECEIVER_REPORT, 7, SSRC) + block, addr)
        self.reports += 1
