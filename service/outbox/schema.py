"""The SQLite schema, by version (`PRAGMA user_version`). Append a version; never change one that was released."""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # deliver_at_s: when the call's lowest ready message is due; NULL when there is none. Every statement that
        # changes the state of a message keeps it so: claiming then reads only calls with something to send.
        """
        CREATE TABLE calls (
            call_id TEXT PRIMARY KEY,
            worker_id TEXT NOT NULL,
            lease_until_s REAL NOT NULL,
            opened_at_s REAL NOT NULL,
            ended_at_s REAL,
            next_seq INTEGER NOT NULL DEFAULT 1,
            gap INTEGER NOT NULL DEFAULT 0,
            deliver_at_s REAL,
            delivery_lease_until_s REAL NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE INDEX calls_due ON calls (deliver_at_s) WHERE deliver_at_s IS NOT NULL",
        "CREATE INDEX calls_open ON calls (worker_id) WHERE ended_at_s IS NULL",
        """
        CREATE TABLE messages (
            webhook_id TEXT PRIMARY KEY,
            call_id TEXT NOT NULL REFERENCES calls (call_id),
            seq INTEGER NOT NULL,
            type TEXT NOT NULL,
            event_at_s REAL NOT NULL,
            data BLOB NOT NULL,
            body BLOB,
            state TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sent', 'dead')),
            attempts INTEGER NOT NULL DEFAULT 0,
            last_error TEXT,
            created_at_s REAL NOT NULL,
            sent_at_s REAL,
            UNIQUE (call_id, seq)
        ) STRICT
        """,
        "CREATE INDEX messages_ready ON messages (call_id, seq, created_at_s) WHERE state = 'ready'",
        "CREATE INDEX messages_dead ON messages (created_at_s) WHERE state = 'dead'",
        "CREATE INDEX messages_created ON messages (created_at_s)",
        """
        CREATE TABLE endpoint (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            failures INTEGER NOT NULL DEFAULT 0,
            next_try_at_s REAL NOT NULL DEFAULT 0,
            disabled INTEGER NOT NULL DEFAULT 0,
            last_error TEXT
        ) STRICT
        """,
        "INSERT INTO endpoint (id) VALUES (1)",
    ),
    (
        # replayed_at_s: a message that an operator repeats is as young as the repetition.
        "ALTER TABLE messages ADD COLUMN replayed_at_s REAL",
        """
        CREATE TABLE insurance_claims (
            reference TEXT PRIMARY KEY,
            data BLOB NOT NULL,
            kept_at_s REAL NOT NULL
        ) STRICT
        """,
    ),
    (
        # What is to be said for an open call should its worker die. In a table of its own: the rows of `calls` are
        # rewritten at every claim and lease.
        """
        CREATE TABLE wills (
            call_id TEXT PRIMARY KEY REFERENCES calls (call_id),
            data BLOB NOT NULL
        ) STRICT
        """,
    ),
    (
        # An endpoint that fails is waited for from here to next_try_at_s: before both, the clock was set back.
        "ALTER TABLE endpoint ADD COLUMN waits_from_s REAL NOT NULL DEFAULT 0",
    ),
)
