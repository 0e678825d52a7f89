"""Whether a worker that shares the outbox still lives: each holds a lock on a file of its own beside it, by flock(2).

The kernel releases the lock with the process, however that ends: neither a pid that is used again, nor a clock that was
set, nor a disk that was full for so long that leases lapsed can mislead. SQLite's WAL binds everybody who shares the
file to one kernel (https://www.sqlite.org/wal.html), and there these locks hold across containers too.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

Whereabouts = Literal["here", "gone", "unknown"]


class Presence:
    """A worker's own lock, and a look at those of others. Use with `with`. Blocks for as long as the disk does.

    Where the lock cannot be had (no room for a file, a file system without locks) others see this worker as `unknown`.
    """

    def __init__(self, outbox_path: Path, worker_id: str) -> None:
        self._stem = f"{outbox_path.name}.worker-"
        self._directory = outbox_path.parent
        self._mark = self._mark_of(worker_id)
        self._file: int | None = None

    def __enter__(self) -> Self:
        try:
            while self._file is None or not os.fstat(self._file).st_nlink:  # swept before it was locked
                self._close()
                self._file = os.open(self._mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError:
            self._leave()
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is None:
            self._leave()
        else:
            # Calls may be open: the mark without a lock says at once that nobody carries them any more.
            self._close()

    def of(self, worker_id: str) -> Whereabouts:
        """Whether that worker's process lives."""
        with _looked_at(self._mark_of(worker_id)) as where:
            return where

    def sweep(self) -> None:
        """Remove the marks of those who are gone: when their calls are closed."""
        for mark in self._directory.glob(f"{escape(self._stem)}*"):
            with _looked_at(mark) as where:
                if where == "gone":
                    _remove(mark)

    def _mark_of(self, worker_id: str) -> Path:
        return self._directory / (self._stem + quote(worker_id, safe=""))

    def _leave(self) -> None:
        if self._file is not None:
            _remove(self._mark)
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _remove(mark: Path) -> None:
    with suppress(OSError):  # In a directory that is read-only by now it stays, and says the same.
        mark.unlink()


@contextmanager
def _looked_at(mark: Path) -> Iterator[Whereabouts]:
    """The mark of one who is gone stays locked inside the block."""
    try:
        file = os.open(mark, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield "unknown"
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        where: Whereabouts = "here" if isinstance(error, BlockingIOError) else "unknown"
    else:
        where = "gone"
    try:
        yield where
    finally:
        os.close(file)
