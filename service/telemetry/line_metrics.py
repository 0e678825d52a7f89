"""How good the telephone lines of the calls were."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

from service.call.quality import LineQuality, Way

DIRECTIONS = ("uplink", "downlink")
MOS = (1.5, 2.0, 2.58, 3.1, 3.6, 4.03, 4.34)
"""From 2.58 on the borders of G.107's annex B: nearly all, many, some users dissatisfied; satisfied; very satisfied."""
LOSS_RATIO = (0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
"""Concealment hides a hundredth; from a twentieth on words are lost."""
JITTER_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
ROUND_TRIP_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
"""0.3 is G.114's 150 ms one way."""


class LineMetrics:
    """One observation a call and direction, with the call as exemplar."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._mos = Histogram(
            "claimline_call_mos",
            "Mean opinion score of a call's line by the E-model (ITU-T G.107), 1 to 4.4.",
            ["direction"],
            buckets=MOS,
            registry=registry,
        )
        self._loss_ratio = Histogram(
            "claimline_call_loss_ratio",
            "Share of a call's RTP packets that were lost or came too late to be played.",
            ["direction"],
            buckets=LOSS_RATIO,
            registry=registry,
        )
        self._jitter = Histogram(
            "claimline_call_jitter_seconds",
            "Mean interarrival jitter of a call's RTP (RFC 3550).",
            ["direction"],
            buckets=JITTER_S,
            registry=registry,
        )
        self._round_trip = Histogram(
            "claimline_call_round_trip_seconds",
            "Mean round trip of a call's network path, where the caller's side sends RTCP.",
            buckets=ROUND_TRIP_S,
            registry=registry,
        )

        for direction in DIRECTIONS:
            for one in (self._mos, self._loss_ratio, self._jitter):
                one.labels(direction)

    def observe(self, call_id: str, line: LineQuality) -> None:
        """A call is over, and its line was so good."""
        exemplar = {"call_id": call_id}
        for direction, way in zip(DIRECTIONS, (line.uplink, line.downlink), strict=True):
            if way is not None:
                self._way(direction, way, exemplar)
        if line.round_trip_s is not None:
            self._round_trip.observe(line.round_trip_s, exemplar)

    def _way(self, direction: str, way: Way, exemplar: dict[str, str]) -> None:
        self._mos.labels(direction).observe(way.mos, exemplar)
        self._loss_ratio.labels(direction).observe(way.loss_ratio, exemplar)
        self._jitter.labels(direction).observe(way.jitter_s, exemplar)
