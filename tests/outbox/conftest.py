"""What the outbox tests share: secrets, a store on a temporary file."""

from __future__ import annotations

import base64
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from service.outbox.outbox import Outbox
from service.outbox.signature import Secret, parse_secrets
from service.outbox.sqlite import SqliteOutboxStore

pytest.register_assert_rewrite("tests.outbox.store_conformance")

SECRET = "whsec_" + base64.b64encode(b"a key for tests, 32 bytes long..").decode()


@pytest.fixture
def secret_text() -> str:
    return SECRET


@pytest.fixture
def secrets() -> tuple[Secret, ...]:
    return parse_secrets(SECRET)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def open_store(path: Path) -> Iterator[Callable[[], SqliteOutboxStore]]:
    stores: list[SqliteOutboxStore] = []

    def open_one() -> SqliteOutboxStore:
        stores.append(SqliteOutboxStore(path))
        return stores[-1]

    yield open_one
    for one in stores:
        one.close()


@pytest.fixture
def store(open_store: Callable[[], SqliteOutboxStore]) -> SqliteOutboxStore:
    return open_store()


@pytest.fixture
async def outbox(path: Path) -> AsyncIterator[Outbox]:
    async with await Outbox.open(path) as opened:
        yield opened


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses: bound, so that nobody else gets it, and not listened on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
