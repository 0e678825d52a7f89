"""How good the line was, each way: from what RTP, RTCP and the jitter buffer counted. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from service.call.emodel import mos, r_factor
from service.call.leg import StreamStats

PACKETIZATION_MS = 20.0
FAR_JITTER_BUFFER_MS = 40.0
"""Of the caller's telephone, which does not tell: two packets, as telephones are set up."""


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of the line."""

    loss_ratio: float
    """Packets that did not come, or came too late to be played, of all that were sent: 0 to 1."""
    jitter_s: float
    """Interarrival jitter (RFC 3550 §6.4.1), the mean over the call."""
    r_factor: float
    mos: float


@dataclass(frozen=True, slots=True)
class LineQuality:
    """Of one call. None: not known, since no packet or no report came."""

    uplink: Way | None
    """From the caller, as it was played to the agent."""
    downlink: Way | None
    """To the caller, as the caller's receiver reports it by RTCP."""
    round_trip_s: float | None


def line_quality(stats: StreamStats) -> LineQuality:
    """Judge a stream. Where no round trip was measured, the path counts as free of delay."""
    path_ms = (stats.round_trip_ms or 0.0) / 2
    received = stats.rx_packets + stats.rx_lost
    return LineQuality(
        uplink=_way(
            stats.rx_lost + stats.rx_discarded,
            received,
            stats.rx_jitter_ms,
            path_ms + stats.jitter_buffer_ms + PACKETIZATION_MS,
        )
        if stats.rx_packets
        else None,
        downlink=_way(
            stats.tx_lost,
            stats.tx_packets,
            stats.tx_jitter_ms or 0.0,
            path_ms + FAR_JITTER_BUFFER_MS + PACKETIZATION_MS,
        )
        if stats.tx_jitter_ms is not None
        else None,
        round_trip_s=stats.round_trip_ms / 1000 if stats.round_trip_ms is not None else None,
    )


def _way(lost: int, expected: int, jitter_ms: float, delay_ms: float) -> Way:
    ratio = min(1.0, max(0, lost) / expected) if expected else 0.0
    r = r_factor(delay_ms, 100 * ratio)
    return Way(ratio, jitter_ms / 1000, r, mos(r))
