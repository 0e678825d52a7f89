"""The messages in a websocket's bytes, for somebody who only watches (RFC 6455)."""

from __future__ import annotations

from itertools import cycle

import numpy as np

CONTINUATION, TEXT = 0x0, 0x1


class WebsocketTap:
    """One direction of a connection, from the first byte of its HTTP handshake on."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._shaken = False
        self._message = b""

    def feed(self, data: bytes) -> list[bytes]:
        """More bytes, in any portions. Gives the text messages that they complete."""
        self._held += data
        if not self._shaken:
            _, end, rest = self._held.partition(b"\r\n\r\n")
            if not end:
                return []
            self._held, self._shaken = bytearray(rest), True
        messages = []
        while (frame := self._next_frame()) is not None:
            final, opcode, payload = frame
            if opcode in {CONTINUATION, TEXT}:
                self._message += payload
                if final:
                    messages.append(self._message)
                    self._message = b""
        return messages

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        held = self._held
        if len(held) < 2:
            return None
        masked, size, head = bool(held[1] & 0x80), held[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(held) < head + width:
                return None
            size, head = int.from_bytes(held[head : head + width]), head + width
        mask = bytes(held[head : head + 4]) if masked else b""
        head += len(mask)
        if len(held) < head + size:
            return None
        payload = bytes(held[head : head + size])
        frame = bool(held[0] & 0x80), held[0] & 0x0F, _unmasked(payload, mask) if masked else payload
        del held[: head + size]
        return frame


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if len(payload) < 64:
        return bytes(byte ^ key for byte, key in zip(payload, cycle(mask), strict=False))
    keys = np.frombuffer(mask * (len(payload) // 4 + 1), np.uint8)[: len(payload)]
    return (np.frombuffer(payload, np.uint8) ^ keys).tobytes()
