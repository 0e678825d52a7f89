"""A line on which nothing comes any more is noticed once, and a call on hold never."""

from __future__ import annotations

from sip.silence import RtpWatch


def test_media_that_stops_is_told_once() -> None:
    watch = RtpWatch(30.0)
    assert [watch.look(n, float(n)) for n in range(10)] == [False] * 10
    lost = [watch.look(9, 10.0 + n) for n in range(60)]
    assert lost.index(True) == 29
    assert lost.count(True) == 1


def test_media_that_never_came_is_lost_as_well() -> None:
    watch = RtpWatch(30.0)
    assert [watch.look(0, float(n)) for n in range(31)][-1]


def test_media_that_comes_back_starts_anew() -> None:
    watch = RtpWatch(30.0)
    watch.look(5, 0.0)
    assert watch.look(5, 30.0)
    assert not watch.look(6, 31.0)
    assert not watch.look(6, 60.0)
    assert watch.look(6, 61.0)


def test_on_hold_nothing_has_to_come() -> None:
    watch = RtpWatch(30.0)
    watch.look(5, 0.0)
    for second in range(1, 100):
        watch.pause(float(second))
    assert not watch.look(5, 100.0)
    assert not watch.look(5, 128.0)
    assert watch.look(5, 129.0)
