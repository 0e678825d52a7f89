"""Outbox files with more messages than one would append one by one: rows as the store would have written them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

from service.outbox.message import encode_body, encode_data
from service.outbox.sqlite import SqliteOutboxStore

CALLS_AT_ONCE = 5000
"""A transaction's worth: the write-ahead log grows with it."""
TYPE = "turn.transcribed"
WORDS = "I was waiting at the light on the corner of Fifth and Main when somebody ran into me from behind, slowly."
DATA = encode_data(
    {
        "turn": 1,
        "item_id": "item_C5gSTvA0Yw4gJ8mJhY3kq",
        "transcript": WORDS,
        "source": "out_of_band",
        "suspect": None,
        "asr_transcript": WORDS,
        "asr_confidence": 0.93,
        "asr_difference": {"word_error_rate": 0.0, "differs": []},
        "spoken_at": "2026-11-05T09:30:00.000Z",
        "duration_ms": 6200,
        "model": "gpt-realtime-2.1",
        "usage": {"input_tokens": 812, "output_tokens": 31},
        "cost_usd": "0.0042616",
    }
)
"""A turn of usual length."""


def write_messages(
    path: Path, *, calls: int, per_call: int, at_s: float, sent: bool = False, data: bytes = DATA, prefix: str = "call"
) -> None:
    """Add calls with so many messages each, appended at `at_s`; those that were sent belong to calls that ended."""
    SqliteOutboxStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -200000")
        for first in range(0, calls, CALLS_AT_ONCE):
            call_ids = [f"{prefix}_{call}" for call in range(first, min(first + CALLS_AT_ONCE, calls))]
            db.execute("BEGIN")
            db.executemany(
                "INSERT INTO calls (call_id, worker_id, lease_until_s, opened_at_s, ended_at_s, next_seq, deliver_at_s)"
                " VALUES (?, 'worker-1', ?, ?, ?, ?, ?)",
                [
                    (call_id, at_s, at_s, at_s if sent else None, per_call + 1, None if sent else at_s)
                    for call_id in call_ids
                ],
            )
            db.executemany(
                "INSERT INTO messages"
                " (webhook_id, call_id, seq, type, event_at_s, data, body, state, attempts, created_at_s, sent_at_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _rows(call_ids, per_call, at_s, sent, data),
            )
            db.execute("COMMIT")


def _rows(call_ids: Sequence[str], per_call: int, at_s: float, sent: bool, data: bytes) -> Iterator[tuple[object, ...]]:
    state = "sent" if sent else "ready"
    for call_id in call_ids:
        # One for the whole call: of the right size.
        body = encode_body(TYPE, at_s, call_id, 1, data, gap=False) if sent else None
        for seq in range(1, per_call + 1):
            # As random as the store's own: that is what makes an index of a million of them large.
            webhook_id = f"msg_{blake2b(f'{call_id} {seq}'.encode(), digest_size=16).hexdigest()}"
            yield (
                *(webhook_id, call_id, seq, TYPE, at_s, data, body, state),
                *(int(sent), at_s, at_s if sent else None),
            )
