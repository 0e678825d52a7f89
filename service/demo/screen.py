"""What the demo shows while it runs, and what it sums up at the end. Plain lines: they survive a log file."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from service.demo.script import Line

WIDTH = 100
_COLOURS = {"agent": "36", "caller": "33", "heard": "32", "claim": "35", "note": "2", "bad": "31", "good": "32"}


class Screen:
    """Prints with the seconds since it was made."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def step(self, text: str) -> None:
        """Something the demo does."""
        self._line("note", "·", text)

    def agent(self, text: str) -> None:
        """Words of the agent."""
        self._line("agent", "agent", text)

    def caller(self, line: Line) -> None:
        """Words of the caller."""
        self._line("caller", "caller", line.text + ("   ← interrupts the agent" if line.interrupts else ""))

    def heard(self, turn: Mapping[str, Any], call_usd: str | None) -> None:
        """A transcript that was delivered to the webhook."""
        price = f"${turn['cost_usd']}" if turn["cost_usd"] is not None else "unpriced"
        so_far = f"; the call so far: ${call_usd}" if call_usd is not None else ""
        self._line("heard", f"turn {turn['turn']}", f'"{turn["transcript"]}"  [{turn["source"]}, {price}{so_far}]')

    def claim(self, claim: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """A claim that was delivered to the webhook, as far as it changed."""
        changed = [
            f"{name} {shown(field['value'])}" + " ✓" * field["confirmed"] + " (in conflict)" * bool(field["conflict"])
            for name, field in claim["fields"].items()
            if field != before.get(name)
        ]
        if claim["state"] != "open":
            changed.append(f"{claim['reference']} is {claim['state']}")
        self._line("claim", "claim", "; ".join(changed))

    def note(self, text: str) -> None:
        """Something worth knowing, after the call."""
        print(f"  {text}", flush=True)

    def heading(self, text: str) -> None:
        """A section of the summary."""
        print(f"\n{text}\n{'-' * len(text)}", flush=True)

    def table(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Rows of cells, in columns."""
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        sys.stdout.flush()

    def verdict(self, what: str, *, well: bool) -> None:
        """One thing that had to hold."""
        print(self._coloured("good" if well else "bad", f"  {'ok' if well else 'NO'}") + f"  {what}", flush=True)

    def _line(self, colour: str, who: str, text: str) -> None:
        seconds = time.monotonic() - self._began_s
        wrapped = textwrap.wrap(text, WIDTH, subsequent_indent=" " * 19) or [""]
        print(f"{seconds:7.1f} s  {self._coloured(colour, who.ljust(7))}  " + "\n".join(wrapped), flush=True)

    def _coloured(self, colour: str, text: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colours else text


def shown(value: object) -> str:
    """A value of the claim, for people."""
    match value:
        case None:
            return "—"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
