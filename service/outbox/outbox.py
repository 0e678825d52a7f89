"""The outbox for asyncio: one store in a thread of its own, so that no disk is waited for on the loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from service.outbox.message import (
    Appended,
    Claim,
    KeptClaim,
    LastWords,
    Message,
    MessageFilter,
    OutboxStats,
    encode_data,
)
from service.outbox.sqlite import SqliteOutboxStore
from service.outbox.store import OutboxError, OutboxStore

PURGED_AT_ONCE = 200
"""An append waits for as many: some 10 ms."""
CALL_LEASE_S = 60.0
"""A call whose lease was not renewed for this long has lost its worker."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Outbox:
    """Appends, deliveries and look-ups in the order they were asked for. Use as `async with await Outbox.open(path)`.

    Methods raise OutboxError while the store cannot be used, and then `writable` is false until something was written.
    """

    def __init__(self, store: OutboxStore, thread: ThreadPoolExecutor, clock: Callable[[], float]) -> None:
        self._store = store
        self._thread = thread
        self._clock = clock
        self._refused: OutboxError | None = None
        self._closed = False
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        open_store: Callable[[Path], OutboxStore] = SqliteOutboxStore,
    ) -> Self:
        """Open or create the file. `clock` gives Unix seconds. Raises ConfigError naming `outbox.path`."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        try:
            store = await asyncio.get_running_loop().run_in_executor(thread, open_store, path)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(store, thread, clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what was asked for, then release the file."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
            self._thread.shutdown(wait=False)

    @property
    def writable(self) -> bool:
        """Whether the last write went well; `check` asks anew."""
        return self._refused is None

    @property
    def problem(self) -> str:
        """Why the last write did not go well."""
        return str(self._refused or "")

    def on_ready(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the loop whenever there may be something new to deliver."""
        self._listeners.append(listener)

    # -- a call's events -------------------------------------------------------------------------------------------

    async def open_call(self, call_id: str, worker_id: str) -> None:
        """Begin a call; may be repeated until its first message. Raises LocalProtocolError for an id that is in use."""
        await self._write(self._store.open_call, call_id, worker_id, self._clock(), CALL_LEASE_S)

    async def renew_calls(self, worker_id: str) -> int:
        """To be called well within `CALL_LEASE_S` while calls of this worker are open; says how many there are."""
        return await self._write(self._store.renew_calls, worker_id, self._clock(), CALL_LEASE_S)

    async def append(
        self,
        call_id: str,
        type_: str,
        data: Mapping[str, Any],
        *,
        event_at_s: float | None = None,
        kept: KeptClaim | None = None,
        will: Mapping[str, Any] | None = None,
    ) -> Appended:
        """Store an event; it is on disk when this returns. The store adds `call_id`, `seq` and `gap` to `data`.

        `event_at_s` is when it happened, Unix seconds, now if absent; `kept` and the call's `will` are stored with it.
        An append once begun is carried out even if the caller is cancelled. Raises LocalProtocolError for data that
        JSON cannot carry or a call that is not open.
        """
        now_s = self._clock()
        appended = await self._write(
            self._store.append,
            call_id,
            type_,
            encode_data(data),
            now_s if event_at_s is None else event_at_s,
            now_s,
            (kept.reference, encode_data(kept.data)) if kept is not None else None,
            encode_data(will) if will is not None else None,
        )
        self._notify()
        return appended

    async def note(self, call_id: str, will: Mapping[str, Any]) -> None:
        """Replace the call's will: see `OutboxStore.note`."""
        await self._write(self._store.note, call_id, encode_data(will))

    async def end_call(self, call_id: str) -> None:
        """No more messages of this call."""
        await self._write(self._store.end_call, call_id, self._clock())

    # -- calls that were left open ---------------------------------------------------------------------------------

    async def open_workers(self) -> dict[str, bool]:
        """Workers with open calls, and whether a lease of theirs has lapsed."""
        workers = await self._run(self._store.open_workers)
        now_s = self._clock()
        return {worker_id: lease_until_s < now_s for worker_id, lease_until_s in workers.items()}

    async def finish_call_of(self, worker_id: str, last_words: LastWords, *, lapsed: bool) -> str | None:
        """Say the last words of a call of that worker and end it; only of a call whose lease has lapsed, if `lapsed`.

        Gives the call's id; None where there is no such call, or no more.
        """
        now_s = self._clock()
        before_s = now_s if lapsed else float("inf")
        call_id = await self._write(self._store.finish_call_of, worker_id, before_s, now_s, last_words)
        if call_id is not None:
            self._notify()
        return call_id

    # -- delivery --------------------------------------------------------------------------------------------------

    async def claim(self, limit: int, lease_s: float) -> list[Claim]:
        """Messages to try now: see `OutboxStore.claim`."""
        return await self._run(self._store.claim, limit, self._clock(), lease_s)

    async def sent(self, claim: Claim) -> None:
        """The endpoint took it."""
        await self._write(self._store.sent, claim, self._clock())

    async def give_up(self, claim: Claim, error: str) -> None:
        """The endpoint will never take it."""
        await self._write(self._store.give_up, claim, error)

    async def retry(self, claim: Claim, error: str, *, message_delay_s: float, endpoint_delay_s: float) -> None:
        """The try failed: see `OutboxStore.retry`."""
        now_s = self._clock()
        await self._write(self._store.retry, claim, error, now_s, now_s + message_delay_s, now_s + endpoint_delay_s)

    async def expire(self, max_age_s: float) -> int:
        """Give up what has waited longer; says how many."""
        now_s = self._clock()
        return await self._write(self._store.expire, now_s - max_age_s, f"not delivered in {max_age_s:g} s", now_s)

    async def disable(self, claim: Claim, error: str) -> None:
        """The endpoint wants no more messages."""
        await self._write(self._store.disable, claim, error)

    # -- looking and mending ---------------------------------------------------------------------------------------

    async def kept_claim(self, reference: str) -> dict[str, Any] | None:
        """The insurance claim that was kept last under a reference; None where there is none."""
        data = await self._run(self._store.kept_claim, reference)
        return None if data is None else dict(json.loads(data))

    async def check(self) -> bool:
        """Try to write, and say whether that is possible."""
        try:
            await self._write(self._store.check)
        except OutboxError:
            return False
        return True

    async def stats(self) -> OutboxStats:
        """Sizes and the endpoint's state."""
        return await self._run(self._store.stats, self._clock())

    async def find(self, which: MessageFilter, limit: int = 100) -> list[Message]:
        """Messages by age, the newest last."""
        return await self._run(self._store.find, which, limit)

    async def body(self, webhook_id: str) -> bytes | None:
        """The body of a message; None when it is unknown."""
        return await self._run(self._store.body, webhook_id)

    async def replay(self, which: MessageFilter) -> int:
        """Deliver sent and dead messages again; says how many."""
        count = await self._write(self._store.replay, which, self._clock())
        self._notify()
        return count

    async def resume(self) -> None:
        """Deliver again after the endpoint was disabled, or at once after it failed."""
        await self._write(self._store.resume)
        self._notify()

    async def purge(self, older_than_s: float, *, dead: bool = False) -> int:
        """Remove sent messages (dead ones too, if asked) of that age; says how many."""
        before_s, purged = self._clock() - older_than_s, 0
        # In steps: an append must not wait for a year of messages.
        while count := await self._write(self._store.purge, before_s, dead=dead, limit=PURGED_AT_ONCE):
            purged += count
        return purged

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

    async def _write(self, operation: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            result = await self._run(operation, *args, **kwargs)
        except OutboxError as error:
            self._refused = error
            raise
        self._refused = None
        return result

    async def _run(self, operation: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if self._closed:
            raise OutboxError("the outbox is closed")
        future = asyncio.get_running_loop().run_in_executor(self._thread, lambda: operation(*args, **kwargs))
        # Without the shield a cancelled caller would take what still waits for the thread with it.
        return await asyncio.shield(future)
