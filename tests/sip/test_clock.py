"""The ports' common clock: one wake-up a tick, and a rest after a stall."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

import sip.clock
from service.call.leg import Invite
from service.config import Sip
from sip.clock import STALL_S, YIELD_S, BridgeClock
from sip.endpoint import Endpoint
from sip.leg import SipLeg

INVITE = Invite("id", "sip:a@h", "sip:b@h", "b", "127.0.0.1", "udp")


def test_a_tick_is_told_once_for_all_legs_and_not_at_all_without_one() -> None:
    told: list[int] = []
    clock = BridgeClock(lambda: told.append(1))
    for _ in range(3):
        clock.heard()
    clock.end_of_tick()
    clock.end_of_tick()
    assert len(told) == 1


def test_after_a_stall_the_clock_rests_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, rests = 100.0, list[float]()
    monkeypatch.setattr(sip.clock, "time", SimpleNamespace(monotonic=lambda: now_s, sleep=rests.append))
    clock = BridgeClock(lambda: None)
    clock.beat()
    rests.clear()
    for step_s in (0.02, STALL_S + 0.3, 0.0, 0.0):
        now_s += step_s
        clock.beat()
    assert rests == [YIELD_S]


@pytest.mark.parametrize(("gap_s", "missed"), [(0.021, 0), (0.039, 0), (0.045, 1), (0.059, 1), (0.062, 2), (0.305, 14)])
def test_deadlines_that_pass_without_a_tick_are_counted(
    monkeypatch: pytest.MonkeyPatch, gap_s: float, missed: int
) -> None:
    now_s = 100.0
    monkeypatch.setattr(sip.clock, "time", SimpleNamespace(monotonic=lambda: now_s, sleep=lambda _: None))
    clock = BridgeClock(lambda: None)
    for step_s in (0.02, 0.02, gap_s, 0.001, 0.001):
        now_s += step_s
        clock.beat()
        clock.heard()
        clock.end_of_tick()
    assert clock.missed_deadlines == missed


def test_a_clock_without_a_call_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(sip.clock, "time", SimpleNamespace(monotonic=lambda: now_s, sleep=lambda _: None))
    clock = BridgeClock(lambda: None)
    for step_s in (0.02, 5.0):
        now_s += step_s
        clock.beat()
        clock.end_of_tick()
    assert clock.missed_deadlines == 0


async def test_a_late_loop_gets_one_tick_not_many(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint(Sip(), lambda leg: None, lambda refusal: None, lambda level, line: None)
    leg, ticks = SipLeg(INVITE, asyncio.get_running_loop(), lambda leg, order: None), list[int]()
    leg.listen(lambda event: None, lambda: ticks.append(1))
    monkeypatch.setattr(endpoint, "_loop", asyncio.get_running_loop())
    monkeypatch.setattr(endpoint._stack, "dialogs", {leg: None})
    for _ in range(50):
        endpoint._on_tick()
    await asyncio.sleep(0)
    assert len(ticks) == 1
    endpoint._on_tick()
    await asyncio.sleep(0)
    assert len(ticks) == 2
