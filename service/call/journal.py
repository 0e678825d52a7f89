"""A call's way into the outbox: one queue, so that the order of writing is the order of the call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from service.errors import LocalProtocolError
from service.outbox.message import KeptClaim
from service.outbox.outbox import Outbox
from service.outbox.store import OutboxError

RETRY_S = 1.0
"""Between two tries to write while the outbox cannot be written."""
HELD_MAX = 1000
"""Messages of one call that are held in memory while the outbox refuses them: an hour of talk, claims included."""

Will = Mapping[str, Any]
"""What is to be said for the call should its worker die: see `service.outbox.last_words`."""


@dataclass(slots=True)
class Backlog:
    """What the calls of a worker hold in memory because it is not on disk yet."""

    messages: int = 0
    refused: set[str] = field(default_factory=set)
    """Calls whose last try to write was refused."""


@dataclass(frozen=True, slots=True)
class _Message:
    type: str
    data: dict[str, Any]
    event_at_s: float
    stored: Callable[[], None] | None
    kept: KeptClaim | None


@dataclass(slots=True)
class _Entry:
    message: _Message | None
    """None: a will alone."""
    will: Will | None


@dataclass(frozen=True, slots=True)
class _Question:
    reference: str
    found: Callable[[Mapping[str, Any] | None], None]


class Journal:
    """Messages of one call on their way to disk. Held in memory while the disk refuses, never dropped or reordered.

    A will takes no room in the queue behind a message that waits: it takes the place of that message's own. Messages
    are bounded by whoever puts them: see `full`.
    """

    def __init__(self, outbox: Outbox, call_id: str, worker_id: str, backlog: Backlog) -> None:
        self._outbox = outbox
        self._call_id = call_id
        self._worker_id = worker_id
        self._backlog = backlog
        self._queue: deque[_Entry | _Question] = deque()
        self._held = 0
        self._put = asyncio.Event()
        self._finished = False
        self.opened = False
        """Whether anything was put: such a call owes its receiver a `call.ended`."""

    @property
    def full(self) -> bool:
        """Whether so much is held that the call must end."""
        return self._held >= HELD_MAX

    def put(
        self,
        type_: str,
        data: dict[str, Any],
        event_at_s: float,
        stored: Callable[[], None] | None = None,
        *,
        kept: KeptClaim | None = None,
        will: Will | None = None,
    ) -> None:
        """Queue a message; `event_at_s` is Unix time, `stored` is called once it is on disk, `kept` with it.

        `will` is the call's once the message is on disk.
        """
        self.opened = True
        self._held += 1
        self._backlog.messages += 1
        self._enqueue(_Entry(_Message(type_, data, event_at_s, stored, kept), will))

    def note(self, will: Will) -> None:
        """Queue a new will of the call. Only behind its first message."""
        last = self._queue[-1] if self._queue else None
        if isinstance(last, _Entry):
            last.will = will
        else:
            self._enqueue(_Entry(None, will))

    def find_claim(self, reference: str, found: Callable[[Mapping[str, Any] | None], None]) -> None:
        """Queue a look-up of a kept claim. `found` is told None where there is none, or the disk refuses."""
        self._enqueue(_Question(reference, found))

    def finish(self) -> None:
        """Nothing more follows."""
        self._finished = True
        self._put.set()

    async def run(self) -> None:
        """Write until `finish`."""
        try:
            await self._write_all()
        except LocalProtocolError as error:
            # Another worker has closed the call: it took this one for dead. The caller need not suffer for it.
            structlog.get_logger().error("journal_closed", problem=str(error), lost=self._held)
        finally:
            self._backlog.messages -= self._held
            self._backlog.refused.discard(self._call_id)

    async def _write_all(self) -> None:
        call_open = False
        while await self._more():
            # What is being written is out of the queue: a new will has to come behind it.
            entry = self._queue.popleft()
            if isinstance(entry, _Question):
                await self._answer(entry)
                continue
            if not call_open:
                await self._retrying(lambda: self._outbox.open_call(self._call_id, self._worker_id))
                call_open = True
            await self._write(entry)
        if call_open:
            await self._retrying(lambda: self._outbox.end_call(self._call_id))

    def _enqueue(self, entry: _Entry | _Question) -> None:
        self._queue.append(entry)
        self._put.set()

    async def _more(self) -> bool:
        while not self._queue and not self._finished:
            self._put.clear()
            await self._put.wait()
        return bool(self._queue)

    async def _write(self, entry: _Entry) -> None:
        message, will = entry.message, entry.will
        if message is None:
            if will is not None:
                await self._retrying(lambda: self._outbox.note(self._call_id, will), worth_it=lambda: not self._queue)
            return
        await self._retrying(
            lambda: self._outbox.append(
                self._call_id,
                message.type,
                message.data,
                event_at_s=message.event_at_s,
                kept=message.kept,
                will=will,
            )
        )
        self._held -= 1
        self._backlog.messages -= 1
        if message.stored is not None:
            message.stored()

    async def _answer(self, question: _Question) -> None:
        try:
            kept = await self._outbox.kept_claim(question.reference)
        except OutboxError as error:
            structlog.get_logger().error("outbox_unreadable", problem=str(error))
            kept = None
        question.found(kept)

    async def _retrying(
        self, write: Callable[[], Awaitable[object]], worth_it: Callable[[], bool] = lambda: True
    ) -> None:
        """Until it is written, or no more `worth_it` after it was refused."""
        refused = self._backlog.refused
        while True:
            try:
                await write()
            except OutboxError as error:
                if self._call_id not in refused:
                    structlog.get_logger().error("outbox_unwritable", problem=str(error), waiting=self._held)
                refused.add(self._call_id)
                await asyncio.sleep(RETRY_S)
                if not worth_it():
                    return
            else:
                if self._call_id in refused:
                    structlog.get_logger().info("outbox_written_again", waiting=self._held)
                refused.discard(self._call_id)
                return
