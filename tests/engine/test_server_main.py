"""Starting and ending the engine: what its command sees."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.config import Agent, Engine
from service.engine import main
from service.engine.ports import Speech
from service.engine.voice import Voice
from service.errors import ConfigError
from tests.engine.scripted_speech import scripted


@pytest.fixture(autouse=True)
def _polite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "nice", lambda increment: increment)


@pytest.fixture
def _no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def speech(settings: Engine, agent: Agent) -> AsyncIterator[Speech]:
        yield scripted({})

    monkeypatch.setattr(main, "local_speech", speech)


async def started(**settings: object) -> tuple[asyncio.Task[None], str]:
    ready: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(main.serve(Engine.model_validate({"port": 0, **settings}), ready=ready.put_nowait))
    async with asyncio.timeout(5):
        return task, await ready.get()


@pytest.mark.usefixtures("_no_weights")
async def test_a_free_port_is_told_and_sigterm_ends_the_engine() -> None:
    task, url = await started()
    assert url.startswith("ws://127.0.0.1:")
    assert url.endswith("/v1/realtime")
    assert ":0/" not in url
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        await task


@pytest.mark.usefixtures("_no_weights")
async def test_cancelling_ends_the_engine() -> None:
    task, _ = await started()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.usefixtures("_no_weights")
async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"engine\.port {port}"):
            await main.serve(Engine(port=port))


async def test_without_the_speech_packages_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: object) -> float:
        raise ModuleNotFoundError("No module named 'hibari'", name="hibari")

    monkeypatch.setattr(Voice, "load", missing)
    with pytest.raises(ConfigError, match=r"pip install 'claimline\[local\]'.*realtime\.url.*hibari"):
        await main.serve(Engine(port=0))
