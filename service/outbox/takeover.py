"""Closes the calls of workers that died: their open turns and their `call.ended` are written, and go out.

A worker whose process is known to be gone is not waited for; of one that cannot be told, calls are taken when their
lease has lapsed. One that lives keeps its calls, whatever its leases say: it holds more in memory than its wills do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.outbox.last_words import last_words
from service.outbox.message import LeftCall
from service.outbox.outbox import Outbox
from service.outbox.presence import Presence


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that was closed for its worker."""

    call_id: str
    worker_id: str


class Takeover:
    """One worker's look at what the others have left."""

    def __init__(
        self, outbox: Outbox, presence: Presence, worker_id: str, wall: Callable[[], float] = time.time
    ) -> None:
        self._outbox = outbox
        self._presence = presence
        self._worker_id = worker_id
        self._wall = wall
        self._swept = False

    async def finish(self) -> list[Finished]:
        """Close what is to be closed now. Raises OutboxError; what is not closed then is closed by the next look."""
        finished: list[Finished] = []
        for worker_id, lapsed in (await self._outbox.open_workers()).items():
            if worker_id == self._worker_id:
                continue
            where = await asyncio.to_thread(self._presence.of, worker_id)
            if where == "gone" or (where == "unknown" and lapsed):
                while call_id := await self._outbox.finish_call_of(
                    worker_id, self._last_words, lapsed=where == "unknown"
                ):
                    finished.append(Finished(call_id, worker_id))
        if finished or not self._swept:
            await asyncio.to_thread(self._presence.sweep)
            self._swept = True
        return finished

    def _last_words(self, call: LeftCall) -> list[tuple[str, bytes]]:
        return last_words(call, self._wall())
