"""What calls may cost: warned of once, reached once, and an hour that slides."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.billing.limits import HOUR_S, Budget, Crossing, SlidingHour


def usd(text: str) -> Decimal:
    return Decimal(text)


def budget(**limits: Any) -> Budget:
    return Budget(**{"warn_share": 0.8} | limits)


def said(crossings: list[Crossing]) -> list[tuple[str, str]]:
    return [(crossing.limit, crossing.event) for crossing in crossings]


def test_a_call_is_warned_of_and_then_at_its_limit() -> None:
    call = budget(call_usd=usd("1.00")).open_call()
    assert said(call.spend(usd("0.79"), 0.0)) == []
    assert said(call.spend(usd("0.01"), 1.0)) == [("call", "warned")]
    assert said(call.spend(usd("0.19"), 2.0)) == []
    assert call.reached(2.0) is None
    (crossing,) = call.spend(usd("0.01"), 3.0)
    assert crossing == Crossing("call", "reached", usd("1.00"), usd("1.00"))
    assert call.reached(3.0) == "hang_up"
    assert said(call.spend(usd("5"), 4.0)) == []


def test_a_step_over_everything_tells_both() -> None:
    assert said(budget(call_usd=usd("1")).open_call().spend(usd("2"), 0.0)) == [("call", "warned"), ("call", "reached")]


def test_calls_have_limits_of_their_own_and_share_the_hour() -> None:
    both = budget(call_usd=usd("1"), hour_usd=usd("1.5"))
    one, other = both.open_call(), both.open_call()
    assert said(one.spend(usd("0.7"), 0.0)) == []
    assert said(other.spend(usd("0.7"), 1.0)) == [("hour", "warned")]
    assert (one.reached(1.0), other.reached(1.0)) == (None, None)
    assert said(other.spend(usd("0.15"), 2.0)) == [("call", "warned"), ("hour", "reached")]
    assert one.reached(2.0) == "hang_up", "the hour's limit ends every call"


def test_the_hour_slides_and_new_calls_are_taken_again() -> None:
    hour = budget(hour_usd=usd("1"))
    hour.open_call().spend(usd("0.6"), 0.0)
    hour.open_call().spend(usd("0.6"), 100.0)
    assert hour.refuses(100.0)
    assert hour.refuses(HOUR_S - 0.1)
    assert not hour.refuses(HOUR_S)
    assert said(hour.spend(usd("0.1"), HOUR_S + 101)) == []
    assert said(hour.spend(usd("0.8"), HOUR_S + 102)) == [("hour", "warned")], "again, after it was below"


def test_a_sum_that_wavers_at_the_limit_is_told_once() -> None:
    hour = budget(hour_usd=usd("1"))
    assert len(hour.spend(usd("0.05"), 0.0) + hour.spend(usd("0.95"), 10.0)) == 2
    assert hour.spend(usd("0.05"), HOUR_S + 1) == []
    assert hour.hour_reached(HOUR_S + 1)


def test_going_on_in_turn_context_refuses_nobody() -> None:
    hour = budget(hour_usd=usd("1"), then="turn_context")
    call = hour.open_call()
    call.spend(usd("1"), 0.0)
    assert call.reached(0.0) == "turn_context"
    assert hour.open_call().reached(0.0) == "turn_context", "a new call begins so"
    assert not hour.refuses(0.0)


def test_without_limits_nothing_is_ever_reached() -> None:
    free = budget()
    call = free.open_call()
    assert call.spend(usd("1000000"), 0.0) == []
    assert call.reached(0.0) is None
    assert not free.refuses(0.0)


@given(st.lists(st.tuples(st.integers(0, 500_000), st.integers(0, 400_000)), max_size=30))
def test_the_hour_holds_what_was_spent_within_it_to_a_second(steps: list[tuple[int, int]]) -> None:
    hour, now_s, all_of_it = SlidingHour(), 0.0, []
    for micro, wait_ms in steps:
        now_s += wait_ms / 1000
        amount = Decimal(micro).scaleb(-6)
        hour.add(amount, now_s)
        all_of_it.append((now_s, amount))
    surely = sum((amount for at_s, amount in all_of_it if now_s - at_s < HOUR_S - 1), Decimal(0))
    at_most = sum((amount for at_s, amount in all_of_it if now_s - at_s < HOUR_S), Decimal(0))
    assert surely <= hour.spent_usd(now_s) <= at_most
    assert hour.spent_usd(now_s + HOUR_S + 0.001) == 0


def test_the_hour_keeps_at_most_an_entry_a_second() -> None:
    hour = SlidingHour()
    for tick in range(200_000):
        hour.add(Decimal("0.000001"), tick / 50)
        hour.spent_usd(tick / 50)
    assert len(hour._slots) <= 3601
