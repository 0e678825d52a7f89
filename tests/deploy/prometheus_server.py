"""A real Prometheus on loopback: its own port, its own directory, ended by its pid."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests import peers

READY_S = 15.0
MISSING = "" if shutil.which("prometheus") and shutil.which("promtool") else "not installed: prometheus"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Its HTTP API."""

    url: str
    http: aiohttp.ClientSession

    async def query_range(self, expr: str, begin_s: float, end_s: float, step_s: float = 1.0) -> list[list[float]]:
        """The values of each series; `begin_s` and `end_s` are Unix time."""
        result = await self._get("query_range", query=expr, start=begin_s, end=end_s, step=step_s)
        return [[float(value) for _, value in series["values"]] for series in result["result"]]

    async def value(self, expr: str) -> float:
        """Of a query that gives one number now; NaN where it gives none."""
        result = (await self._get("query", query=expr))["result"]
        return float(result[0]["value"][1]) if result else float("nan")

    async def exemplars(self, metric: str, begin_s: float, end_s: float) -> list[dict[str, str]]:
        """Labels of each exemplar."""
        found = await self._get("query_exemplars", query=metric, start=begin_s, end=end_s)
        return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    async def until(self, expr: str, timeout_s: float = 15.0) -> None:
        """Wait until the query gives something."""
        async with asyncio.timeout(timeout_s):
            while not (await self._get("query", query=expr))["result"]:  # noqa: ASYNC110 -- seen from outside
                await asyncio.sleep(0.2)

    async def _get(self, path: str, **params: object) -> Any:
        given = {name: str(value) for name, value in params.items()}
        async with self.http.get(f"{self.url}/api/v1/{path}", params=given) as answer:
            body = await answer.json()
            assert body["status"] == "success", (params, body)
            return body["data"]


@contextlib.asynccontextmanager
async def prometheus(scratch: Path, target: str, scrape_interval_s: int = 1) -> AsyncIterator[Prometheus]:
    """One that scrapes `target` (host:port) and keeps exemplars."""
    config = scratch / "prometheus.yml"
    config.write_text(
        f"global: {{ scrape_interval: {scrape_interval_s}s }}\n"
        "scrape_configs:\n"
        "  - job_name: claimline\n"
        f'    static_configs: [{{ targets: ["{target}"] }}]\n'
    )
    port = peers.free_port()
    with (scratch / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={scratch / 'tsdb'}",
            f"--web.listen-address={peers.HOST}:{port}",
            "--enable-feature=exemplar-storage",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        async with aiohttp.ClientSession() as http:
            server = Prometheus(f"http://{peers.HOST}:{port}", http)
            await _ready(server)
            yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ready(server: Prometheus) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            try:
                async with server.http.get(f"{server.url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
