"""The Realtime server that is asked: the configured one, or the embedded engine as a process of its own."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from service.app import agent_instructions, session_target
from service.call.sessions import Session, Sessions, Target
from service.config import Config
from service.demo.processes import embedded_engine
from service.errors import ClaimlineError
from service.realtime.client import Received, SessionError, open_session

ENGINE_CONNECT_S = 30.0
"""A busy machine must not make the local engine unreachable."""


@contextlib.asynccontextmanager
async def realtime_server(config: Config, report: Callable[[str], None]) -> AsyncIterator[Config]:
    """The configuration with a `realtime.url` that answers; the engine is stopped at the end.

    Raises `ClaimlineError` where the engine does not start; its log is then left and named.
    """
    if config.realtime.url is not None:
        yield config
        return
    report("realtime.url is not set: starting the embedded engine (it is no language model) …")
    log = Path(tempfile.gettempdir()) / f"claimline-compare-engine-{os.getpid()}.log"
    async with embedded_engine(log) as url:
        update = {"url": url, "connect_timeout_s": ENGINE_CONNECT_S}
        yield config.model_copy(update={"realtime": config.realtime.model_copy(update=update)})
    log.unlink(missing_ok=True)


def comparison_target(config: Config, *, agent_speaks: bool) -> Target:
    """A call's session, but for who decides: turns are committed by hand, and the agent is only asked to talk."""
    target = session_target(config, agent_instructions(config))
    audio = target.payload["audio"]
    payload = {
        **target.payload,
        "output_modalities": ["audio" if agent_speaks else "text"],
        "audio": {**audio, "input": {**audio["input"], "turn_detection": None}},
        "tools": [],
        "tool_choice": "none",
    }
    return Target(target.url, target.model, target.api_key, payload, target.connect_timeout_s)


@contextlib.asynccontextmanager
async def open_to(target: Target, on_opened: Callable[[list[Received]], None]) -> AsyncIterator[Session]:
    """The session, closed at the end. Raises `ClaimlineError` that names the setting."""
    session = await Sessions(open_session, target, None, on_opened).open()
    if isinstance(session, SessionError):
        raise ClaimlineError(f"realtime.url {target.url}: {session}")
    try:
        yield session
    finally:
        await session.close()
