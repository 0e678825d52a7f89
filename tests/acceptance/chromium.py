"""Headless Chromium over the DevTools protocol: as much of it as looking at a page needs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

PROGRAM = shutil.which("chromium")
START_S = 30.0
POLL_S = 0.03
# As root, in a container, Chromium's own sandbox cannot be had. The rest keeps it from calling home.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--hide-scrollbars", "--mute-audio", "--remote-debugging-port=0"),
)


class Page:
    """One tab."""

    def __init__(self, devtools: ClientConnection) -> None:
        self._devtools = devtools
        self._commands = 0
        self.complaints: list[str] = []
        """Exceptions, and what the browser refused or could not load."""

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A DevTools command and its result."""
        self._commands += 1
        await self._devtools.send(json.dumps({"id": self._commands, "method": method, "params": parameters}))
        async with asyncio.timeout(10):
            while True:
                told = json.loads(await self._devtools.recv())
                if told.get("id") == self._commands:
                    assert "error" not in told, told
                    result: dict[str, Any] = told["result"]
                    return result
                self._listen(told)

    def _listen(self, told: dict[str, Any]) -> None:
        if told["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["params"]["exceptionDetails"])[:500])
        elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
            entry = told["params"]["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    async def open(self, url: str) -> None:
        """Go there."""
        for domain in ("Page", "Runtime", "Log"):
            await self.command(f"{domain}.enable")
        await self.command("Page.navigate", url=url)

    async def see(self, width: int, height: int, *, dark: bool = False, calm: bool = False) -> None:
        """Be a screen of that size, whose owner prefers dark, or little motion."""
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        features = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce" * calm}
        await self.command(
            "Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()]
        )

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, awaited."""
        told = await self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression: str, timeout_s: float = 8.0) -> Any:
        """The expression's value, once it is true."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (value := await self.value(expression)):  # noqa: ASYNC110 -- seen from outside
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            shown = await self.value("document.body.innerText")
            raise AssertionError(f"never true: {expression}; complaints: {self.complaints}; shown:\n{shown}") from None
        return value

    async def press(self, key: str) -> None:
        """A key that needs no text."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.command(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text
            )

    async def picture(self) -> bytes:
        """PNG of the screen."""
        return base64.b64decode((await self.command("Page.captureScreenshot", format="png"))["data"])


@contextlib.asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """A tab of a browser of its own, which ends with the context."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="claimline-chromium-", ignore_cleanup_errors=True) as profile:
        # At the lowest priority: calls beside it are judged by their timing.
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", "19", PROGRAM, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
            env={**os.environ, "HOME": profile},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with connect(await _devtools(Path(profile)), max_size=None, compression=None) as devtools:
                yield Page(devtools)
        finally:
            process.terminate()
            await process.wait()


async def _devtools(profile: Path) -> str:
    """The address of the first tab."""
    said = profile / "DevToolsActivePort"
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as http:
        while not (said.exists() and "\n" in said.read_text()):  # noqa: ASYNC110 -- a file of another process
            await asyncio.sleep(POLL_S)
        port = said.read_text().split("\n")[0]
        while True:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = [tab for tab in await answer.json(content_type=None) if tab["type"] == "page"]
            if tabs:
                url: str = tabs[0]["webSocketDebuggerUrl"]
                return url
            await asyncio.sleep(POLL_S)
