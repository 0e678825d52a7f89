"""A comparison as text for a terminal, at most `WIDTH` columns."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

from service.compare import figures
from service.compare.printable import printable
from service.compare.results import Comparison, Outcome, TurnResult
from service.compare.totals import totals

WIDTH = 120
MAX_LINES = 4
"""Of one transcript; the rest is cut, and whole in the CSV file."""
MAX_NAME_CHARS = 60
_HEADINGS = ("", "tokens in", "cached", "out", "cost USD", "latency")


def table(comparison: Comparison) -> str:
    """Every turn by every method, the totals, and what must be known to read them."""
    if not comparison.turns:
        return "No turn was compared.\n"
    lines = [*_turns(comparison), "", *_totals(comparison), "", *notes(comparison)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def notes(comparison: Comparison) -> list[str]:
    """What must be known to read the figures."""
    said = [
        f"{comparison.model}; built-in: {comparison.asr_model}. Prices as of {comparison.prices_as_of}.",
        "x built-in: cost against the built-in transcription, over the turns that both were charged for. growth/turn: "
        "what each turn costs more than the one before, from the second turn on.",
    ]
    if comparison.referenced:
        said.append("word errors: substitutions, insertions and deletions for each word of the reference.")
    if sum(method.context is not None for method in comparison.methods) > 1:
        said.append(
            "The contexts share one session and its cache: alone, each would pay for the instructions of its first "
            "turn uncached."
        )
    if comparison.agent_usd is not None:
        said.append(f"The agent's own answers cost another {figures.usd(comparison.agent_usd)} USD.")
    missing = comparison.planned_turns - len(comparison.turns)
    if missing:
        said.append(f"Not all: {missing} of {comparison.planned_turns} turns were not reached.")
    return [line for one in said for line in textwrap.wrap(printable(one), WIDTH)]


def _turns(comparison: Comparison) -> Iterable[str]:
    headings = (*_HEADINGS, "errors") if comparison.referenced else _HEADINGS
    rows = [
        [_cells(comparison, turn, place, outcome) for place, outcome in enumerate(turn.outcomes)]
        for turn in comparison.turns
    ]
    widths = _widths([headings, *(row for turn in rows for row in turn)])
    text_width = WIDTH - sum(widths) - 2 * len(widths)
    yield _line(headings, widths, "text")
    for turn, cells in zip(comparison.turns, rows, strict=True):
        yield ""
        name = textwrap.shorten(printable(turn.name), MAX_NAME_CHARS, placeholder="…")
        yield f"Turn {turn.number}  {name}  {turn.duration_ms / 1000:.1f} s"
        if turn.reference is not None:
            first, *rest = wrapped(turn.reference, text_width)
            yield _line(("said", *[""] * (len(widths) - 1)), widths, first)
            yield from (_line([""] * len(widths), widths, line) for line in rest)
        for row, outcome in zip(cells, turn.outcomes, strict=True):
            first, *rest = wrapped(shown_text(outcome), text_width)
            yield _line(row, widths, first)
            yield from (_line([""] * len(widths), widths, line) for line in rest)


def shown_text(outcome: Outcome) -> str:
    """The transcript, or why there is none."""
    if outcome.problem is not None:
        return f"[{outcome.problem}] {outcome.text}"
    return outcome.text or "[no words]"


def wrapped(text: str, width: int) -> list[str]:
    """At most `MAX_LINES` lines, at least one."""
    shown = printable(text)
    if any(unicodedata.east_asian_width(char) in "WF" for char in shown):
        width //= 2
    return textwrap.wrap(shown, width, max_lines=MAX_LINES, placeholder=" …") or [""]


def _cells(comparison: Comparison, turn: TurnResult, place: int, outcome: Outcome) -> tuple[str, ...]:
    cells = (
        comparison.methods[place].label,
        figures.tokens_in(outcome),
        figures.cached(outcome),
        figures.tokens_out(outcome),
        figures.cost(outcome),
        figures.seconds(outcome.latency_s),
    )
    return (*cells, figures.rate(turn.errors(outcome))) if comparison.referenced else cells


def _totals(comparison: Comparison) -> Iterable[str]:
    headings = figures.TOTAL_HEADINGS + ((figures.ERRORS_HEADING,) if comparison.referenced else ())
    rows = [
        figures.total_cells(total, len(comparison.turns), referenced=comparison.referenced)
        for total in totals(comparison)
    ]
    widths = _widths([headings, *rows])
    yield "In all"
    yield from (_line(row, widths, "") for row in (headings, *rows))


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]


def _line(cells: Sequence[str], widths: Sequence[int], text: str) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *others, text))
