"""Runs every check in turn and prints what was found."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

from service.billing.prices import PriceTable
from service.check import address, clocks, disk, pjsip, ports, realtime, settings, webhook, worker
from service.check.clocks import Moment
from service.check.finding import Finding, ServerDate
from service.config import Config
from service.errors import ClaimlineError

Check = Callable[[], Awaitable[list[Finding]]]

SLOTS_OF_THE_WHEEL = 4
"""Where PJSIP could not be asked: what the wheel on PyPI holds."""
INDENT = " " * 24


async def run(config: Config, *, as_json: bool) -> int:
    """Print what is found: a line each as it comes, or one JSON object. 0 only if nothing failed."""
    findings: list[Finding] = []
    async for finding in examine(config):
        findings.append(finding)
        if not as_json:
            print(as_text(finding), flush=True)
    failed = sum(finding.level == "failed" for finding in findings)
    warned = sum(finding.level == "warning" for finding in findings)
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [finding.as_json() for finding in findings]}))
    else:
        print(f"\n{failed} failed, {warned} warnings, {len(findings) - failed - warned} ok")
    return 1 if failed else 0


def as_text(finding: Finding) -> str:
    """One finding for a terminal; what to mend stands under it."""
    line = f"{finding.level:<8} {finding.subject:<14} {finding.says}"
    return f"{line}\n{INDENT}-> {finding.mend}" if finding.mend else line


async def examine(config: Config) -> AsyncIterator[Finding]:
    """Every check, one after the other; no failure of one keeps the others from being made."""
    begun, dates = _now(), list[ServerDate]()
    today = datetime.now(UTC).date()
    running = await worker.check(config.http)
    slots = SLOTS_OF_THE_WHEEL

    async def ask_pjsip() -> list[Finding]:
        nonlocal slots
        bound = await pjsip.start_and_ask(config)
        slots = bound.slots
        return [pjsip.judge(bound)]

    async def look_at_clocks() -> list[Finding]:
        return [clocks.judge(begun, _now(), dates, PriceTable.load().as_of)]

    for found in running:
        yield found
    checks: tuple[tuple[str, Check], ...] = (
        ("configuration", lambda: settings.configuration(config)),
        ("prompts", lambda: settings.prompts(config)),
        ("prices", lambda: settings.prices(config, today)),
        ("callers", lambda: settings.callers(config)),
        ("pjsip", ask_pjsip),
        ("address", lambda: address.check(config)),
        ("sip", lambda: ports.sip(config, running=bool(running))),
        ("rtp", lambda: ports.rtp(config, slots)),
        ("http", lambda: ports.http(config, running=bool(running))),
        ("outbox", lambda: disk.outbox(config)),
        ("recording", lambda: disk.recording(config)),
        ("event_log", lambda: disk.event_log(config)),
        ("realtime", lambda: realtime.check(config, dates.append)),
        ("webhook", lambda: webhook.check(config, dates.append)),
        ("clock", look_at_clocks),
    )
    for subject, check in checks:
        for found in await _guarded(subject, check):
            yield found


async def _guarded(subject: str, check: Check) -> list[Finding]:
    try:
        return await check()
    except (ClaimlineError, OSError, TimeoutError) as error:
        return [Finding(subject, "failed", str(error) or type(error).__name__)]


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())
