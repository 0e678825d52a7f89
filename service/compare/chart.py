"""A line chart as inline SVG: one line for each method, turns from left to right, dollars upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

WIDTH_PX = 560
HEIGHT_PX = 260
LEFT_PX = 70
RIGHT_PX = 78
TOP_PX = 12
BOTTOM_PX = 34
LABEL_PX = 13
"""Between two labels; lines that end side by side must stay readable."""
MAX_GRIDLINES = 5
MAX_X_LABELS = 12


@dataclass(frozen=True, slots=True)
class Series:
    """One method's costs in USD, a value for each turn; None breaks the line. `style` numbers its colour."""

    label: str
    style: int
    usd: tuple[Decimal | None, ...]


def line_chart(title: str, series: Sequence[Series]) -> str:
    """An `<svg>`, or a sentence where no value is known."""
    shown = [one for one in series if any(value is not None for value in one.usd)]
    if not shown:
        return f"<p>{escape(title)}: no cost is known, so there is nothing to draw.</p>"
    count = len(shown[0].usd)
    highest_usd = max(float(value) for one in shown for value in one.usd if value is not None)
    step = _step(highest_usd)
    above = max(1, math.ceil(highest_usd / step - 1e-9))
    top_usd = step * above
    axes = [_gridline(step * line, top_usd) for line in range(above + 1)]
    every = math.ceil(count / MAX_X_LABELS)
    axes += [
        f'<text class="tick" x="{_x(turn, count):.1f}" y="{HEIGHT_PX - BOTTOM_PX + 16}" text-anchor="middle">'
        f"{turn + 1}</text>"
        for turn in range(0, count, every)
    ]
    axes.append(
        f'<text class="tick" x="{(LEFT_PX + WIDTH_PX - RIGHT_PX) / 2:.1f}" y="{HEIGHT_PX - 3}" text-anchor="middle">'
        "turn</text>"
    )
    lines = [_line(one, top_usd) for one in shown]
    return (
        f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img" aria-label="{escape(title)}">'
        f"{''.join(axes)}{''.join(lines)}{''.join(_labels(shown, top_usd))}</svg>"
    )


def _x(turn: int, count: int) -> float:
    return LEFT_PX + (WIDTH_PX - LEFT_PX - RIGHT_PX) * (turn / (count - 1) if count > 1 else 0.5)


def _y(usd: float, top_usd: float) -> float:
    return HEIGHT_PX - BOTTOM_PX - (HEIGHT_PX - TOP_PX - BOTTOM_PX) * usd / top_usd


def _step(highest_usd: float) -> float:
    """Between two grid lines: 1, 2, 2.5 or 5 times a power of ten, so that few of them reach the highest value."""
    wanted = max(highest_usd, 1e-6) / MAX_GRIDLINES
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= wanted * (1 - 1e-9))


def _gridline(usd: float, top_usd: float) -> str:
    y = _y(usd, top_usd)
    return (
        f'<line class="grid" x1="{LEFT_PX}" x2="{WIDTH_PX - RIGHT_PX}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT_PX - 8}" y="{y + 4:.1f}" text-anchor="end">${_short(usd)}</text>'
    )


def _short(usd: float) -> str:
    return f"{usd:.7f}".rstrip("0").rstrip(".") if usd else "0"


def _line(series: Series, top_usd: float) -> str:
    count = len(series.usd)
    path, points, pen_down = [], [], False
    for turn, value in enumerate(series.usd):
        if value is None:
            pen_down = False
            continue
        x, y = _x(turn, count), _y(float(value), top_usd)
        path.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        pen_down = True
        points.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(series.label)}, turn {turn + 1}: ${value:.6f}'
            "</title></circle>"
        )
    return f'<g class="s{series.style}"><path d="{" ".join(path)}"/>{"".join(points)}</g>'


def _labels(series: Sequence[Series], top_usd: float) -> list[str]:
    """Each line's name at its end, pushed up where the next lower one is too near."""
    ends = []
    for one in series:
        turn, value = next((x, usd) for x, usd in reversed(list(enumerate(one.usd))) if usd is not None)
        ends.append((_y(float(value), top_usd), _x(turn, len(one.usd)), one))
    ends.sort(key=lambda end: -end[0])
    heights: list[float] = []
    for y, _, _ in ends:
        heights.append(min(y, heights[-1] - LABEL_PX) if heights else y)
    outside = max(0.0, TOP_PX - heights[-1])
    return [
        f'<text class="name s{one.style}" x="{x + 8:.1f}" y="{height + outside + 4:.1f}">{escape(one.label)}</text>'
        for height, (_, x, one) in zip(heights, ends, strict=True)
    ]
