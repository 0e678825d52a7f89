"""One RTP stream each way over a UDP socket, with the kernel's times of arrival."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

HOST = "127.0.0.1"
PCMU = 0
HEADER_BYTES = 12
_SO_TIMESTAMPNS = 35
"""<asm-generic/socket.h>; Python does not name it."""
_TIMESPEC = struct.Struct("qq")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An RTP packet and when it came, on the monotonic clock."""

    at_ns: int
    sequence: int
    timestamp: int
    payload: bytes


class RtpSocket:
    """Sends what is due and keeps all that comes."""

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._wall_minus_monotonic_ns = time.time_ns() - time.monotonic_ns()
        self.port = int(self._socket.getsockname()[1])
        self.far_end = (HOST, 0)
        self.arrivals: list[Arrival] = []

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def packet(self, number: int, payload: bytes) -> bytes:
        """The `number`-th packet of the stream."""
        marker = 0x80 if number == 0 else 0
        head = struct.pack("!BBHII", 0x80, PCMU | marker, number & 0xFFFF, 160 * number & 0xFFFFFFFF, self._ssrc)
        return head + payload

    def send(self, packet: bytes) -> None:
        """Send one packet now."""
        self._socket.sendto(packet, self.far_end)

    def receive(self) -> None:
        """Take all that has come."""
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            at_ns = self._arrived_ns(ancillary)
            if len(data) > HEADER_BYTES and data[1] & 0x7F == PCMU:
                sequence, timestamp = struct.unpack("!HI", data[2:8])
                self.arrivals.append(Arrival(at_ns, sequence, timestamp, data[HEADER_BYTES:]))

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def _arrived_ns(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                return int(seconds) * 1_000_000_000 + int(nanoseconds) - self._wall_minus_monotonic_ns
        return time.monotonic_ns()
