"""The ports' common clock: one wake-up a tick, and after a stall ticks that wait for each other."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import sip.clock
from service.call.leg import Invite
from service.config import Sip
from sip.clock import PACE_S, BridgeClock
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


class HandWound:
    """Time that passes only where somebody says so, or sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.rests = list[float]()

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.rests.append(round(seconds, 6))
        self.now_s += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> HandWound:
    """What the bridge's clock takes for the time."""
    wound = HandWound()
    monkeypatch.setattr(sip.clock, "time", wound)
    return wound


def tick(clock: BridgeClock) -> None:
    """As PJSIP does: each port is asked, then each is given."""
    for _ in range(4):
        clock.beat()
    clock.beat()
    clock.heard()
    clock.end_of_tick()


def test_ticks_that_are_made_up_wait_for_what_has_piled_up_and_for_each_other(time: HandWound) -> None:
    clock, began_s = BridgeClock(lambda: None), list[float]()
    for gap_s in (0.02, 0.02, 0.12, 0.0, 0.001, 0.0, 0.019):
        time.now_s += gap_s
        tick(clock)
        began_s.append(round(time.now_s - 100, 6))
    assert time.rests[-4:] == [PACE_S, PACE_S, PACE_S - 0.001, PACE_S]
    assert np.diff(began_s[-5:]).min() >= PACE_S - 1e-9


def test_a_clock_that_is_in_time_never_rests(time: HandWound) -> None:
    clock = BridgeClock(lambda: None)
    tick(clock)
    time.rests.clear()
    for gap_s in (0.02, 0.012, 0.028, 0.009, 0.035):
        time.now_s += gap_s
        tick(clock)
    assert not time.rests


@pytest.mark.parametrize(("gap_s", "missed"), [(0.021, 0), (0.039, 0), (0.045, 1), (0.059, 1), (0.062, 2), (0.305, 14)])
def test_deadlines_that_pass_without_a_tick_are_counted(time: HandWound, gap_s: float, missed: int) -> None:
    clock = BridgeClock(lambda: None)
    for step_s in (0.02, 0.02, gap_s, 0.001, 0.001):
        time.now_s += step_s
        tick(clock)
    assert clock.missed_deadlines == missed


def test_a_clock_without_a_call_misses_nothing(time: HandWound) -> None:
    clock = BridgeClock(lambda: None)
    for step_s in (0.02, 5.0):
        time.now_s += step_s
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
