"""The outbox in one SQLite file. Semantics: `service.outbox.store`."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from service.errors import ConfigError, LocalProtocolError
from service.outbox.message import (
    Appended,
    Claim,
    EndpointState,
    LastWords,
    LeftCall,
    Message,
    MessageFilter,
    OutboxStats,
    encode_body,
)
from service.outbox.schema import MIGRATIONS
from service.outbox.store import OutboxError

BUSY_TIMEOUT_MS = 10_000
"""How long a transaction waits for another process's."""
REPLAYED_AT_ONCE = 5000
"""An append of any worker waits for as many: some 150 ms."""
PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
"""What ends by itself, or when somebody makes room: no fault of the setting's."""
CLOCK_SLACK_S = 60.0
"""Workers read the clock before they wait for the file: by more than that it was set back."""
WAIT_MAX_S = 600.0
"""A call's message waits less, and is leased for less: what lies further ahead is of a clock that was set back."""


class SqliteOutboxStore:
    """An `OutboxStore` on a file. Belongs to the thread that made it; every process needs its own."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open the file; unless `create`, it has to be there and of this release.

        Raises ConfigError naming `outbox.path` when that fails, OutboxError when it may not fail the next time.
        """
        self._path = path
        try:
            if create:
                # Callers' words: nobody else's to read. SQLite gives its -wal and -shm files the same mode.
                path.touch(mode=0o600)
            mode = "rwc" if create else "rw"
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"outbox.path: cannot open {path}: {error}") from None
        self._file = _identity(path)
        try:
            self._prepare(create=create)
        except sqlite3.Error as error:
            self._db.close()
            kind = OutboxError if getattr(error, "sqlite_errorcode", 0) & 0xFF in PASSING else ConfigError
            raise kind(f"outbox.path: {path} cannot be used as an outbox: {error}") from None
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, *, create: bool) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        version = self._version()
        if version < len(MIGRATIONS) and not create:
            older = f"was written by an older claimline (schema {version}): the service's next start updates it"
            raise ConfigError(f"outbox.path: {self._path} {older if version else 'is no outbox'}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        # A file that is up to date is not written to: it may be locked for long, or its disk full.
        if version < len(MIGRATIONS):
            self._migrate()

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise ConfigError(f"outbox.path: {self._path} was written by a newer claimline (schema {version})")
        return int(version)

    def _migrate(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[self._version() :]:
            for statement in statements:
                self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        self._db.execute("COMMIT")

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[None]:
        # Losing the record of a try to a power cut repeats the try, which receivers must bear anyway; losing an
        # appended message is what this store is there to prevent. Takes effect only outside a transaction.
        with self._errors():
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutboxError(f"outbox.path: {self._path}: {error}") from None

    # -- calls -----------------------------------------------------------------------------------------------------

    def open_call(self, call_id: str, worker_id: str, now_s: float, lease_s: float) -> None:
        """See `OutboxStore.open_call`."""
        with self._transaction():
            added = self._db.execute(
                "INSERT INTO calls (call_id, worker_id, lease_until_s, opened_at_s) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET lease_until_s = excluded.lease_until_s"
                " WHERE worker_id = excluded.worker_id AND next_seq = 1 AND ended_at_s IS NULL",
                (call_id, worker_id, now_s + lease_s, now_s),
            ).rowcount
            if not added:
                raise LocalProtocolError(f"call {call_id} is in the outbox already")

    def renew_calls(self, worker_id: str, now_s: float, lease_s: float) -> int:
        """See `OutboxStore.renew_calls`."""
        with self._transaction(durable=False):
            return self._db.execute(
                "UPDATE calls SET lease_until_s = ? WHERE worker_id = ? AND ended_at_s IS NULL",
                (now_s + lease_s, worker_id),
            ).rowcount

    def end_call(self, call_id: str, now_s: float) -> None:
        """See `OutboxStore.end_call`."""
        with self._transaction():
            self._end(call_id, now_s)

    def append(  # noqa: PLR0917 - see `OutboxStore.append`
        self,
        call_id: str,
        type_: str,
        data: bytes,
        event_at_s: float,
        now_s: float,
        kept: tuple[str, bytes] | None = None,
        will: bytes | None = None,
    ) -> Appended:
        """See `OutboxStore.append`."""
        with self._transaction():
            appended = self._append(call_id, type_, data, event_at_s, now_s)
            if will is not None:
                self._replace_will(call_id, will)
            if kept is not None:
                self._db.execute(
                    "INSERT OR REPLACE INTO insurance_claims (reference, data, kept_at_s) VALUES (?, ?, ?)",
                    (*kept, now_s),
                )
        return appended

    def note(self, call_id: str, will: bytes) -> None:
        """See `OutboxStore.note`."""
        # What was handed to the operating system survives the process: a sync would buy nothing but power cuts.
        with self._transaction(durable=False):
            open_call = "SELECT 1 FROM calls WHERE call_id = ? AND ended_at_s IS NULL"
            if self._db.execute(open_call, (call_id,)).fetchone() is None:
                raise LocalProtocolError(f"call {call_id} is not open: nothing can be noted of it")
            self._replace_will(call_id, will)

    def open_workers(self) -> dict[str, float]:
        """See `OutboxStore.open_workers`."""
        with self._errors():
            return dict(
                self._db.execute(
                    "SELECT worker_id, min(lease_until_s) FROM calls WHERE ended_at_s IS NULL GROUP BY worker_id"
                ).fetchall()
            )

    def finish_call_of(self, worker_id: str, lapsed_before_s: float, now_s: float, last_words: LastWords) -> str | None:
        """See `OutboxStore.finish_call_of`."""
        with self._transaction():
            row = self._db.execute(
                "SELECT call_id, data FROM calls LEFT JOIN wills USING (call_id)"
                " WHERE worker_id = ? AND ended_at_s IS NULL AND lease_until_s < ? ORDER BY opened_at_s LIMIT 1",
                (worker_id, lapsed_before_s),
            ).fetchone()
            if row is None:
                return None
            call_id, will = row
            messages = self._db.execute(
                "SELECT type, data FROM messages WHERE call_id = ? ORDER BY seq", (call_id,)
            ).fetchall()
            for type_, data in last_words(LeftCall(call_id, tuple(messages), will)):
                self._append(call_id, type_, data, now_s, now_s)
            self._end(call_id, now_s)
        return str(call_id)

    def _append(self, call_id: str, type_: str, data: bytes, event_at_s: float, now_s: float) -> Appended:
        row = self._db.execute(
            "UPDATE calls SET next_seq = next_seq + 1, deliver_at_s = COALESCE(deliver_at_s, ?)"
            " WHERE call_id = ? AND ended_at_s IS NULL RETURNING next_seq - 1",
            (now_s, call_id),
        ).fetchone()
        if row is None:
            raise LocalProtocolError(f"call {call_id} is not open: {type_} cannot be appended")
        (seq,) = row
        webhook_id = f"msg_{secrets.token_hex(16)}"
        self._db.execute(
            "INSERT INTO messages (webhook_id, call_id, seq, type, event_at_s, data, created_at_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (webhook_id, call_id, seq, type_, event_at_s, data, now_s),
        )
        return Appended(webhook_id, seq)

    def _replace_will(self, call_id: str, will: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO wills (call_id, data) VALUES (?, ?)", (call_id, will))

    def _end(self, call_id: str, now_s: float) -> None:
        self._db.execute("UPDATE calls SET ended_at_s = COALESCE(ended_at_s, ?) WHERE call_id = ?", (now_s, call_id))
        self._db.execute("DELETE FROM wills WHERE call_id = ?", (call_id,))

    # -- delivery --------------------------------------------------------------------------------------------------

    def claim(self, limit: int, now_s: float, lease_s: float) -> list[Claim]:
        """See `OutboxStore.claim`."""
        with self._errors():
            if not self._due_calls(1, now_s, lease_s)[1]:
                return []  # Without a write: deliverers ask often.
        lease_until_s = now_s + lease_s
        with self._transaction(durable=False):
            failures, calls = self._due_calls(limit, now_s, lease_s)
            if failures and calls:
                # Other deliverers wait for this probe; if it is never settled, for its lease.
                self._db.execute("UPDATE endpoint SET waits_from_s = ?, next_try_at_s = ?", (now_s, lease_until_s))
            return [self._lease_head(call_id, gap, failures, lease_until_s) for call_id, gap in calls]

    def sent(self, claim: Claim, now_s: float) -> None:
        """See `OutboxStore.sent`."""
        with self._transaction(durable=False):
            # Also when the lease has passed to another: the endpoint has the message.
            self._db.execute(
                "UPDATE messages SET state = 'sent', sent_at_s = ?, last_error = NULL WHERE webhook_id = ?",
                (now_s, claim.webhook_id),
            )
            # One that was repeated says nothing of what was given up behind it.
            self._db.execute(
                "UPDATE calls SET gap = 0 WHERE call_id = ?1 AND gap AND NOT EXISTS"
                " (SELECT 1 FROM messages WHERE call_id = ?1 AND seq > ?2 AND state = 'dead')",
                (claim.call_id, claim.seq),
            )
            self._release(claim)
            self._endpoint_is_well()

    def give_up(self, claim: Claim, error: str) -> None:
        """See `OutboxStore.give_up`."""
        with self._transaction(durable=False):
            died = self._db.execute(
                "UPDATE messages SET state = 'dead', last_error = ? WHERE webhook_id = ? AND state = 'ready'",
                (error, claim.webhook_id),
            ).rowcount
            if died:
                self._db.execute("UPDATE calls SET gap = 1 WHERE call_id = ?", (claim.call_id,))
            self._release(claim)
            self._endpoint_is_well()

    def expire(self, ready_before_s: float, error: str, now_s: float) -> int:
        """See `OutboxStore.expire`."""
        old = (
            "state = 'ready' AND COALESCE(replayed_at_s, created_at_s) < ?1 AND call_id IN"
            " (SELECT call_id FROM calls WHERE deliver_at_s IS NOT NULL AND delivery_lease_until_s < ?2)"
        )
        with self._errors():
            found = self._db.execute(f"SELECT 1 FROM messages WHERE {old} LIMIT 1", (ready_before_s, now_s)).fetchone()  # noqa: S608 - our own words
        if found is None:
            return 0
        with self._transaction():
            rows = self._db.execute(
                f"UPDATE messages SET state = 'dead', last_error = ?3 WHERE {old} RETURNING call_id",  # noqa: S608 - as above
                (ready_before_s, now_s, error),
            ).fetchall()
            for call_id in {call_id for (call_id,) in rows}:
                self._db.execute("UPDATE calls SET gap = 1 WHERE call_id = ?", (call_id,))
                self._find_heads("call_id = ?", call_id)
        return len(rows)

    def retry(self, claim: Claim, error: str, now_s: float, message_at_s: float, endpoint_at_s: float) -> None:
        """See `OutboxStore.retry`."""
        with self._transaction(durable=False):
            if not self._release(claim):
                return
            self._note_error(claim, error)
            self._db.execute(
                "UPDATE calls SET deliver_at_s = ? WHERE call_id = ? AND deliver_at_s IS NOT NULL",
                (message_at_s, claim.call_id),
            )
            self._db.execute(
                "UPDATE endpoint SET failures = failures + 1, waits_from_s = ?, next_try_at_s = ?, last_error = ?"
                " WHERE failures = ?",
                (now_s, endpoint_at_s, error, claim.endpoint_failures),
            )

    def disable(self, claim: Claim, error: str) -> None:
        """See `OutboxStore.disable`."""
        with self._transaction():
            self._note_error(claim, error)
            self._release(claim)
            self._db.execute("UPDATE endpoint SET disabled = 1, last_error = ?", (error,))

    def resume(self) -> None:
        """See `OutboxStore.resume`."""
        with self._transaction():
            self._db.execute("UPDATE endpoint SET failures = 0, next_try_at_s = 0, disabled = 0, last_error = NULL")
            self._find_heads("deliver_at_s IS NOT NULL")

    def _due_calls(self, limit: int, now_s: float, lease_s: float) -> tuple[int, list[tuple[str, int]]]:
        """The endpoint's failures, and (call_id, gap) of calls to claim."""
        failures, waits_from_s, next_try_at_s, disabled = self._db.execute(
            "SELECT failures, waits_from_s, next_try_at_s, disabled FROM endpoint"
        ).fetchone()
        if disabled or (failures and waits_from_s - CLOCK_SLACK_S <= now_s < next_try_at_s):
            return failures, []
        # A probe takes the message that has waited longest since its last try, due or not: one that the endpoint
        # cannot digest then does not stand for all.
        calls = self._db.execute(
            "SELECT call_id, gap FROM calls WHERE deliver_at_s IS NOT NULL"
            " AND (delivery_lease_until_s <= ?1 OR delivery_lease_until_s > ?1 + ?4)"
            " AND (?2 OR deliver_at_s <= ?1 OR deliver_at_s > ?1 + ?4) ORDER BY deliver_at_s LIMIT ?3",
            (now_s, failures > 0, 1 if failures else limit, max(lease_s, WAIT_MAX_S)),
        ).fetchall()
        return failures, calls

    def _lease_head(self, call_id: str, gap: int, endpoint_failures: int, lease_until_s: float) -> Claim:
        rowid, webhook_id, seq, type_, event_at_s, data, body, attempts = self._db.execute(
            "SELECT rowid, webhook_id, seq, type, event_at_s, data, body, attempts FROM messages"
            " WHERE call_id = ? AND state = 'ready' ORDER BY seq LIMIT 1",
            (call_id,),
        ).fetchone()
        if body is None:
            body = encode_body(type_, event_at_s, call_id, seq, data, bool(gap))
        # By its place: the index of the ids grows with what is kept, and is read all over.
        self._db.execute("UPDATE messages SET attempts = attempts + 1, body = ? WHERE rowid = ?", (body, rowid))
        self._db.execute("UPDATE calls SET delivery_lease_until_s = ? WHERE call_id = ?", (lease_until_s, call_id))
        return Claim(webhook_id, call_id, seq, type_, body, attempts + 1, endpoint_failures, lease_until_s)

    def _release(self, claim: Claim) -> bool:
        """End the claim's lease, if it is still its own, and find what the call sends next."""
        released = self._db.execute(
            "UPDATE calls SET delivery_lease_until_s = 0 WHERE call_id = ? AND delivery_lease_until_s = ?",
            (claim.call_id, claim.lease_until_s),
        ).rowcount
        self._find_heads("call_id = ?", claim.call_id)
        return bool(released)

    def _find_heads(self, which_calls: str, *values: str) -> None:
        self._db.execute(
            "UPDATE calls SET deliver_at_s = (SELECT created_at_s FROM messages"  # noqa: S608 - our own words
            " WHERE messages.call_id = calls.call_id"
            f" AND state = 'ready' ORDER BY seq LIMIT 1) WHERE {which_calls}",
            values,
        )

    def _note_error(self, claim: Claim, error: str) -> None:
        self._db.execute(
            "UPDATE messages SET last_error = ? WHERE webhook_id = ? AND state = 'ready'", (error, claim.webhook_id)
        )

    def _endpoint_is_well(self) -> None:
        self._db.execute("UPDATE endpoint SET failures = 0, next_try_at_s = 0, last_error = NULL WHERE failures > 0")

    # -- looking and mending ---------------------------------------------------------------------------------------

    def stats(self, now_s: float) -> OutboxStats:
        """See `OutboxStore.stats`."""
        with self._errors():
            pending, oldest_s = self._db.execute(
                "SELECT count(*), min(created_at_s) FROM messages WHERE state = 'ready'"
            ).fetchone()
            (dead,) = self._db.execute("SELECT count(*) FROM messages WHERE state = 'dead'").fetchone()
            failures, disabled, error = self._db.execute(
                "SELECT failures, disabled, last_error FROM endpoint"
            ).fetchone()
        endpoint: EndpointState = "disabled" if disabled else "failing" if failures else "ok"
        return OutboxStats(pending, max(0.0, now_s - oldest_s) if pending else 0.0, dead, endpoint, error)

    def find(self, which: MessageFilter, limit: int) -> list[Message]:
        """See `OutboxStore.find`."""
        where, values = _where(which)
        # What waits is found by its own index and sorted: by age it lies among all that was ever sent.
        age = "+created_at_s" if which.state == "ready" else "created_at_s"
        with self._errors():
            rows = self._db.execute(
                "SELECT webhook_id, call_id, seq, type, state, attempts, last_error, created_at_s,"  # noqa: S608 - our own
                " sent_at_s"
                f" FROM messages WHERE {where} ORDER BY {age} DESC, seq DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [Message(*row) for row in reversed(rows)]

    def body(self, webhook_id: str) -> bytes | None:
        """See `OutboxStore.body`."""
        with self._errors():
            row = self._db.execute(
                "SELECT body, type, event_at_s, call_id, seq, data, gap FROM messages JOIN calls USING (call_id)"
                " WHERE webhook_id = ?",
                (webhook_id,),
            ).fetchone()
        if row is None:
            return None
        body, type_, event_at_s, call_id, seq, data, gap = row
        return encode_body(type_, event_at_s, call_id, seq, data, bool(gap)) if body is None else bytes(body)

    def replay(self, which: MessageFilter, now_s: float) -> int:
        """See `OutboxStore.replay`."""
        where, values = _where(which)
        with self._errors():
            found = self._db.execute(
                f"SELECT rowid FROM messages WHERE state != 'ready' AND {where} ORDER BY rowid",  # noqa: S608 - our own
                values,
            ).fetchall()
        rowids, replayed = [rowid for (rowid,) in found], 0
        for first in range(0, len(rowids), REPLAYED_AT_ONCE):
            replayed += self._replay(rowids[first : first + REPLAYED_AT_ONCE], now_s)
        return replayed

    def _replay(self, rowids: list[int], now_s: float) -> int:
        with self._transaction():
            rows = self._db.execute(
                "UPDATE messages SET state = 'ready', sent_at_s = NULL, last_error = NULL, replayed_at_s = ?"
                " WHERE rowid IN (SELECT value FROM json_each(?)) AND state != 'ready' RETURNING call_id",
                (now_s, json.dumps(rowids)),
            ).fetchall()
            for call_id in {call_id for (call_id,) in rows}:
                self._find_heads("call_id = ?", call_id)
        return len(rows)

    def purge(self, created_before_s: float, *, dead: bool, limit: int) -> int:
        """See `OutboxStore.purge`."""
        with self._transaction():
            purged = self._db.execute(
                "DELETE FROM messages WHERE rowid IN (SELECT rowid FROM messages"
                " WHERE created_at_s < ? AND (state = 'sent' OR (? AND state = 'dead')) LIMIT ?)",
                (created_before_s, dead, limit),
            ).rowcount
            if not purged:
                # Reads every call: too slow for each step of a long purge, behind which appends wait.
                self._db.execute(
                    "DELETE FROM calls WHERE ended_at_s < ?"
                    " AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.call_id = calls.call_id)",
                    (created_before_s,),
                )
                self._db.execute("DELETE FROM insurance_claims WHERE kept_at_s < ?", (created_before_s,))
        return purged

    def kept_claim(self, reference: str) -> bytes | None:
        """See `OutboxStore.kept_claim`."""
        with self._errors():
            row = self._db.execute("SELECT data FROM insurance_claims WHERE reference = ?", (reference,)).fetchone()
        return bytes(row[0]) if row is not None else None

    def check(self) -> None:
        """See `OutboxStore.check`."""
        with self._transaction():
            self._db.execute("UPDATE endpoint SET id = id")
        if _identity(self._path) != self._file:
            raise OutboxError(
                f"outbox.path: {self._path} was removed or replaced while it was open: what is written goes with this"
                " process; let it drain, it still delivers"
            )

    def close(self) -> None:
        """See `OutboxStore.close`."""
        self._db.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _where(which: MessageFilter) -> tuple[str, tuple[Any, ...]]:
    conditions = {
        "webhook_id = ?": which.webhook_id,
        "call_id = ?": which.call_id,
        "state = ?": which.state,
        "created_at_s >= ?": which.since_s,
        "created_at_s < ?": which.until_s,
    }
    wanted = {text: value for text, value in conditions.items() if value is not None}
    return " AND ".join(wanted) or "TRUE", tuple(wanted.values())
