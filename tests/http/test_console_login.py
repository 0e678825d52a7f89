"""A login is random, ends, and is one of a bounded number."""

from __future__ import annotations

from service.http.login import LOGIN_S, MAX_LOGINS, Logins


def test_a_login_holds_for_a_shift_and_no_longer() -> None:
    logins = Logins()
    value = logins.open(now_s=100.0)
    assert len(value) >= 43
    assert logins.valid(value, 100.0 + LOGIN_S - 1)
    assert not logins.valid(value, 100.0 + LOGIN_S)


def test_what_was_not_given_out_is_not_valid() -> None:
    logins = Logins()
    assert not logins.valid("", 0.0)
    value = logins.open(0.0)
    for wrong in ("", value[:-1], value + "a", value.swapcase(), "ümlaut", "\udcff"):
        assert not logins.valid(wrong, 1.0)


def test_who_logs_out_is_out_and_others_are_not() -> None:
    logins = Logins()
    mine, theirs = logins.open(0.0), logins.open(0.0)
    logins.close(mine)
    logins.close("unheard of")
    assert (logins.valid(mine, 1.0), logins.valid(theirs, 1.0)) == (False, True)


def test_beyond_the_bound_the_oldest_login_ends() -> None:
    logins = Logins()
    values = [logins.open(0.0) for _ in range(MAX_LOGINS + 2)]
    assert [logins.valid(value, 1.0) for value in values] == [False] * 2 + [True] * MAX_LOGINS
