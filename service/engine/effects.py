"""What a session asks of its shell: the session itself does no I/O and starts no work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from service.engine.rates import Pcm16


@dataclass(frozen=True, slots=True)
class Send:
    """A server event for the client."""

    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recognize:
    """Turn audio into text, then tell `Session.recognized` under this key."""

    key: str
    pcm: Pcm16


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits for that recognition any more."""

    key: str


@dataclass(frozen=True, slots=True)
class Speak:
    """Turn sentences into audio, in order, by `Session.voiced`, then `Session.voice_ended`."""

    response_id: str
    sentences: tuple[str, ...]
    speed: float


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop speaking for that response."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection."""

    code: int
    reason: str


Effect: TypeAlias = Send | Recognize | Abandon | Speak | Hush | Close
