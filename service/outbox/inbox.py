"""The receiving side's bookkeeping: each message once, and each call in order. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from service.errors import RemoteProtocolError

HELD_PER_CALL_MAX = 1000
"""Messages of a call kept while one before them is missing."""


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook message whose signature was right."""

    webhook_id: str
    type: str
    timestamp: str
    """RFC 3339: when the event happened."""
    data: dict[str, Any]
    call_id: str
    seq: int

    @property
    def gap(self) -> bool:
        """Whether a message before this one was given up by the sender."""
        return self.data.get("gap") is True


def parse(webhook_id: str, body: bytes) -> Received:
    """Read a verified body. Raises RemoteProtocolError, which says what is wrong with it."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("the body is not JSON") from None
    match message:
        case {
            "type": str(type_),
            "timestamp": str(timestamp),
            "data": {"call_id": str(call_id), "seq": int(seq)} as data,
        } if seq >= 1:
            return Received(webhook_id, type_, timestamp, data, call_id, seq)
        case _:
            raise RemoteProtocolError("the body is not {type, timestamp, data: {call_id, seq, ...}}")


@dataclass(slots=True)
class _Call:
    next_seq: int
    held: dict[int, Received] = field(default_factory=dict)


class Inbox:
    """What a backend does with messages that arrive at least once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._calls: dict[str, _Call] = {}

    def is_new(self, message: Received) -> bool:
        """Whether `accept` would take it. Raises RemoteProtocolError when a call has too many messages held."""
        if message.webhook_id in self._seen:
            return False
        call = self._calls.get(message.call_id, _Call(message.seq))
        if message.seq > call.next_seq and not message.gap and len(call.held) >= HELD_PER_CALL_MAX:
            raise RemoteProtocolError(f"call {message.call_id}: too many messages ahead of seq {call.next_seq}")
        return True

    def accept(self, message: Received) -> list[Received] | None:
        """Take a message; gives those whose turn has come, in order, or None for one that was there before.

        One whose predecessor is missing is held, unless it says `gap`. A replayed one from further back comes at once.
        A call begins with the first of its messages that arrives: an inbox that starts empty may meet it half-way.
        Raises RemoteProtocolError when a call has too many messages held.
        """
        if not self.is_new(message):
            return None
        call = self._calls.setdefault(message.call_id, _Call(message.seq))
        self._seen.add(message.webhook_id)
        if message.seq < call.next_seq:
            return [message]
        call.held[message.seq] = message
        return _release(call)


def _release(call: _Call) -> list[Received]:
    released: list[Received] = []
    while call.held:
        seq = min(call.held)
        if seq != call.next_seq and not call.held[seq].gap:
            break
        released.append(call.held.pop(seq))
        call.next_seq = seq + 1
    return released
