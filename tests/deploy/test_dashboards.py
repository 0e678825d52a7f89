"""Every panel of the dashboards, asked of a real Prometheus that has watched twenty calls go well and badly."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests import peers
from tests.deploy.prometheus_server import MISSING
from tests.deploy.twenty_calls import TwentyCalls, twenty_calls

pytestmark = [
    pytest.mark.real,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(MISSING or peers.missing_peers()), reason=MISSING or "SIP peers are missing"),
]

DASHBOARDS = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
RATE_INTERVAL = "4s"
"""Four scrapes, as Grafana makes it."""
RANGE = "1m"
MAY_BE_ZERO = frozenset({
    "Dead letters", "Messages waiting and given up", "Lost by us, per minute", "Interruptions per minute", "Loss",
    "Realtime errors and sessions replaced, per minute", "Turns and interruptions, per minute",
    "Messages held in memory",
})  # fmt: skip
"""Panels one of whose lines says that nothing went wrong. That they are asked at all is still seen."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of a panel."""

    dashboard: str
    panel: str
    expr: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expr}"


def _queries() -> Iterator[Asked]:
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield Asked(path.stem, panel["title"], target["expr"])


def _filled_in(expr: str, call_id: str) -> str:
    for name, value in (("$__rate_interval", RATE_INTERVAL), ("$__range", RANGE), ("$call_id", call_id)):
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwentyCalls]:
    async with twenty_calls(tmp_path_factory.mktemp("run")) as seen:
        yield seen


async def test_calls_ended_in_all_the_ways_that_were_played(run: TwentyCalls) -> None:
    endings = {(call["result"], call["reason"]) for call in run.calls}
    assert endings >= {
        ("success", "caller_hung_up"),
        ("success", "agent_completed"),
        ("client_error", "cancelled"),
        ("client_error", "hung_up_early"),
        ("upstream_error", "session_unauthorized"),
        ("upstream_error", "session_refused"),
    }
    refused = {
        reason: await run.prometheus.value(f'sum(claimline_calls_total{{reason="{reason}"}})')
        for reason in ("capacity", "not_allowed", "bad_sdp")
    }
    assert refused == {"capacity": 1, "not_allowed": 1, "bad_sdp": 1}
    assert await run.prometheus.value("sum(claimline_calls_total)") == len(run.calls) + 3 >= 20


async def test_every_panel_has_data(run: TwentyCalls) -> None:
    empty, flat = [], []
    asked = list(_queries())
    for one in asked:
        series = await run.prometheus.query_range(_filled_in(one.expr, run.long_call), run.begin_s, run.end_s)
        values = [value for values in series for value in values if math.isfinite(value)]
        if not values:
            empty.append(str(one))
        elif not any(values) and one.panel not in MAY_BE_ZERO:
            flat.append(str(one))
    assert len(asked) > 50
    assert empty == []
    assert flat == []


async def test_an_exemplar_leads_to_its_call(run: TwentyCalls) -> None:
    for metric in ("response_latency_seconds", "call_cost_usd", "call_mos", "call_round_trip_seconds"):
        exemplars = await run.prometheus.exemplars(f"claimline_{metric}_bucket", run.begin_s, run.end_s)
        assert exemplars, metric
        for labels in exemplars:
            call = await run.service.call(labels["call_id"])
            assert call["call_id"] == labels["call_id"]
            assert call["result"] is not None


async def test_the_sum_of_the_costs_is_what_the_webhooks_say(run: TwentyCalls) -> None:
    ended = [message.data for message in run.delivered if message.type == "call.ended"]
    costs = [Decimal(data["cost_usd"]) for data in ended if data["cost_usd"] is not None]
    assert None in {data["cost_usd"] for data in ended}, "one call's model has no price"
    assert await run.prometheus.value("sum(claimline_call_cost_usd_count)") == len(costs)
    assert await run.prometheus.value("sum(claimline_call_cost_usd_sum)") == pytest.approx(float(sum(costs)), abs=1e-9)


async def test_the_quality_of_a_line_is_what_was_done_to_it(run: TwentyCalls) -> None:
    quality: dict[str, dict[str, Any]] = {call["call_id"]: call["quality"] for call in run.calls}
    long = quality[run.long_call]
    # The caller's reports say 80 ms there and back, 10 ms of jitter and 4 packets lost.
    assert long["round_trip_ms"] == pytest.approx(80, abs=40)
    assert (long["tx_lost"], long["tx_jitter_ms"]) == (4, pytest.approx(10, abs=1))
    assert long["mos"] > 4.2
    assert long["tx_mos"] > 3.8
    lossy = max(quality.values(), key=lambda one: one.get("rx_loss_percent", 0.0))
    assert lossy["rx_loss_percent"] == pytest.approx(10, abs=4)
    assert 2.5 < lossy["mos"] < 3.7


async def test_scraping_takes_no_time(run: TwentyCalls) -> None:
    typical_s = await run.prometheus.value("quantile_over_time(0.5, scrape_duration_seconds[1m])")
    assert typical_s < 0.05


async def test_nothing_is_left_of_calls_that_are_over(run: TwentyCalls) -> None:
    assert await run.prometheus.value("sum(claimline_calls_active)") == 0
    assert math.isnan(await run.prometheus.value("sum(claimline_call_live_cost_usd)"))
    assert await run.prometheus.value('claimline_sip_slots{state="used"}') == 0
