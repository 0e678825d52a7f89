"""Feels the worker's pulse: how late its loop is, what its SIP endpoint counts, whether it takes calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from service.telemetry.worker_metrics import WorkerMetrics

PULSE_S = 0.1
"""Ten timers a second cost the loop a thousandth of its time."""


class Endpoint(Protocol):
    """Its counts may be read on any thread; `sip.endpoint.Endpoint` is one."""

    @property
    def slots_used(self) -> int:
        """Of PJSIP's call slots."""

    @property
    def missed_deadlines(self) -> int:
        """Of the media clock, since the start."""


class Pulse:
    """Puts what it feels into `metrics`."""

    def __init__(self, metrics: WorkerMetrics, endpoint: Endpoint, slots: int, ready: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._endpoint = endpoint
        self._slots = slots
        self._ready = ready
        self._missed = 0

    async def run(self, period_s: float = PULSE_S) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + period_s
            self.beat()
            await asyncio.sleep(due_s - loop.time())
            self._metrics.loop_lag(max(0.0, loop.time() - due_s))

    def beat(self) -> None:
        """Look once."""
        missed = self._endpoint.missed_deadlines
        self._metrics.deadlines_missed(missed - self._missed)
        self._missed = missed
        self._metrics.sip_slots(self._endpoint.slots_used, self._slots)
        self._metrics.ready(self._ready())
