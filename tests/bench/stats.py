"""Percentiles of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Spread:
    """How a sample is spread; all in the sample's unit."""

    count: int
    p50: float
    p95: float
    p99: float
    p999: float
    max: float


def spread(values: Sequence[float] | NDArray[np.float64]) -> Spread:
    """Raises ValueError where there is nothing to sum up: a measurement that saw nothing has failed."""
    if len(values) == 0:
        raise ValueError("nothing was measured")
    p50, p95, p99, p999, most = np.percentile(values, [50, 95, 99, 99.9, 100])
    return Spread(len(values), float(p50), float(p95), float(p99), float(p999), float(most))
