"""A comparison as CSV (RFC 4180, UTF-8): a row for each turn and method, then one for each method's totals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal

from service.billing.prices import plain
from service.billing.usage import DurationUsage, TokenUsage
from service.compare.printable import printable
from service.compare.results import Comparison, Outcome, TurnResult
from service.compare.totals import Total, cached_share, totals

COLUMNS = (
    "turn", "file", "duration_ms", "method", "text", "problem",
    "text_in", "text_cached", "audio_in", "audio_cached", "text_out", "input_tokens", "output_tokens", "seconds",
    "cached_share",
    "cost_usd", "latency_s", "reference", "word_error_rate",
    "cost_per_turn_usd", "ratio_to_built_in", "growth_usd_per_turn",
)  # fmt: skip
"""The last three only in the rows of totals, whose `turn` is `total`. What is not known is empty."""
_FORMULA = "=+-@＝＋－＠"  # noqa: RUF001 -- spreadsheets take the full-width ones too


def csv_text(comparison: Comparison) -> str:
    """The whole file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="")
    writer.writeheader()
    for turn in comparison.turns:
        writer.writerows(_turn_rows(comparison, turn))
    writer.writerows(_total_row(total) for total in totals(comparison))
    return out.getvalue()


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula; an apostrophe before it marks it as text."""
    shown = printable(text)
    return f"'{shown}" if shown.startswith(tuple(_FORMULA)) else shown


def _turn_rows(comparison: Comparison, turn: TurnResult) -> Iterator[dict[str, object]]:
    for method, outcome in zip(comparison.methods, turn.outcomes, strict=True):
        errors = turn.errors(outcome)
        yield {
            "turn": turn.number,
            "file": harmless(turn.name),
            "duration_ms": turn.duration_ms,
            "method": method.label,
            "text": harmless(outcome.text),
            "problem": harmless(outcome.problem or ""),
            **_usage(outcome),
            "cost_usd": _usd(outcome.cost_usd),
            "latency_s": _rounded(outcome.latency_s),
            "reference": harmless(turn.reference or ""),
            "word_error_rate": _rounded(errors.rate if errors else None),
        }


def _usage(outcome: Outcome) -> dict[str, object]:
    match outcome.usage:
        case TokenUsage() as usage:
            kinds = ("text_in", "text_cached", "audio_in", "audio_cached", "text_out")
            return {
                **{kind: getattr(usage, kind) for kind in kinds},
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_share": _rounded(cached_share(usage)),
            }
        case DurationUsage(seconds=seconds):
            return {"seconds": plain(seconds)}
        case None:
            return {}


def _total_row(total: Total) -> dict[str, object]:
    return {
        "turn": "total",
        "method": total.method.label,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "seconds": plain(total.seconds) if total.seconds else "",
        "cached_share": _rounded(total.cached_share),
        "cost_usd": _usd(total.cost_usd),
        "latency_s": _rounded(total.latency_s),
        "word_error_rate": _rounded(total.errors.rate if total.errors else None),
        "cost_per_turn_usd": _usd(total.cost_per_turn_usd, places=12),
        "ratio_to_built_in": "" if total.ratio is None else f"{total.ratio:.4f}",
        "growth_usd_per_turn": _usd(total.growth_usd, places=12),
    }


def _usd(value: Decimal | None, places: int | None = None) -> str:
    if value is None:
        return ""
    return plain(value if places is None else round(value, places))


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
