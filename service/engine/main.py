"""Starts the embedded engine: loads the speech stack, warms it up, listens."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import datetime

import numpy as np
import structlog

from service.config import Agent, Engine
from service.engine.asr import RecognizerPool
from service.engine.dialogue import Dialogue
from service.engine.ports import Speech
from service.engine.rates import Pcm16
from service.engine.server import engine_server
from service.engine.vad import TurnDetector
from service.engine.voice import Voice
from service.errors import ConfigError

_log = structlog.get_logger()

NICENESS = 5
"""The engine yields to the calls' audio on the same machine."""
WARM_UP_TEXT = "Good morning, this is a short test."


async def serve(settings: Engine, *, agent: Agent | None = None, ready: Callable[[str], None] | None = None) -> None:
    """Run the engine until cancelled or told to end by SIGTERM. `ready` is told the URL once sessions are taken.

    Raises ConfigError, naming what to mend, where the speech stack is missing or the address cannot be had.
    """
    with suppress(OSError):
        os.nice(NICENESS)
    over = asyncio.Event()
    async with local_speech(settings, agent or Agent()) as speech:
        try:
            async with engine_server(speech, settings.bind, settings.port) as url:
                _log.info("engine_listening", url=url)
                with _told_by_sigterm(over):
                    if ready is not None:
                        ready(url)
                    await over.wait()
        except OSError as error:
            message = f"The engine cannot listen on engine.bind {settings.bind}, engine.port {settings.port}: {error}"
            raise ConfigError(message) from error


@asynccontextmanager
async def local_speech(settings: Engine, agent: Agent) -> AsyncIterator[Speech]:
    """The embedded ears, voice and brain, loaded and warm.

    Raises ConfigError where the packages of the extra `local` are missing.
    """
    voice = Voice()
    with closing(RecognizerPool(settings.workers)) as recognizer:
        try:
            loaded_s = await asyncio.to_thread(voice.load) + await recognizer.load()
            detector = TurnDetector()
        except ImportError as error:
            message = (
                "The embedded engine needs the speech packages: pip install 'claimline[local]', "
                f"or set realtime.url to another server ({error})."
            )
            raise ConfigError(message) from error
        warm_up = await asyncio.to_thread(_say, voice, WARM_UP_TEXT)
        detector.feed(warm_up)
        await recognizer.transcribe(warm_up)
        _log.info("engine_loaded", took_s=round(loaded_s, 1))
        yield Speech(TurnDetector, recognizer, voice, lambda: _dialogue(agent))


def _dialogue(agent: Agent) -> Dialogue:
    return Dialogue(agent_name=agent.name, company=agent.company, today=datetime.now().astimezone().date())


def _say(voice: Voice, text: str) -> Pcm16:
    return np.concatenate([np.zeros(0, np.int16), *voice.synthesize(text)])


@contextmanager
def _told_by_sigterm(over: asyncio.Event) -> Iterator[None]:
    """Set `over` at SIGTERM, where this loop is the one that gets signals."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGTERM, over.set)
    except (NotImplementedError, RuntimeError, ValueError):
        # In a thread, or on a platform without: then only cancelling ends the engine.
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
