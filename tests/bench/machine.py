"""What the bench runs on, and who else uses it meanwhile."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import cpu_s

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where figures come from."""

    cpu: str
    cores: int
    kernel: str
    python: str

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.kernel}, {self.python}"


def machine() -> Machine:
    """This one."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = names[0].partition(":")[2].strip() if names else platform.machine()
    kernel = f"{platform.system()} {platform.release()}"
    return Machine(cpu, len(os.sched_getaffinity(0)), kernel, f"Python {platform.python_version()}")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What went on beside a measurement."""

    load_average: float
    """Over one minute, at its end."""
    others_percent: float
    """Of one core: work of processes that are no part of the bench, and time stolen by other machines."""


class Watch:
    """Watches the machine during one measurement; `pids` are the bench's own."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._begun = (time.monotonic(), *self._used_s())

    def conditions(self) -> Conditions:
        """Since the begin."""
        begun_s, all_before_s, ours_before_s = self._begun
        all_s, ours_s = self._used_s()
        others_s = (all_s - all_before_s) - (ours_s - ours_before_s)
        return Conditions(os.getloadavg()[0], max(0.0, 100 * others_s / (time.monotonic() - begun_s)))

    def _used_s(self) -> tuple[float, float]:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        )
        return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S, sum(map(cpu_s, self._pids))
