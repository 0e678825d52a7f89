"""How figures are written, the same in the terminal and on the page. What is not known is never written as 0."""

from __future__ import annotations

from decimal import Decimal

from service.billing.usage import DurationUsage
from service.compare.results import Outcome
from service.compare.totals import Total, cached_share
from service.compare.word_errors import WordErrors

NONE = "–"  # noqa: RUF001 -- a dash for what does not apply
UNKNOWN = "unknown"


def usd(value: Decimal | None) -> str:
    """To a millionth of a dollar."""
    return UNKNOWN if value is None else f"{value:.6f}"


def signed_usd(value: Decimal | None) -> str:
    """With its sign, where it is not next to nothing."""
    if value is None:
        return NONE
    return f"{value:+.6f}" if round(value, 6) else "0"


def share(value: float | None) -> str:
    """In per cent."""
    return NONE if value is None else f"{value:.0%}"


def seconds(value: float | None) -> str:
    """To a hundredth."""
    return NONE if value is None else f"{value:.2f} s"


def ratio(value: Decimal | None) -> str:
    """`19.4x`."""
    return NONE if value is None else f"{value:.1f}x"


def rate(errors: WordErrors | None) -> str:
    """The word error rate in per cent."""
    return NONE if errors is None else f"{errors.rate:.0%}"


def tokens_in(outcome: Outcome) -> str:
    """Input tokens, or the duration that is priced instead."""
    match outcome.usage:
        case None:
            return NONE
        case DurationUsage(seconds=spoken_s):
            return f"{spoken_s.normalize():f} s"
        case usage:
            return str(usage.input_tokens)


def tokens_out(outcome: Outcome) -> str:
    """Output tokens."""
    return (
        NONE if outcome.usage is None or isinstance(outcome.usage, DurationUsage) else str(outcome.usage.output_tokens)
    )


def cost(outcome: Outcome) -> str:
    """Unknown where it was used and has no price; a dash where there was nothing to pay for."""
    return usd(outcome.cost_usd) if outcome.charged else NONE


def cached(outcome: Outcome) -> str:
    """Cached share of the input."""
    return share(cached_share(outcome.usage))


TOTAL_HEADINGS = (
    "method", "turns", "tokens in", "cached", "out", "cost USD", "per turn", "x built-in", "growth/turn", "latency",
)  # fmt: skip
ERRORS_HEADING = "word errors"


def total_cells(total: Total, turns: int, *, referenced: bool) -> tuple[str, ...]:
    """Under `TOTAL_HEADINGS`, and `ERRORS_HEADING` where there are references."""
    spoken = f"{total.seconds.normalize():f} s" if total.seconds else None
    charged = total.answered > 0 or total.cost_usd is not None
    cells = (
        total.method.label,
        f"{total.answered}/{turns}",
        spoken or str(total.input_tokens),
        share(total.cached_share),
        NONE if spoken else str(total.output_tokens),
        usd(total.cost_usd) if charged else NONE,
        usd(total.cost_per_turn_usd) if charged else NONE,
        ratio(total.ratio),
        signed_usd(total.growth_usd),
        seconds(total.latency_s),
    )
    return (*cells, rate(total.errors)) if referenced else cells
