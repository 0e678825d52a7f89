"""What whole calls in memory share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.outbox.outbox import Outbox


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with await Outbox.open(tmp_path / "outbox.db") as opened:
        yield opened
