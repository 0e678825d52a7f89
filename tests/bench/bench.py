"""What every measurement shares: how long it may take, the engine, the worker, and the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.engines import Engine
from tests.bench.process import Memory
from tests.bench.worker import Worker


@dataclass(frozen=True, slots=True)
class Lengths:
    """How much is measured."""

    idle_s: float
    setup_calls: int
    single_calls: int
    """One after the other, each at another phase of the service's clock."""
    single_s: float
    triple_s: float
    network_s: float
    stalls: int
    after_stall_s: float
    hiccups: int
    rounds: int
    """Interruptions a call."""
    echo_s: float
    transcripts: int
    deliveries: int
    delivered_rows: int
    """In the file in which messages are claimed beside them."""
    outage_calls: int


FULL = Lengths(
    idle_s=4,
    setup_calls=20,
    single_calls=4,
    single_s=8,
    triple_s=30,
    network_s=20,
    stalls=2,
    after_stall_s=8.5,
    hiccups=20,
    rounds=14,
    echo_s=12,
    transcripts=100,
    deliveries=6000,
    delivered_rows=1_000_000,
    outage_calls=500,
)
QUICK = Lengths(
    idle_s=0.5,
    setup_calls=3,
    single_calls=1,
    single_s=3,
    triple_s=3,
    network_s=3,
    stalls=1,
    after_stall_s=3,
    hiccups=2,
    rounds=2,
    echo_s=7,
    transcripts=6,
    deliveries=100,
    delivered_rows=2_000,
    outage_calls=5,
)

SETTLE_S = 1.0
"""The begin of a call, left out of every figure: buffers fill, the first words come."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the bench."""

    lengths: Lengths
    engine: Engine
    worker: Worker
    fresh: Memory
    """Of the worker before its first call."""
    progress: Callable[[str], None]
