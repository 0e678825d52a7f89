"""Every pair of state and event of a call is decided."""

from __future__ import annotations

from itertools import product

import pytest

from service.call.state import TABLE, Event, State, after
from service.errors import LocalProtocolError

IMPOSSIBLE = {
    # A session is ready, and everything is flushed, once: anything else is a bug of ours and must be loud.
    *((state, Event.SESSION_READY) for state in (State.LIVE, State.ENDED)),
    *((state, Event.FLUSHED) for state in (State.OPENING, State.ANSWERED, State.LIVE, State.RESUMING)),
    # A session that never was cannot break; one that broke before the ACK is replaced or given up by other events.
    (State.OPENING, Event.SESSION_BROKE),
    (State.RESUMING, Event.SESSION_BROKE),
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


def test_only_a_new_session_leads_back() -> None:
    order = list(State)
    back = [key for key, following in TABLE.items() if order.index(following) < order.index(key[0])]
    assert back == [(State.RESUMING, Event.SESSION_READY)]


def test_every_state_can_end() -> None:
    reach = {State.ENDED}
    for _ in State:
        reach |= {state for (state, _), following in TABLE.items() if following in reach}
    assert reach == set(State)
