"""Sums, ratios and growth, on the runs that OpenAI's Cookbook prints and on runs with holes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from service.billing.prices import plain
from service.billing.usage import DurationUsage, TokenUsage
from service.compare.methods import BUILT_IN, Method
from service.compare.results import Comparison, Outcome, TurnResult
from service.compare.totals import Total, totals
from service.compare.word_errors import WordErrors
from tests.billing.cookbook import (
    ASR_FULL_CONTEXT,
    ASR_LAST_TURN,
    COOKBOOK,
    FULL_CONTEXT,
    LAST_TURN,
    Asr,
    OutOfBand,
    usage_of,
)


def printed(line: OutOfBand | Asr) -> Outcome:
    model = "gpt-4o-transcribe" if isinstance(line, Asr) else "gpt-realtime"
    cost = COOKBOOK.price(model, usage_of(line))
    assert cost is not None
    return Outcome("words", usage=usage_of(line), cost_usd=cost.usd)


def compared(method: Method, pairs: Sequence[tuple[Outcome, Outcome]], reference: str | None = None) -> Comparison:
    turns = tuple(TurnResult(number, "t.wav", 1000, reference, pair) for number, pair in enumerate(pairs, start=1))
    return Comparison("gpt-realtime", "gpt-4o-transcribe", date(2026, 11, 21), (BUILT_IN, method), turns, len(turns))


def both(comparison: Comparison) -> tuple[Total, Total]:
    built_in, other = totals(comparison)
    return built_in, other


@pytest.mark.parametrize(
    ("method", "asr", "out_of_band", "expected"),
    [
        # The document's own summary of the second run is wrong: it tells of seven turns and prints six.
        (Method("full"), ASR_FULL_CONTEXT, FULL_CONTEXT, ("0.040976", "0.002114", "19.4")),
        (Method("turn"), ASR_LAST_TURN, LAST_TURN, ("0.012504", "0.0027", "4.6")),
    ],
    ids=["full context", "last turn"],
)
def test_the_cookbooks_totals_and_ratios(
    method: Method, asr: Sequence[Asr], out_of_band: Sequence[OutOfBand], expected: tuple[str, str, str]
) -> None:
    pairs = [(printed(one), printed(other)) for one, other in zip(asr, out_of_band, strict=True)]
    built_in, other = both(compared(method, pairs))
    assert other.cost_usd is not None
    assert built_in.cost_usd is not None
    assert (plain(other.cost_usd), plain(built_in.cost_usd), f"{other.ratio:.1f}") == expected
    assert other.cost_per_turn_usd == other.cost_usd / 6
    assert built_in.ratio == 1
    assert other.input_tokens == sum(line.text + line.audio for line in out_of_band)
    assert other.cached_share == pytest.approx(sum(line.cached_text for line in out_of_band) / other.input_tokens)


def test_full_context_grows_from_turn_to_turn_and_the_last_turn_alone_does_not() -> None:
    growth = []
    for lines in (FULL_CONTEXT, LAST_TURN):
        pairs = [(Outcome("", cost_usd=Decimal(0)), printed(line)) for line in lines]
        growth.append(both(compared(Method("full"), pairs))[1].growth_usd)
    assert growth[0] is not None
    assert growth[1] is not None
    assert growth[0] > Decimal("0.0006"), "a tenth of a turn's cost more with every turn"
    assert abs(growth[1]) < Decimal("0.00002")


def costing(usd: str | None, **fields: object) -> Outcome:
    return Outcome("x", usage=TokenUsage(text_in=10), cost_usd=Decimal(usd) if usd else None, **fields)  # type: ignore[arg-type]


REFUSED = Outcome(problem="unsupported")


def test_growth_is_measured_from_the_second_turn_on() -> None:
    costs = ["9", "1", "1.5", "2"]
    comparison = compared(Method("full"), [(costing("1"), costing(usd)) for usd in costs])
    assert both(comparison)[1].growth_usd == Decimal("0.5")
    short = compared(Method("full"), [(costing("1"), costing("9")), (costing("1"), costing("2"))])
    assert both(short)[1].growth_usd is None


def test_one_unpriced_turn_makes_the_sum_unknown_and_never_smaller() -> None:
    built_in, other = both(compared(Method("turn"), [(costing("1"), costing("2")), (costing("1"), costing(None))]))
    assert (other.cost_usd, other.cost_per_turn_usd, other.ratio, other.growth_usd) == (None, None, None, None)
    assert built_in.cost_usd == 2


def test_a_transcript_without_a_usage_report_has_no_cost() -> None:
    unreported = Outcome("words")
    assert both(compared(Method("turn"), [(costing("1"), unreported)]))[1].cost_usd is None


def test_a_ratio_compares_only_turns_that_both_were_charged_for() -> None:
    pairs = [
        (costing("1"), costing("4")),
        (costing("5"), REFUSED),
        (REFUSED, costing("9")),
        (costing("1"), costing("2")),
    ]
    built_in, other = both(compared(Method("turn"), pairs))
    assert [built_in.cost_usd, other.cost_usd] == [Decimal(7), Decimal(15)]
    assert other.ratio == 3
    assert (other.answered, other.cost_per_turn_usd) == (3, Decimal(5))


def test_a_failed_request_that_was_charged_for_counts() -> None:
    failed = costing("3", problem="timeout")
    total = both(compared(Method("turn"), [(costing("1"), failed), (costing("1"), costing("1"))]))[1]
    assert (total.answered, total.cost_usd, total.latency_s) == (1, Decimal(4), None)


def test_nothing_but_refusals_is_no_sum() -> None:
    total = both(compared(Method("turn"), [(costing("1"), REFUSED)]))[1]
    assert (total.answered, total.cost_usd, total.ratio, total.cached_share) == (0, None, None, None)


def test_seconds_are_summed_where_the_model_is_priced_by_time() -> None:
    timed = Outcome("x", usage=DurationUsage(Decimal("1.5")), cost_usd=Decimal("0.1"))
    built_in, _ = both(compared(Method("turn"), [(timed, costing("1")), (timed, costing("1"))]))
    assert (built_in.seconds, built_in.input_tokens, built_in.cached_share) == (Decimal(3), 0, None)


def test_word_errors_are_summed_over_turns_and_latency_is_the_median() -> None:
    pairs = [(costing("1", latency_s=latency), REFUSED) for latency in (0.1, 0.2, 9.0)]
    built_in, other = both(compared(Method("turn"), pairs, reference="x y"))
    assert built_in.errors == WordErrors(3, 6)
    assert built_in.latency_s == 0.2
    assert other.errors is None
