"""The command as a whole."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import PIPE_CLOSED, main
from service.outbox.sqlite import SqliteOutboxStore


def test_words_need_not_fit_the_terminals_character_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteOutboxStore(tmp_path / "outbox.db")
    store.open_call("call_Škoda", "worker-1", 0.0, 30.0)
    store.append("call_Škoda", "call.started", b"{}", 0.0, 0.0)
    monkeypatch.setenv("CLAIMLINE_OUTBOX__PATH", str(tmp_path / "outbox.db"))
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "ascii"))
    assert main(["outbox", "list"]) == 0
    assert rb"call_\u0160koda" in printed.getvalue()


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` does, sooner or later
    try:
        done = subprocess.run(
            [sys.executable, "-m", "service", "price"],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=20,
        )
    finally:
        os.close(writing)
    assert done.returncode == PIPE_CLOSED
    assert "pipe" not in done.stderr.lower()
