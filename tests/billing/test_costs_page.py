"""docs/costs.md says what the accounting rule says, and how costs grow is as it says."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from service.transcript.request import Context
from tests.billing.growth import tables, transcriptions

PAGE = (Path(__file__).parents[2] / "docs" / "costs.md").read_text("utf-8")


def costs(context: Context, turns: int, *, cached: bool) -> list[Decimal]:
    return [usd for _, usd in transcriptions(context, turns, cached=cached)]


@pytest.mark.parametrize("table", tables().values(), ids=tables())
def test_the_page_shows_the_computed_numbers(table: list[str]) -> None:
    assert "\n".join(table) in PAGE


@pytest.mark.parametrize("cached", [True, False])
def test_a_turn_alone_costs_the_same_however_long_the_call_is(cached: bool) -> None:
    _first, second, *later = costs("turn", 100, cached=cached)
    assert set(later) == {second}


@pytest.mark.parametrize("cached", [True, False])
def test_with_n_turns_each_turn_more_costs_the_same(cached: bool) -> None:
    at_the_end = [costs(context, 40, cached=cached)[-1] for context in ("turn", *range(2, 12))]
    steps = {after - before for before, after in pairwise(at_the_end)}
    assert len(steps) == 1
    assert steps.pop() > 0
    assert costs(8, 40, cached=cached)[-1] == costs(8, 100, cached=cached)[-1], "and no more in a longer call"


def test_the_full_context_grows_with_the_call() -> None:
    usages = [usage for usage, _ in transcriptions("full", 60)]
    inputs = [usage.input_tokens for usage in usages]
    steps = {after - before for before, after in pairwise(inputs[2:])}
    assert len(steps) == 1, "the input grows by the same with every turn"
    assert steps.pop() > 0
    without = costs("full", 60, cached=False)
    assert without[-1] > 10 * without[0]
    assert sum(costs("full", 60, cached=True)) < sum(without) / 5, "the cache takes most of it, when it is hit"
