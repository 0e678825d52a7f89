"""Whether a worker with this configuration runs already, and what it says of itself."""

from __future__ import annotations

import json

import aiohttp

from service.check.finding import Finding
from service.config import Http, local_host

TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 16_384


async def check(http: Http) -> list[Finding]:
    """Nothing where nobody answers on `http.port`, or somebody else."""
    if http.port == 0:
        return []
    url = f"http://{local_host(http.bind)}:{http.port}/readyz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.headers.get("Server") != "claimline":
                return []
            told = json.loads(await answer.content.read(ANSWER_BYTES_MAX))
            reasons = [str(reason) for reason in told["reasons"]]
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
        return []
    if reasons:
        says = f"one runs here and refuses calls: {', '.join(reasons)}"
        return [Finding("worker", "warning", says, "see readiness in docs/operations.md")]
    return [Finding("worker", "ok", "one runs here and takes calls")]
