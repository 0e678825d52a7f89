"""A call's way into the outbox: one queue, so that the order of writing is the order of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from service.outbox.message import KeptClaim
from service.outbox.outbox import Outbox
from service.outbox.store import OutboxError

RETRY_S = 1.0
"""Between two tries to write while the outbox cannot be written."""


@dataclass(frozen=True, slots=True)
class _Entry:
    type: str
    data: dict[str, Any]
    event_at_s: float
    stored: Callable[[], None] | None
    kept: KeptClaim | None


@dataclass(frozen=True, slots=True)
class _Question:
    reference: str
    found: Callable[[Mapping[str, Any] | None], None]


class Journal:
    """Messages of one call on their way to disk. Held in memory while the disk refuses, never reordered.

    The queue has no bound of its own: a call has a few messages a turn.
    """

    def __init__(self, outbox: Outbox, call_id: str, worker_id: str) -> None:
        self._outbox = outbox
        self._call_id = call_id
        self._worker_id = worker_id
        self._queue: asyncio.Queue[_Entry | _Question | None] = asyncio.Queue()
        self.opened = False
        """Whether anything was put: such a call owes its receiver a `call.ended`."""

    def put(
        self,
        type_: str,
        data: dict[str, Any],
        event_at_s: float,
        stored: Callable[[], None] | None = None,
        *,
        kept: KeptClaim | None = None,
    ) -> None:
        """Queue a message; `event_at_s` is Unix time, `stored` is called once it is on disk, `kept` with it."""
        self.opened = True
        self._queue.put_nowait(_Entry(type_, data, event_at_s, stored, kept))

    def find_claim(self, reference: str, found: Callable[[Mapping[str, Any] | None], None]) -> None:
        """Queue a look-up of a kept claim. `found` is told None where there is none, or the disk refuses."""
        self._queue.put_nowait(_Question(reference, found))

    def finish(self) -> None:
        """Nothing more follows."""
        self._queue.put_nowait(None)

    async def run(self) -> None:
        """Write until `finish`."""
        outbox, call_id = self._outbox, self._call_id
        call_open = False
        while (entry := await self._queue.get()) is not None:
            if isinstance(entry, _Question):
                await self._answer(entry)
                continue
            if not call_open:
                await self._retrying(partial(outbox.open_call, call_id, self._worker_id))
                call_open = True
            write = partial(
                outbox.append, call_id, entry.type, entry.data, event_at_s=entry.event_at_s, kept=entry.kept
            )
            await self._retrying(write)
            if entry.stored is not None:
                entry.stored()
        if call_open:
            await self._retrying(partial(outbox.end_call, call_id))

    async def _answer(self, question: _Question) -> None:
        try:
            kept = await self._outbox.kept_claim(question.reference)
        except OutboxError as error:
            structlog.get_logger().error("outbox_unreadable", problem=str(error))
            kept = None
        question.found(kept)

    async def _retrying(self, write: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await write()
            except OutboxError as error:
                structlog.get_logger().error("outbox_unwritable", problem=str(error), waiting=self._queue.qsize() + 1)
                await asyncio.sleep(RETRY_S)
            else:
                return
