"""The seam between the call and its telephone leg: what a leg tells, and what it can be told.

`sip.leg.Leg` is the real one; tests put a leg in memory in its place. All of it runs on the asyncio loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from service.media.ring import AudioHandover


@dataclass(frozen=True, slots=True)
class Invite:
    """What the INVITE said. Everything in it comes from a stranger."""

    sip_call_id: str
    from_uri: str
    to_uri: str
    line: str
    """The user part of the request URI: the number that was dialled."""
    peer: str
    """Source address of the INVITE."""
    transport: Literal["udp", "tcp", "tls", "memory"]
    headers: dict[str, str] = field(default_factory=dict)
    """Those named in `sip.record_headers`."""


@dataclass(frozen=True, slots=True)
class StreamStats:
    """Of the RTP stream, at the end of the leg. Times in milliseconds."""

    codec: str = ""
    rx_packets: int = 0
    rx_lost: int = 0
    rx_discarded: int = 0
    rx_jitter_ms: float = 0.0
    tx_packets: int = 0
    tx_lost: int = 0
    """As the far end reports it by RTCP."""
    tx_jitter_ms: float | None = None
    """Likewise; None: it has reported nothing."""
    round_trip_ms: float | None = None
    jitter_buffer_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK is here: the dialog stands."""


@dataclass(frozen=True, slots=True)
class MediaActive:
    """RTP may flow both ways."""

    codec: str


@dataclass(frozen=True, slots=True)
class MediaHeld:
    """The far end put the call on hold, or refused to send."""


@dataclass(frozen=True, slots=True)
class MediaLost:
    """No RTP has come for `sip.media_timeout_s`, and the call is not on hold."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A telephone-event (RFC 4733) or SIP INFO digit."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The leg is gone; nothing follows.

    `code` is the SIP status that ended it (200 for a BYE, 487 for a CANCEL, …), `by` who did it.
    """

    code: int
    reason: str
    by: Literal["caller", "us"]
    stats: StreamStats | None = None


LegEvent = Confirmed | MediaActive | MediaHeld | MediaLost | Digit | Ended


class Leg(Protocol):
    """One SIP dialog with its audio. Methods return at once; their effect comes back as an event."""

    invite: Invite
    audio: AudioHandover

    def listen(self, on_event: Callable[[LegEvent], None], on_tick: Callable[[], None]) -> None:
        """Name who is told of events, and who is woken once per 20 ms while media flows.

        Events that came before are delivered now.
        """

    def ring(self) -> None:
        """Send 180 Ringing."""

    def answer(self) -> None:
        """Send 200 OK."""

    def refuse(self, code: int, reason: str, retry_after_s: int | None = None) -> None:
        """End an unanswered INVITE with a final failure."""

    def hangup(self, reason: str | None = None) -> None:
        """Send BYE (or the failure that fits, before the answer), with a Reason header where one is given."""
