"""Figures for the screen, for `results.json` and for the documentation."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure, Measurement
from tests.bench.machine import Conditions, Machine

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


@dataclass(frozen=True, slots=True)
class Entry:
    """A measurement and what went on beside it."""

    measurement: Measurement
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the bench."""

    machine: Machine
    date: str
    entries: tuple[Entry, ...]

    def as_json(self) -> str:
        """Everything; a figure that is not finite is null."""
        values = dataclasses.asdict(self)
        for entry in values["entries"]:
            for figure in entry["measurement"]["figures"]:
                figure["value"] = figure["value"] if math.isfinite(figure["value"]) else None
        return json.dumps(values, indent=1, ensure_ascii=False)

    def as_markdown(self) -> str:
        """A table for each measurement."""
        parts = [f"{self.machine}; {self.date}."]
        for entry in self.entries:
            one, beside = entry.measurement, entry.conditions
            parts.append(
                f"### {one.title}\n\n{one.method[0].upper()}{one.method[1:]}."
                f" Load average {beside.load_average:.1f}; others used {beside.others_percent:.0f} % of a core.\n\n"
                "| | measured | aim | |\n| --- | --- | --- | --- |\n" + "\n".join(map(_row, one.figures))
            )
        return "\n\n".join(parts)


def lines(entry: Entry) -> list[str]:
    """For the screen."""
    one, beside = entry.measurement, entry.conditions
    head = f"{one.title}  (load {beside.load_average:.1f}, others {beside.others_percent:.0f} % of a core)"
    width = max(len(figure.name) for figure in one.figures)
    return [head, *(f"  {figure.name:<{width}}  {_value(figure):>12}  {_judged(figure)}" for figure in one.figures)]


def write_into(document: Path, report: Report) -> None:
    """Replace what stands between the marks. Raises ValueError where they are missing."""
    text = document.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{document} lacks the marks {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{report.as_markdown()}\n\n{END}{after}", "utf-8")


def _row(figure: Figure) -> str:
    verdict = {None: "", True: "reached", False: "**missed**"}[figure.reached]
    return f"| {figure.name} | {_value(figure)} | {_aim(figure)} | {verdict} |"


def _judged(figure: Figure) -> str:
    verdict = {None: "", True: "reached", False: "MISSED"}[figure.reached]
    return f"{_aim(figure)}  {verdict}".strip()


def _aim(figure: Figure) -> str:
    if figure.least is not None:
        return f"≥ {figure.least:g} {figure.unit}".strip()
    return "" if figure.aim is None else f"≤ {figure.aim:g} {figure.unit}".strip()


def _value(figure: Figure) -> str:
    if not math.isfinite(figure.value):
        return "not within the run" if math.isinf(figure.value) else "nothing heard"
    digits = 0 if not figure.unit else 2 if abs(figure.value) < 10 else 1
    return f"{figure.value:.{digits}f} {figure.unit}".strip()
