"""What whole calls in memory share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest

from service.outbox.message import MessageFilter
from service.outbox.outbox import Outbox
from service.schemas import TYPES, schema_json

PUBLISHED = {type_: jsonschema.Draft202012Validator(json.loads(schema_json(type_) or b"")) for type_ in TYPES}


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    """Whatever a call left in it must be as the published schemas say."""
    async with await Outbox.open(tmp_path / "outbox.db") as opened:
        yield opened
        for message in await opened.find(MessageFilter(), 10_000):
            PUBLISHED[message.type].validate(json.loads(await opened.body(message.webhook_id) or b""))
