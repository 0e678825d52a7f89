"""As much of a SIP user agent client (RFC 3261) as one call over loopback needs: INVITE, ACK, BYE."""

from __future__ import annotations

import re
import select
import socket
import time
import uuid

from tests.bench.rtp import HOST

ANSWER_TIMEOUT_S = 10.0
RESEND_S = 0.5
"""T1, RFC 3261 §17.1.1.1."""


class CallFailed(Exception):  # noqa: N818 -- says what happened, as the field does
    """The service did not answer as a call needs it."""


class SipCall:
    """One dialog. Blocks only in `dial` and `hang_up`; while the call lives, `receive` answers what comes."""

    def __init__(self, sip_port: int, rtp_port: int) -> None:
        self._far_end = (HOST, sip_port)
        self._rtp_port = rtp_port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.setblocking(False)
        self._port = int(self._socket.getsockname()[1])
        self.call_id = uuid.uuid4().hex
        self._to_tag = ""
        self._target = f"sip:claims@{HOST}:{sip_port}"
        self._cseq = 1
        self.ended = False
        """Whether the far end has hung up."""

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def dial(self) -> tuple[float, tuple[str, int]]:
        """Seconds from INVITE to 200, and where the far end wants its RTP. Raises `CallFailed`."""
        begun_s = time.monotonic()
        answer = self._transact("INVITE", _offer(self._rtp_port))
        took_s = time.monotonic() - begun_s
        if not answer.startswith("SIP/2.0 200"):
            raise CallFailed(f"INVITE was answered {answer.splitlines()[0]}")
        self._to_tag = _first(r"^To:.*?;tag=([^\s;]+)", answer)
        self._target = _first(r"^Contact:\s*<([^>]+)>", answer)
        self._send(self._request("ACK", ""))
        return took_s, (_first(r"^c=IN IP4 (\S+)", answer), int(_first(r"^m=audio (\d+)", answer)))

    def hang_up(self) -> None:
        """Say BYE and wait for its answer."""
        if not self.ended:
            self._cseq += 1
            self._transact("BYE", "")
        self._socket.close()

    def receive(self) -> None:
        """Answer requests of the far end, acknowledge a repeated 200."""
        while True:
            try:
                message = self._socket.recv(65535).decode("utf-8", "replace")
            except BlockingIOError:
                return
            if not message.startswith("SIP/2.0"):
                self.ended = self.ended or message.startswith("BYE ")
                if not message.startswith("ACK "):
                    self._send(_ok(message))
            elif message.startswith("SIP/2.0 200") and re.search(r"^CSeq:\s*\d+ INVITE", message, re.MULTILINE):
                self._send(self._request("ACK", ""))

    def _transact(self, method: str, body: str) -> str:
        request = self._request(method, body)
        end_s = time.monotonic() + ANSWER_TIMEOUT_S
        quiet = True
        while time.monotonic() < end_s:
            if quiet:
                self._send(request)
            if not select.select([self._socket], [], [], RESEND_S)[0]:
                continue
            message = self._socket.recv(65535).decode("utf-8", "replace")
            if not message.startswith("SIP/2.0"):
                self._send(_ok(message))
            elif re.search(rf"^CSeq:\s*{self._cseq} {method}\b", message, re.MULTILINE):
                quiet = False
                if not message.startswith("SIP/2.0 1"):
                    return message
        raise CallFailed(f"{method} was not answered within {ANSWER_TIMEOUT_S:g} s")

    def _request(self, method: str, body: str) -> str:
        tag = f";tag={self._to_tag}" if self._to_tag else ""
        content = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} {self._target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {HOST}:{self._port};rport;branch=z9hG4bK{uuid.uuid4().hex}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:bench@{HOST}>;tag={self.call_id[:8]}\r\n"
            f"To: <sip:claims@{HOST}>{tag}\r\nCall-ID: {self.call_id}\r\nCSeq: {self._cseq} {method}\r\n"
            f"Contact: <sip:bench@{HOST}:{self._port}>\r\n{content}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def _send(self, message: str) -> None:
        self._socket.sendto(message.encode(), self._far_end)


def _offer(rtp_port: int) -> str:
    return (
        f"v=0\r\no=bench 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {rtp_port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def _ok(request: str) -> str:
    """200 to a request in the dialog (RFC 3261 §8.2.6.2)."""
    head = request.partition("\r\n\r\n")[0].splitlines()[1:]
    copied = [line for line in head if re.match(r"(Via|From|To|Call-ID|CSeq):", line, re.IGNORECASE)]
    return "\r\n".join(["SIP/2.0 200 OK", *copied, "Content-Length: 0", "", ""])


def _first(pattern: str, message: str) -> str:
    found = re.search(pattern, message, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise CallFailed(f"the answer to INVITE lacks {pattern!r}")
    return found[1]
