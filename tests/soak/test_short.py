"""The long runs of `make soak`, short; the call of 65 minutes whole, since its clock is wound by hand."""

from __future__ import annotations

import pytest

from tests import peers
from tests.bench.report import Entry
from tests.soak import deaths, kills, long_call


def missed(entry: Entry) -> list[str]:
    return [f"{one.name}: {one.value:g}" for one in entry.measurement.figures if one.reached is False]


def test_a_call_of_65_minutes_changes_its_session_unheard() -> None:
    entry = long_call.measure(seed=1, progress=print, sweep_step_ms=40)
    assert missed(entry) == []
    figures = {one.name: one.value for one in entry.measurement.figures}
    assert figures["sessions"] == 2
    assert figures["turns spoken"] > 150
    assert figures["answers interrupted"] > 5
    # The turns about the exchange were on either side of it.
    assert 0 < figures["of them put off by the caller"] < figures["short calls with an exchange"]


@pytest.mark.real
def test_websockets_die_in_real_calls_and_nothing_is_lost() -> None:
    if missing := peers.missing_peers():
        pytest.skip(f"not installed: {missing}")
    assert missed(deaths.measure(1, print, short=True)) == []


@pytest.mark.real
def test_workers_are_killed_in_calls_and_every_journalled_turn_is_delivered_once() -> None:
    entry = kills.measure(1, print, short=True)
    assert missed(entry) == []
    figures = {one.name: one.value for one in entry.measurement.figures}
    assert figures["kills with calls open in the outbox"] >= 5
    assert figures["turns journalled"] >= 3
    assert figures["calls closed in a dead worker's place"] >= 5
    assert figures["of them failed by it"] >= 1
