"""Every pair of state and event of a call is decided."""

from __future__ import annotations

from itertools import product

import pytest

from service.call.state import TABLE, Event, State, after
from service.errors import LocalProtocolError

IMPOSSIBLE = {
    # A session is ready, and everything is flushed, once: anything else is a bug of ours and must be loud.
    *((state, Event.SESSION_READY) for state in State if state is not State.OPENING),
    *((state, Event.FLUSHED) for state in (State.OPENING, State.ANSWERED, State.LIVE)),
    # No dialog can be confirmed before we have answered it.
    (State.OPENING, Event.CONFIRMED),
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_pair_is_decided(state: State, event: Event) -> None:
    if (state, event) in IMPOSSIBLE:
        with pytest.raises(LocalProtocolError):
            after(state, event)
    else:
        assert after(state, event) is TABLE[state, event]


def test_no_event_leads_back() -> None:
    order = list(State)
    assert all(order.index(following) >= order.index(state) for (state, _), following in TABLE.items())


def test_every_state_can_end() -> None:
    reach = {State.ENDED}
    for _ in State:
        reach |= {state for (state, _), following in TABLE.items() if following in reach}
    assert reach == set(State)
