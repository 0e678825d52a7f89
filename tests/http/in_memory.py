"""What the HTTP side looks at, in memory: calls that a test makes, and an outbox that a test fills or breaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.outbox.message import Message, MessageFilter, OutboxStats
from service.outbox.store import OutboxError


@dataclass
class Calls:
    """Two calls that are over; live ones as a test says. `left` is raised by hand, as the registry does."""

    left: int = 2
    growing: list[dict[str, Any]] = field(default_factory=list)
    known: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "call_1": {"call_id": "call_1", "cost_usd": "0.0042616"},
            "call_2": {"call_id": "call_2"},
        }
    )
    looks: int = 0
    """How often the live calls were looked at."""

    @property
    def live(self) -> int:
        return len(self.growing)

    def watched(self, limit: int) -> list[dict[str, Any]]:
        self.looks += 1
        return self.growing[:limit]

    def recent(self, limit: int) -> list[dict[str, Any]]:
        return list(self.known.values())[:limit]

    def live_and_recent(self) -> list[dict[str, Any]]:
        return [*self.growing, *self.known.values()]

    def find(self, call_id: str) -> dict[str, Any] | None:
        if call_id == "broken":
            raise RuntimeError("secret detail")
        return self.known.get(call_id)


@dataclass
class Outbox:
    """Messages and sizes as a test says; `broken` is what a failing disk would say."""

    pending: int = 0
    messages: list[Message] = field(default_factory=list)
    broken: str = ""
    counts: int = 0
    """How often the sizes were asked for."""

    async def stats(self) -> OutboxStats:
        self.counts += 1
        if self.broken:
            raise OutboxError(self.broken)
        return OutboxStats(self.pending, 3.4 if self.pending else 0.0, 0, "ok", None)

    async def find(self, which: MessageFilter, limit: int = 100) -> list[Message]:
        if self.broken:
            raise OutboxError(self.broken)
        return [message for message in self.messages if message.call_id == which.call_id][-limit:]
