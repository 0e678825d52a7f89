"""Takes docs/console.png: the console beside the demo's real call, as the claim is read back. Two minutes.

.venv/bin/python -m tests.acceptance.screenshot
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.acceptance import chromium

WIDTH, HEIGHT = 1280, 800
CONFIRMED = 5
"""Fields: what has been read back, while the agent was interrupted once."""
CALL_S = 200.0
MAX_BYTES = 200_000


def http_port(log: Path) -> int | None:
    """Where the demo's service listens, from its log; None before it does."""
    for line in log.read_text().splitlines() if log.exists() else ():
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("event") == "worker_ready":
            return int(entry["http_port"])
    return None


async def take(*, dark: bool) -> bytes:
    """Run the demo and look at it; gives a PNG."""
    with tempfile.TemporaryDirectory(prefix="claimline-screenshot-") as out:
        demo = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "demo", "--out", out), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(CALL_S), chromium.page() as page:
                await page.see(WIDTH, HEIGHT, dark=dark, calm=True)
                while (port := http_port(Path(out, "service.log"))) is None:  # noqa: ASYNC110 -- seen from outside
                    await asyncio.sleep(0.2)
                await page.open(f"http://127.0.0.1:{port}/")
                await page.until(f"document.querySelectorAll('#live .claim .good').length >= {CONFIRMED}", CALL_S)
                await page.value("document.querySelector('#live summary').click()")
                await page.value("document.querySelector('#live [data-call]').click()")
                await page.until("document.querySelector('.drawing svg') !== null")
                await page.value("(document.activeElement.blur(), scrollTo(0, 0))")
                return await page.picture()
        finally:
            demo.terminate()
            await demo.wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("docs/console.png"))
    arguments.add_argument("--dark", action="store_true")
    given = arguments.parse_args()
    png = asyncio.run(take(dark=given.dark))
    assert len(png) <= MAX_BYTES, f"{len(png)} bytes are too many for the README"
    given.out.write_bytes(png)
