"""What a measurement gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One number; `aim` is the most it should be, `least` the least."""

    name: str
    value: float
    unit: str
    aim: float | None = None
    least: float | None = None

    @property
    def reached(self) -> bool | None:
        """None where nothing was aimed at."""
        if self.least is not None:
            return self.value >= self.least
        return None if self.aim is None else self.value <= self.aim


@dataclass(frozen=True, slots=True)
class Measurement:
    """Figures that come from one run."""

    title: str
    method: str
    figures: tuple[Figure, ...]
