"""What the acceptance tests share: one engine, a busy minute that several judge, and the demo beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from service.demo.processes import embedded_engine
from tests import peers
from tests.acceptance.busy_minute import BusyMinute, busy_minute
from tests.acceptance.product import DemoRun

DEMO_TESTS = "acceptance/test_demo.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo's call takes as long as people take to speak: it begins first, and is judged last."""
    items.sort(key=lambda item: DEMO_TESTS in item.nodeid)


@pytest.fixture(scope="session", autouse=True)
def _peers_are_there() -> None:
    if missing := peers.missing_peers():
        pytest.skip(f"not installed: {missing}")


@pytest.fixture(scope="session", autouse=True)
def demo(
    _peers_are_there: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DemoRun | None]:
    """`claimline demo`, running by itself; None where no test wants it."""
    if not any(DEMO_TESTS in item.nodeid for item in request.session.items):
        yield None
        return
    scratch = tmp_path_factory.mktemp("demo")
    with (scratch / "screen.txt").open("wb") as screen:
        process = subprocess.Popen(
            (sys.executable, "-m", "service", "demo", "--out", str(scratch / "demo-out")),
            env={name: value for name, value in os.environ.items() if not name.startswith("CLAIMLINE_")},
            stdin=subprocess.DEVNULL,
            stdout=screen,
            stderr=subprocess.STDOUT,
        )
    try:
        yield DemoRun(process, scratch / "screen.txt", scratch / "demo-out")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The embedded engine as a process of its own."""
    async with embedded_engine(tmp_path_factory.mktemp("engine") / "engine.log") as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def minute(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> BusyMinute:
    """Three calls with human speech under a crowd of refused ones: judged by several tests, lived once."""
    return await busy_minute(engine_url, tmp_path_factory.mktemp("minute"))
