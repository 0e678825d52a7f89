"""The life of a call as a table.

    OPENING ──session ready──▶ ANSWERED ──ACK──▶ LIVE ──leg gone──▶ CLOSING ──written──▶ ENDED

OPENING: the caller hears ringing while the Realtime session opens. ANSWERED: 200 is sent, the ACK awaited. CLOSING: no
leg any more; the last transcripts are awaited. Every pair of state and event is decided here: a next state, the same
state (nothing to do), or an error of ours.
"""

from __future__ import annotations

from enum import Enum, auto

from service.errors import LocalProtocolError


class State(Enum):
    """Where a call is."""

    OPENING = auto()
    ANSWERED = auto()
    LIVE = auto()
    CLOSING = auto()
    ENDED = auto()


class Event(Enum):
    """What can happen to it."""

    SESSION_READY = auto()
    SESSION_LOST = auto()
    """Could not be opened, or broke."""
    CONFIRMED = auto()
    LEG_ENDED = auto()
    """BYE, CANCEL or a failure, from either side."""
    FLUSHED = auto()
    """Everything that could still come has come, or time is up."""


TABLE: dict[tuple[State, Event], State] = {
    (State.OPENING, Event.SESSION_READY): State.ANSWERED,
    (State.OPENING, Event.SESSION_LOST): State.ENDED,
    (State.OPENING, Event.LEG_ENDED): State.ENDED,
    (State.ANSWERED, Event.CONFIRMED): State.LIVE,
    (State.ANSWERED, Event.SESSION_LOST): State.CLOSING,
    (State.ANSWERED, Event.LEG_ENDED): State.CLOSING,
    (State.LIVE, Event.SESSION_LOST): State.CLOSING,
    (State.LIVE, Event.LEG_ENDED): State.CLOSING,
    (State.LIVE, Event.CONFIRMED): State.LIVE,  # a retransmitted ACK
    (State.CLOSING, Event.FLUSHED): State.ENDED,
    (State.CLOSING, Event.SESSION_LOST): State.CLOSING,
    (State.CLOSING, Event.LEG_ENDED): State.CLOSING,
    (State.CLOSING, Event.CONFIRMED): State.CLOSING,  # the ACK crossed our BYE
    (State.ENDED, Event.SESSION_LOST): State.ENDED,
    (State.ENDED, Event.LEG_ENDED): State.ENDED,
    (State.ENDED, Event.CONFIRMED): State.ENDED,
    (State.ENDED, Event.FLUSHED): State.ENDED,
}


def after(state: State, event: Event) -> State:
    """The next state. Raises `LocalProtocolError` for a pair that only a bug of ours can produce."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise LocalProtocolError(f"a call in {state.name} cannot meet {event.name}") from None
