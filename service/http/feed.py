"""What the console shows, as topics that change: built once for all who look, and only while somebody does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from service.outbox.message import Message, MessageFilter, OutboxStats
from service.outbox.store import OutboxError

PERIOD_S = 0.4
"""Changes that come faster are told together."""
OUTBOX_PERIOD_S = 2.0
"""Its sizes are counted on the thread that also writes the calls' messages."""
WATCHED_CALLS = 20
RECENT_CALLS = 50
"""Rows of the table; `GET /calls` has all that are kept."""


class WatchedCalls(Protocol):
    """The worker's calls; `service.call.registry.Registry` is one."""

    left: int
    """Calls that have ended since the start."""

    @property
    def live(self) -> int:
        """Calls that are not over."""
        ...

    def watched(self, limit: int) -> list[dict[str, Any]]:
        """Of up to `limit` live calls what grows; equal as long as nothing happens."""
        ...

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Summaries of up to `limit` ended calls, the newest first."""
        ...


class Deliveries(Protocol):
    """The outbox, to look at; `service.outbox.outbox.Outbox` is one. Methods raise OutboxError."""

    async def stats(self) -> OutboxStats:
        """Sizes and the endpoint's state."""
        ...

    async def find(self, which: MessageFilter, limit: int = 100) -> list[Message]:
        """Messages by age, the newest last."""
        ...


class Feed:
    """Topics, each with its latest JSON and the version in which that came. `now_s` is monotonic."""

    def __init__(
        self, calls: WatchedCalls, deliveries: Deliveries, reasons: Callable[[], list[str]], dial: Callable[[], str]
    ) -> None:
        self._calls = calls
        self._deliveries = deliveries
        self._reasons = reasons
        self._dial = dial
        self._version = 0
        self._topics: dict[str, tuple[int, bytes]] = {}
        self._refreshed_s = float("-inf")
        self._counted_s = float("-inf")
        self._left: int | None = None

    async def refresh(self, now_s: float) -> None:
        """See what has changed; at once where that was seen a moment ago."""
        if now_s - self._refreshed_s >= PERIOD_S:
            self._refreshed_s = now_s
            self._see_calls()
        if now_s - self._counted_s >= OUTBOX_PERIOD_S:
            self._counted_s = now_s
            self._tell("outbox", await self._count())

    def since(self, version: int) -> tuple[int, list[tuple[str, bytes]]]:
        """The version now, and (topic, JSON) of what has changed since another one; 0 is before the first."""
        return self._version, [(topic, data) for topic, (told, data) in self._topics.items() if told > version]

    def _see_calls(self) -> None:
        # In one step, so that a call is either live or recent.
        reasons = self._reasons()
        self._tell("worker", {"ready": not reasons, "reasons": reasons, "dial": self._dial()})
        self._tell("live", {"count": self._calls.live, "calls": self._calls.watched(WATCHED_CALLS)})
        if self._calls.left != self._left:
            self._left = self._calls.left
            self._tell("recent", {"calls": self._calls.recent(RECENT_CALLS)})

    async def _count(self) -> dict[str, Any]:
        try:
            stats = await self._deliveries.stats()
        except OutboxError as error:
            return {"problem": str(error)}
        return {
            "pending": stats.pending,
            "oldest_age_s": round(stats.oldest_age_s),
            "dead": stats.dead,
            "endpoint": stats.endpoint,
            "last_error": stats.endpoint_error,
        }

    def _tell(self, topic: str, value: dict[str, Any]) -> None:
        # ASCII, so that a lone surrogate in a model's words stays an escape.
        data = json.dumps(value, separators=(",", ":")).encode()
        known = self._topics.get(topic)
        if known is None or known[1] != data:
            self._version += 1
            self._topics[topic] = (self._version, data)
