"""How the worker itself does: whether it takes calls, whether its loop and its media clock keep time."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Above 0.04 the ring between the loop and the media clock runs dry."""


class WorkerMetrics:
    """The metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ready = Gauge(
            "claimline_ready", "1 while a new call would be taken, as GET /readyz says.", registry=registry
        )
        self._loop_lag = Histogram(
            "claimline_event_loop_lag_seconds",
            "How late the event loop ran a timer, looked at several times a second.",
            buckets=LAG_S,
            registry=registry,
        )
        self._missed = Counter(
            "claimline_media_deadline_misses_total",
            "Frames of 20 ms that PJSIP's clock was a whole frame late with, while calls were live.",
            registry=registry,
        )
        self._slots = Gauge(
            "claimline_sip_slots", "PJSIP's call slots, which refused calls take for a moment too.", ["state"],
            registry=registry,
        )  # fmt: skip

    def ready(self, ready: bool) -> None:
        """Whether a new call would be taken."""
        self._ready.set(ready)

    def loop_lag(self, lag_s: float) -> None:
        """A timer ran so late."""
        self._loop_lag.observe(lag_s)

    def deadlines_missed(self, count: int) -> None:
        """So many more."""
        self._missed.inc(count)

    def sip_slots(self, used: int, total: int) -> None:
        """How many of PJSIP's slots are taken."""
        self._slots.labels("used").set(used)
        self._slots.labels("free").set(total - used)
