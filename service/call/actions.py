"""What the conversation asks the call's runner to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.claim.desk import Change
from service.realtime.commands import ClientEvent
from service.transcript.sidecar import TranscribedTurn


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to the Realtime server."""

    event: ClientEvent


@dataclass(frozen=True, slots=True)
class TurnTranscribed:
    """Write this turn to the outbox."""

    turn: TranscribedTurn


@dataclass(frozen=True, slots=True)
class HangUp:
    """The agent has ended the call, and its last word was heard."""

    reason: str


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The caller interrupted the agent; `heard_ms` of the item were heard."""

    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The agent's first audio after a caller turn went out to the line."""

    latency_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """An `error` event or a response that failed; `code` is the server's."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model called a tool."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Summarized:
    """A summary took the place of so many items of the conversation."""

    items: int


@dataclass(frozen=True, slots=True)
class ClaimChanged:
    """A claim is known better, or differently."""

    change: Change
    turn: int
    """The last caller turn that had its transcript then; 0 before the first."""


@dataclass(frozen=True, slots=True)
class ClaimSubmitted:
    """The agent submitted a claim, and nothing was in the way."""

    change: Change
    turn: int
    """As in `ClaimChanged`."""


@dataclass(frozen=True, slots=True)
class FindClaim:
    """Look up the claim that is kept under this reference, and tell the conversation."""

    reference: str


Action = (
    Send
    | TurnTranscribed
    | HangUp
    | BargeIn
    | Answered
    | Failure
    | ToolCalled
    | Summarized
    | ClaimChanged
    | ClaimSubmitted
    | FindClaim
)
