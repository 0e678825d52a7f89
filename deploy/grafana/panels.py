"""Grafana's JSON model, as far as the dashboards need it: queries, panels, rows, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
"""As provisioned."""


@dataclass(frozen=True)
class Query:
    """PromQL. `exemplars` are drawn as dots that lead to their call."""

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True)
class Link:
    """Where a click on a value leads."""

    title: str
    url: str


@dataclass(frozen=True)
class Panel:
    """`type` and `unit` are Grafana's names. `steps` colours a value from each threshold on."""

    type: str
    title: str
    unit: str
    queries: tuple[Query, ...]
    about: str = ""
    width: int = 8
    height: int = 7
    steps: tuple[tuple[float, str], ...] = ()
    links: tuple[Link, ...] = ()

    def model(self) -> dict[str, Any]:
        """Without its place."""
        defaults: dict[str, Any] = {"unit": self.unit, "min": 0}
        if self.steps:
            base = {"color": "green", "value": None}
            steps = [base, *({"color": color, "value": value} for value, color in self.steps)]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if self.links:
            defaults["links"] = [{"title": one.title, "url": one.url} for one in self.links]
        return {
            "type": self.type,
            "title": self.title,
            "description": self.about,
            "datasource": DATASOURCE,
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if self.type == "stat" else {},
            "targets": [
                {
                    "refId": chr(ord("A") + number),
                    "datasource": DATASOURCE,
                    "expr": query.expr,
                    "legendFormat": query.legend,
                    "exemplar": query.exemplars,
                }
                for number, query in enumerate(self.queries)
            ],
        }


@dataclass(frozen=True)
class Text:
    """Markdown."""

    content: str
    width: int = 16
    height: int = 4

    def model(self) -> dict[str, Any]:
        """Without its place."""
        return {"type": "text", "title": "", "options": {"mode": "markdown", "content": self.content}}


@dataclass(frozen=True)
class Row:
    """A heading over panels, which stand side by side in the order given."""

    title: str
    panels: tuple[Panel | Text, ...]


@dataclass(frozen=True)
class Dashboard:
    """`uid` is its address; `variables` are Grafana's."""

    uid: str
    title: str
    rows: tuple[Row, ...]
    since: str = "now-6h"
    variables: tuple[dict[str, Any], ...] = field(default=())

    def model(self) -> dict[str, Any]:
        """The file that Grafana reads."""
        links = {"type": "dashboards", "tags": ["claimline"], "title": "claimline", "asDropdown": False}
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["claimline"],
            "timezone": "browser",
            "editable": False,
            "refresh": "5s",
            "time": {"from": self.since, "to": "now"},
            "schemaVersion": 39,
            "links": [{**links, "keepTime": True, "includeVars": False, "targetBlank": False, "icon": "dashboard"}],
            "templating": {"list": list(self.variables)},
            "panels": _placed(self.rows),
        }


def stat(title: str, unit: str, expr: str, **more: Any) -> Panel:
    """One number, now."""
    return Panel("stat", title, unit, (Query(expr),), **{"width": 4, "height": 4} | more)


def graph(title: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """Lines over time."""
    return Panel("timeseries", title, unit, queries, **more)


def quantiles(metric: str, *ranks: float, by: Sequence[str] = (), over: str = "$__rate_interval") -> tuple[Query, ...]:
    """Of a histogram, with its exemplars."""
    names = ", ".join(("le", *by))
    legend = "".join(f" {{{{{name}}}}}" for name in by)
    buckets = f"sum by ({names}) (rate({metric}_bucket[{over}]))"
    return tuple(
        Query(f"histogram_quantile({rank:g}, {buckets})", f"p{rank * 100:g}{legend}", exemplars=True) for rank in ranks
    )


def per_minute(metric: str, *by: str, selector: str = "") -> Query:
    """How often a counter counts, in all or by labels."""
    grouped = f" by ({', '.join(by)})" if by else ""
    legend = " ".join(f"{{{{{name}}}}}" for name in by) or metric.removeprefix("claimline_").removesuffix("_total")
    return Query(f"sum{grouped} (rate({metric}{selector}[$__rate_interval])) * 60", legend)


def _placed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    placed: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}, **heading})
        y += 1
        x = height = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            placed.append({"id": len(placed) + 1, "gridPos": place, **panel.model()})
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return placed
