"""The worker's pulse: a loop that is held up shows, and what the endpoint counts is counted once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from service.telemetry.pulse import Pulse
from service.telemetry.worker_metrics import WorkerMetrics


@dataclass
class Endpoint:
    slots_used: int = 0
    missed_deadlines: int = 0


class Patient:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.endpoint = Endpoint()
        self.ready = True
        self.pulse = Pulse(WorkerMetrics(self.registry), self.endpoint, 4, lambda: self.ready)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"claimline_{name}", labels)


async def test_a_loop_that_is_held_up_is_seen_by_how_long() -> None:
    patient, held_up_s = Patient(), 0.06
    feeling = asyncio.create_task(patient.pulse.run(period_s=0.001))
    await asyncio.sleep(0)
    time.sleep(held_up_s)  # noqa: ASYNC251 -- this is the fault
    while not patient.value("event_loop_lag_seconds_count"):  # noqa: ASYNC110 -- nobody tells
        await asyncio.sleep(0)
    feeling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await feeling
    assert (patient.value("event_loop_lag_seconds_sum") or 0) >= held_up_s - 0.002
    assert patient.value("event_loop_lag_seconds_bucket", le="0.05") == 0


def test_missed_deadlines_are_counted_once_and_slots_as_they_are() -> None:
    patient = Patient()
    for patient.endpoint.missed_deadlines, patient.endpoint.slots_used in ((0, 0), (3, 2), (3, 3), (5, 1)):
        patient.pulse.beat()
    assert patient.value("media_deadline_misses_total") == 5
    assert patient.value("sip_slots", state="used") == 1
    assert patient.value("sip_slots", state="free") == 3


def test_readiness_is_that_of_the_moment() -> None:
    patient = Patient()
    seen = []
    for patient.ready in (False, True, False):
        patient.pulse.beat()
        seen.append(patient.value("ready"))
    assert seen == [0, 1, 0]
