"""PJSIP's stream statistics as ours."""

from __future__ import annotations

from typing import Any

from service.call.leg import StreamStats


def stream_stats(stat: Any, codec: str) -> StreamStats:
    """Convert a `pjsua2.StreamStat` (times in microseconds, buffer in milliseconds)."""
    received, sent, buffer = stat.rtcp.rxStat, stat.rtcp.txStat, stat.jbuf
    round_trip = stat.rtcp.rttUsec
    return StreamStats(
        codec=codec,
        rx_packets=received.pkt,
        rx_lost=received.loss,
        rx_discarded=received.discard,
        rx_jitter_ms=received.jitterUsec.mean / 1000,
        tx_packets=sent.pkt,
        tx_lost=sent.loss,
        tx_jitter_ms=sent.jitterUsec.mean / 1000 if sent.updateCount else None,
        round_trip_ms=round_trip.mean / 1000 if round_trip.n else None,
        jitter_buffer_ms=float(buffer.avgDelayMsec),
    )


def joined(earlier: StreamStats | None, later: StreamStats) -> StreamStats:
    """Of two streams of one leg (a re-INVITE replaces the stream): counts add up, the rest is the later one's."""
    if earlier is None:
        return later
    return StreamStats(
        codec=later.codec or earlier.codec,
        rx_packets=earlier.rx_packets + later.rx_packets,
        rx_lost=earlier.rx_lost + later.rx_lost,
        rx_discarded=earlier.rx_discarded + later.rx_discarded,
        rx_jitter_ms=later.rx_jitter_ms if later.rx_packets else earlier.rx_jitter_ms,
        tx_packets=earlier.tx_packets + later.tx_packets,
        tx_lost=earlier.tx_lost + later.tx_lost,
        tx_jitter_ms=later.tx_jitter_ms if later.tx_jitter_ms is not None else earlier.tx_jitter_ms,
        round_trip_ms=later.round_trip_ms if later.round_trip_ms is not None else earlier.round_trip_ms,
        jitter_buffer_ms=later.jitter_buffer_ms if later.rx_packets else earlier.jitter_buffer_ms,
    )
