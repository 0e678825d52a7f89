"""The calls of this worker: live ones, and the last that ended."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

from service.call.record import CallRecord


class Registry:
    """What `GET /calls` and the drain look at."""

    def __init__(self, recent: int) -> None:
        self._live: dict[str, CallRecord] = {}
        self._recent: deque[CallRecord] = deque(maxlen=recent)
        self.left = 0
        """Calls that have ended since the start."""

    def enter(self, record: CallRecord) -> None:
        """A call has come in."""
        self._live[record.call_id] = record

    def leave(self, record: CallRecord) -> None:
        """The call has ended and is written."""
        self._live.pop(record.call_id, None)
        self._recent.appendleft(record)
        self.left += 1

    @property
    def live(self) -> int:
        """Calls that are not over."""
        return len(self._live)

    def live_and_recent(self) -> list[dict[str, Any]]:
        """Summaries, live calls first, then the newest."""
        return [record.summary() for record in (*self._live.values(), *self._recent)]

    def watched(self, limit: int) -> list[dict[str, Any]]:
        """Of up to `limit` live calls what grows, the newest first."""
        return [record.watched() for record in islice(reversed(self._live.values()), limit)]

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Summaries of up to `limit` ended calls, the newest first."""
        return [record.summary() for record in islice(self._recent, limit)]

    def find(self, call_id: str) -> dict[str, Any] | None:
        """All of one call; None where it is not known (any more)."""
        record = self._live.get(call_id)
        if record is None:
            record = next((one for one in self._recent if one.call_id == call_id), None)
        return record.full() if record is not None else None
