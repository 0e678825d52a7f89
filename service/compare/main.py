"""`claimline compare`, from files to figures: what can be shown is shown, however the run ends."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from service.app import transcription_instructions
from service.billing.meter import AGENT, Meter
from service.billing.prices import PriceTable
from service.compare.far_end import comparison_target, open_to, realtime_server
from service.compare.observed import Observed
from service.compare.page import page
from service.compare.printable import printable
from service.compare.results import Comparison
from service.compare.session import Plan, Run
from service.compare.sources import RecordedTurn, read_turns
from service.compare.spreadsheet import csv_text
from service.compare.table import table
from service.config import Config
from service.errors import ClaimlineError, RemoteProtocolError
from service.realtime.client import SessionError

INTERRUPTED = 130


def run(args: argparse.Namespace, config: Config) -> int:
    """0 where every method transcribed every turn, 1 where not, 130 after Ctrl-C.

    `config` names the built-in transcription. Raises `ClaimlineError` before anything is paid for.
    """
    for option, path in (("--csv", args.csv), ("--html", args.html)):
        if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise ClaimlineError(f"{option} {path}: no file can be written there")
    paths = args.paths or ([config.recording.directory] if config.recording.directory else [])
    if not paths:
        raise ClaimlineError("name WAV files or a directory of them, or set recording.directory")
    return asyncio.run(compare(args, config, read_turns(paths)))


async def compare(args: argparse.Namespace, config: Config, turns: Sequence[RecordedTurn]) -> int:
    """Run, show and write; the exit code of `run`."""
    prices = PriceTable.load(config.prices.overrides)
    meter = Meter(prices, config.realtime.model, config.transcription.asr_model)
    observed = Observed(meter)
    plan = Plan(
        contexts=args.contexts,
        instructions=transcription_instructions(config),
        max_output_tokens=config.transcription.max_output_tokens,
        timeout_s=config.transcription.timeout_s,
        agent=not args.no_agent,
    )
    running = Run(turns, plan, observed, _report)
    code, why = await _carry_out(config, running, observed, agent_speaks=not args.agent_text)
    comparison = Comparison(
        model=meter.model,
        asr_model=config.transcription.asr_model,
        prices_as_of=prices.as_of,
        methods=plan.methods,
        turns=running.results(),
        planned_turns=len(turns),
        agent_usd=meter.ledger.by_purpose().get(AGENT),
    )
    _show(comparison, args.csv, args.html)
    if why:
        _report(f"claimline compare: {why}")
    return code or (0 if comparison.complete else 1)


async def _carry_out(config: Config, running: Run, observed: Observed, *, agent_speaks: bool) -> tuple[int, str]:
    """Run it until it is done, breaks, or is interrupted: the exit code so far, and why it did not get to the end."""

    async def measure() -> None:
        async with realtime_server(config, _report) as reachable:
            target = comparison_target(reachable, agent_speaks=agent_speaks)
            async with open_to(target, observed.opened) as session:
                _report(f"{running.planned} with {target.model} at {target.url}")
                await running.carry_out(session)

    work = asyncio.ensure_future(measure())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        return INTERRUPTED, "interrupted"
    except (SessionError, RemoteProtocolError) as error:
        return 1, str(error)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return 0, ""


def _show(comparison: Comparison, csv_path: Path | None, html_path: Path | None) -> None:
    sys.stdout.write(table(comparison))
    sys.stdout.flush()
    for path, content in ((csv_path, csv_text), (html_path, page)):
        if path is not None:
            path.write_text(content(comparison), "utf-8", newline="")
            _report(f"written: {path}")


def _report(line: str) -> None:
    sys.stderr.write(f"{printable(line)}\n")
    sys.stderr.flush()
