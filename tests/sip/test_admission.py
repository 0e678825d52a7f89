"""Who may call, as a decision on values."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from sip.admission import ADMITTED_PER_WINDOW, WINDOW_S, Admission, Verdict, reason_of_status

UNAVAILABLE = "Service Unavailable"


def admission(max_calls: int = 3) -> Admission:
    return Admission((ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")), max_calls, retry_after_s=5)


@pytest.mark.parametrize("peer", ["192.0.2.77", "2001:db8::9"])
def test_an_allowed_peer_is_let_in_while_there_is_room(peer: str) -> None:
    assert admission().judge(peer, active=2, now_s=0.0) is None


@pytest.mark.parametrize("peer", ["192.0.3.1", "2001:db9::9", "", "garbage", "127.0.0.1"])
def test_others_are_forbidden_before_anything_else_is_looked_at(peer: str) -> None:
    door = admission()
    door.draining = True
    assert door.judge(peer, active=99, now_s=0.0) == Verdict(403, "Forbidden", "not_allowed")


def test_full_and_draining_say_when_to_come_back() -> None:
    door = admission()
    assert door.judge("192.0.2.1", active=3, now_s=0.0) == Verdict(503, UNAVAILABLE, "capacity", 5)
    door.draining = True
    assert door.judge("192.0.2.1", active=0, now_s=0.0) == Verdict(503, UNAVAILABLE, "draining", 5)


def test_callers_who_give_up_at_once_cannot_exhaust_the_sockets() -> None:
    door = admission()
    let_in = [door.judge("192.0.2.1", active=0, now_s=number / 100) is None for number in range(100)]
    assert sum(let_in) <= 2 * ADMITTED_PER_WINDOW
    assert all(let_in[:ADMITTED_PER_WINDOW])
    assert door.judge("192.0.2.1", active=0, now_s=0.99) == Verdict(503, UNAVAILABLE, "rate", 5)
    assert door.judge("192.0.2.1", active=0, now_s=1.0 + WINDOW_S) is None


def test_the_refused_do_not_count_as_admitted() -> None:
    door = admission()
    for _ in range(1000):
        door.judge("203.0.113.1", active=0, now_s=0.0)
        door.judge("192.0.2.1", active=3, now_s=0.0)
    assert door.judge("192.0.2.1", active=0, now_s=0.0) is None


def test_pjsips_own_refusals_have_a_reason() -> None:
    assert reason_of_status(486) == "capacity"
    assert reason_of_status(488) == "bad_request"
