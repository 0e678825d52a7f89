"""Engine and worker as processes of their own, started as a user would start them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from service.errors import ClaimlineError

STOP_TIMEOUT_S = 20.0
ENGINE_READY_S = 90.0
"""Speech models are read from a disk that may be slow, on cores that may be busy."""


@contextlib.asynccontextmanager
async def command(
    name: str, settings: Mapping[str, str], log: Path, *, ready_word: str, timeout_s: float
) -> AsyncIterator[str]:
    """Run `claimline NAME` until the context ends; gives the line with `ready_word`, by which it says it is ready.

    `settings` are environment variables; the process's log goes to the file `log`. It is ended by SIGTERM.
    Raises `ClaimlineError` where it does not get ready.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CLAIMLINE_")}
    with log.open("wb") as log_file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service",
            name,
            env=environment | dict(settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log_file,
        )
    try:
        yield await _until_ready(process, name, ready_word, timeout_s, log)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.communicate()
            except TimeoutError:
                process.kill()
                await process.wait()


@contextlib.asynccontextmanager
async def embedded_engine(log: Path) -> AsyncIterator[str]:
    """The embedded engine on a free port of loopback until the context ends; gives its URL.

    Raises `ClaimlineError` where it does not get ready; `log` then says why.
    """
    settings = {"CLAIMLINE_ENGINE__PORT": "0"}
    async with command("engine", settings, log, ready_word="engine ready", timeout_s=ENGINE_READY_S) as says:
        found = re.search(r"ws://\S+", says)
        if found is None:
            raise ClaimlineError(f"the engine named no address; its log: {log}")
        yield found.group()


async def _until_ready(
    process: asyncio.subprocess.Process, name: str, ready_word: str, timeout_s: float, log: Path
) -> str:
    output = process.stdout
    assert output is not None  # noqa: S101 -- it was asked for
    try:
        async with asyncio.timeout(timeout_s):
            while line := await output.readline():
                if ready_word in (text := line.decode(errors="replace")):
                    return text
    except TimeoutError:
        raise ClaimlineError(f"claimline {name} was not ready within {timeout_s:g} s; its log: {log}") from None
    raise ClaimlineError(f"claimline {name} ended at once; its log: {log}")
