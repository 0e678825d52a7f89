"""A moment has one name, however often it is asked for, until somebody sets the clock."""

from __future__ import annotations

from service.clock import Clock


def test_a_moment_keeps_its_name_while_the_two_clocks_are_read_a_little_apart() -> None:
    wall_s = [1_762_300_000.0005]
    clock = Clock(monotonic=lambda: 50.0, wall=lambda: wall_s[0])
    first = clock.rfc3339(49.0)
    wall_s[0] += 0.0009
    assert clock.rfc3339(49.0) == first == "2025-11-04T23:46:39.000Z"


def test_a_clock_that_was_set_is_believed() -> None:
    wall_s = [1_762_300_000.0]
    clock = Clock(monotonic=lambda: 50.0, wall=lambda: wall_s[0])
    wall_s[0] += 3600.0
    assert clock.rfc3339(49.0) == "2025-11-05T00:46:39.000Z"
