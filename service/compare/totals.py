"""The sums of a comparison: what each method costs in all, a turn, against the built-in one, and as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from service.billing.usage import DurationUsage, TokenUsage
from service.compare.methods import BUILT_IN, Method
from service.compare.results import Comparison, Outcome
from service.compare.word_errors import WordErrors


@dataclass(frozen=True, slots=True)
class Total:
    """One method over all turns. Costs are None where a price or a report is missing: a sum without it misleads."""

    method: Method
    answered: int
    """Turns with a transcript."""
    input_tokens: int
    cached_tokens: int
    """Part of `input_tokens`."""
    output_tokens: int
    seconds: Decimal
    """Of audio, for models priced by time."""
    cost_usd: Decimal | None
    cost_per_turn_usd: Decimal | None
    ratio: Decimal | None
    """Cost against the built-in transcription, over the turns that both were charged for."""
    growth_usd: Decimal | None
    """By how much a turn costs more than the one before: least squares over the second turn to the last. The first is
    left out, since it alone pays for the instructions uncached."""
    latency_s: float | None
    """Median."""
    errors: WordErrors | None

    @property
    def cached_share(self) -> float | None:
        """Of the input; None without any."""
        return self.cached_tokens / self.input_tokens if self.input_tokens else None


def totals(comparison: Comparison) -> tuple[Total, ...]:
    """One for each method, in their order."""
    columns = [[turn.outcomes[place] for turn in comparison.turns] for place in range(len(comparison.methods))]
    by_method = dict(zip(comparison.methods, columns, strict=True))
    built_in = by_method.get(BUILT_IN, [])
    errors = [
        [counted for turn in comparison.turns if (counted := turn.errors(turn.outcomes[place]))]
        for place in range(len(comparison.methods))
    ]
    return tuple(
        _total(method, column, built_in, counted)
        for (method, column), counted in zip(by_method.items(), errors, strict=True)
    )


def cached_share(usage: TokenUsage | DurationUsage | None) -> float | None:
    """Of the input of one request; None where there is no such thing."""
    if not isinstance(usage, TokenUsage) or not usage.input_tokens:
        return None
    return _cached(usage) / usage.input_tokens


def _cached(usage: TokenUsage) -> int:
    return usage.text_cached + usage.audio_cached + usage.image_cached


def _total(
    method: Method, column: Sequence[Outcome], built_in: Sequence[Outcome], errors: Sequence[WordErrors]
) -> Total:
    usages = [outcome.usage for outcome in column if isinstance(outcome.usage, TokenUsage)]
    durations = [outcome.usage.seconds for outcome in column if isinstance(outcome.usage, DurationUsage)]
    latencies = [outcome.latency_s for outcome in column if outcome.problem is None and outcome.latency_s is not None]
    charged = [outcome for outcome in column if outcome.charged]
    cost_usd = _sum([outcome.cost_usd for outcome in charged])
    return Total(
        method=method,
        answered=sum(outcome.problem is None for outcome in column),
        input_tokens=sum(usage.input_tokens for usage in usages),
        cached_tokens=sum(_cached(usage) for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        seconds=sum(durations, Decimal(0)),
        cost_usd=cost_usd,
        cost_per_turn_usd=cost_usd / len(charged) if cost_usd is not None else None,
        ratio=_ratio(column, built_in),
        growth_usd=_slope([(x, one.cost_usd) for x, one in enumerate(column[1:]) if one.charged]),
        latency_s=median(latencies) if latencies else None,
        errors=_added(errors),
    )


def _added(errors: Sequence[WordErrors]) -> WordErrors | None:
    if not errors:
        return None
    return WordErrors(sum(one.errors for one in errors), sum(one.words for one in errors))


def _sum(costs_usd: Sequence[Decimal | None]) -> Decimal | None:
    known = [usd for usd in costs_usd if usd is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(costs_usd) else None


def _ratio(column: Sequence[Outcome], built_in: Sequence[Outcome]) -> Decimal | None:
    both = [pair for pair in zip(column, built_in, strict=False) if all(outcome.charged for outcome in pair)]
    ours, theirs = _sum([one.cost_usd for one, _ in both]), _sum([other.cost_usd for _, other in both])
    return ours / theirs if ours is not None and theirs else None


def _slope(points: Sequence[tuple[int, Decimal | None]]) -> Decimal | None:
    known = [(Decimal(x), y) for x, y in points if y is not None]
    if len(known) < 2 or len(known) != len(points):
        return None
    mean_x = sum((x for x, _ in known), Decimal(0)) / len(known)
    mean_y = sum((y for _, y in known), Decimal(0)) / len(known)
    spread = sum(((x - mean_x) ** 2 for x, _ in known), Decimal(0))
    return sum(((x - mean_x) * (y - mean_y) for x, y in known), Decimal(0)) / spread
