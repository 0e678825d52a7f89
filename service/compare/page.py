"""A comparison as one HTML page that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from importlib import resources
from itertools import accumulate

from service.compare import figures
from service.compare.chart import Series, line_chart
from service.compare.printable import printable
from service.compare.results import Comparison, Outcome, TurnResult
from service.compare.table import notes
from service.compare.totals import totals

TITLE = "Transcription compared"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Should words ever become markup, they could still load and run nothing."""


def page(comparison: Comparison) -> str:
    """The whole document. Every word from outside passes `_text`."""
    style = resources.files("service.compare").joinpath("page.css").read_text("utf-8")
    said = f'<p class="faint">{_text(" ".join(notes(comparison)))}</p>'
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{TITLE}</h1>\n<p>{len(comparison.turns)} caller turns, {len(comparison.methods)} ways of writing them "
        f"down.</p>\n{_sums(comparison)}\n{said}\n{_charts(comparison)}\n{_turns(comparison)}\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(printable(text), quote=True)


def _sums(comparison: Comparison) -> str:
    headings = figures.TOTAL_HEADINGS + ((figures.ERRORS_HEADING,) if comparison.referenced else ())
    rows = [
        figures.total_cells(total, len(comparison.turns), referenced=comparison.referenced)
        for total in totals(comparison)
    ]
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    head = "".join(f"<th>{_text(heading)}</th>" for heading in headings)
    return f'<h2>In all</h2>\n<div class="wide"><table class="sums">\n<tr>{head}</tr>\n{body}</table></div>'


def _charts(comparison: Comparison) -> str:
    if not comparison.turns:
        return ""
    columns = [[turn.outcomes[place] for turn in comparison.turns] for place in range(len(comparison.methods))]
    drawings = [
        ("Cost of each turn, USD", [tuple(outcome.cost_usd for outcome in column) for column in columns]),
        ("Cost so far, USD", [_so_far(column) for column in columns]),
    ]
    labels = [method.label for method in comparison.methods]
    drawn = ""
    for title, lines in drawings:
        series = [Series(label, style, usd) for style, (label, usd) in enumerate(zip(labels, lines, strict=True))]
        drawn += f"<figure><h2>{title}</h2>{line_chart(title, series)}</figure>\n"
    return f'<div class="charts">\n{drawn}</div>'


def _so_far(column: Sequence[Outcome]) -> tuple[Decimal | None, ...]:
    """Sums up to each turn; nothing from the first unknown cost on, since the sum would be too small."""

    def add(total: Decimal | None, cost: Decimal | None) -> Decimal | None:
        return None if total is None or cost is None else total + cost

    return tuple(accumulate((outcome.cost_usd if outcome.charged else Decimal(0) for outcome in column), add))


def _turns(comparison: Comparison) -> str:
    head = "".join(f"<th>{_text(method.label)}</th>" for method in comparison.methods)
    rows = "".join(_row(turn) for turn in comparison.turns)
    return (
        '<h2>Turn by turn</h2>\n<div class="wide"><table class="turns">\n'
        f"<tr><th>turn</th>{head}</tr>\n{rows}</table></div>"
    )


def _row(turn: TurnResult) -> str:
    said = f'<small dir="auto">said: {_text(turn.reference)}</small>' if turn.reference is not None else ""
    cells = "".join(f"<td>{_cell(turn, outcome)}</td>" for outcome in turn.outcomes)
    return (
        f"<tr><td>{turn.number}<small>{_text(turn.name)}</small><small>{turn.duration_ms / 1000:.1f} s</small>{said}"
        f"</td>{cells}</tr>\n"
    )


def _cell(turn: TurnResult, outcome: Outcome) -> str:
    words = f'<span dir="auto">{_text(outcome.text)}</span>'
    if outcome.problem is not None:
        words = f'<span class="bad">{_text(outcome.problem)}</span> {words}'
    elif not outcome.text:
        words = '<span class="faint">no words</span>'
    errors = turn.errors(outcome)
    facts = [
        f"{figures.tokens_in(outcome)} in, {figures.cached(outcome)} cached, {figures.tokens_out(outcome)} out",
        f"{figures.cost(outcome)} USD, {figures.seconds(outcome.latency_s)}",
        *([f"{figures.rate(errors)} word errors"] if errors else []),
    ]
    return words + "".join(f"<small>{_text(fact)}</small>" for fact in facts)
