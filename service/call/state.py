"""The life of a call as a table.

    OPENING ──session ready──▶ ANSWERED ──ACK──▶ LIVE ──leg gone──▶ CLOSING ──written──▶ ENDED
                                                ▲  │
                                  session ready │  ▼ session broke
                                              RESUMING

OPENING: the caller hears ringing while the Realtime session opens. ANSWERED: 200 is sent, the ACK awaited. RESUMING:
the caller is on the line, a new session is being opened. CLOSING: the leg is gone or given up; the last transcripts are
awaited. Every pair of state and event is decided here: a next state, the same state (nothing to do), or an error of
ours.
"""

from __future__ import annotations

from enum import Enum, auto

from service.errors import LocalProtocolError


class State(Enum):
    """Where a call is."""

    OPENING = auto()
    ANSWERED = auto()
    LIVE = auto()
    RESUMING = auto()
    CLOSING = auto()
    ENDED = auto()


class Event(Enum):
    """What can happen to it."""

    SESSION_READY = auto()
    SESSION_BROKE = auto()
    """It may be replaced."""
    SESSION_LOST = auto()
    """Could not be opened, or replaced."""
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
    (State.ANSWERED, Event.SESSION_BROKE): State.ANSWERED,  # replaced before the caller has noticed anything
    (State.ANSWERED, Event.SESSION_READY): State.ANSWERED,
    (State.LIVE, Event.SESSION_BROKE): State.RESUMING,
    (State.LIVE, Event.SESSION_LOST): State.CLOSING,
    (State.RESUMING, Event.SESSION_READY): State.LIVE,
    (State.RESUMING, Event.SESSION_LOST): State.CLOSING,
    (State.RESUMING, Event.LEG_ENDED): State.CLOSING,
    (State.RESUMING, Event.CONFIRMED): State.RESUMING,  # a retransmitted ACK
    (State.LIVE, Event.LEG_ENDED): State.CLOSING,
    (State.LIVE, Event.CONFIRMED): State.LIVE,  # a retransmitted ACK
    (State.CLOSING, Event.FLUSHED): State.ENDED,
    (State.CLOSING, Event.SESSION_BROKE): State.CLOSING,
    (State.CLOSING, Event.SESSION_READY): State.CLOSING,  # for the last transcripts
    (State.CLOSING, Event.SESSION_LOST): State.CLOSING,
    (State.CLOSING, Event.LEG_ENDED): State.CLOSING,
    (State.CLOSING, Event.CONFIRMED): State.CLOSING,  # the ACK crossed our BYE
    (State.ENDED, Event.SESSION_BROKE): State.ENDED,
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
