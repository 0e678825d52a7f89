"""``claimline price``: what the usage in an event log costs, by purpose, to the last digit."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from service.billing.ledger import Ledger
from service.billing.meter import RESPONSE_DONE, TRANSCRIPTION_COMPLETED, UNKNOWN_MODEL, Meter
from service.billing.prices import PriceTable
from service.billing.usage import KINDS
from service.config import Config

EXAMPLE = """\
reads JSON lines: a call's event log, bare server events, or bare usage objects

example:
  claimline price events/call-1.jsonl
  claimline price --model gpt-realtime-2.1 --json < responses.jsonl
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``price`` to the command line."""
    parser = subparsers.add_parser(
        "price",
        help="price the usage in an event log",
        description="Price the usage in an event log, by purpose and kind of token.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="JSON lines; standard input without it")
    parser.add_argument("--model", help="the model, where the log has no session event that names it")
    parser.add_argument("--asr-model", help="the transcription model, where the log does not name it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, config: Config) -> int:
    """Price a file; 0 when every line was read and priced, 1 when not, 2 when the file cannot be read."""
    meter = Meter(PriceTable.load(config.prices.overrides), args.model, args.asr_model)
    try:
        if args.file is None:
            bad_lines = observe_lines(meter, sys.stdin, sys.stderr)
        else:
            with args.file.open(encoding="utf-8", errors="replace") as lines:
                bad_lines = observe_lines(meter, lines, sys.stderr)
    except OSError as error:
        sys.stderr.write(f"claimline price: cannot read {args.file}: {error.strerror}\n")
        return 2
    meter.finish()
    ledger = meter.ledger
    if args.json:
        sys.stdout.write(json.dumps(ledger.as_json(), indent=2) + "\n")
    else:
        sys.stdout.write(table(ledger))
    for reason in ledger.incomplete_reasons:
        sys.stderr.write(f"claimline price: the cost is not complete: {reason}{_remedy(reason)}\n")
    if not ledger.by_purpose() and not ledger.incomplete_reasons:
        sys.stderr.write("claimline price: no usage found; it is in response.done and in transcription events\n")
        return 1
    return 1 if bad_lines or ledger.cost_usd is None else 0


def observe_lines(meter: Meter, lines: Iterable[str], complaints: TextIO) -> int:
    """Feed JSON lines to the meter; returns how many could not be read, each with one sentence."""
    bad = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        event = server_event(line)
        if event is None:
            bad += 1
            complaints.write(f"claimline price: line {number} is not a JSON object with an event or a usage\n")
        elif event:
            meter.observe(event)
    return bad


def server_event(line: str) -> Mapping[str, Any] | None:
    """The server event that a line holds; empty for what the client sent, None for a line that is none of them."""
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    event: dict[str, Any] | None = None
    match record:
        case {"dir": "recv", "event": dict(received)}:
            event = received
        case {"dir": "sent", "event": dict()}:
            event = {}
        case {"type": "tokens" | "duration"}:
            event = {"type": TRANSCRIPTION_COMPLETED, "usage": record}
        case {"type": str()}:
            event = record
        case {"input_tokens": _}:
            event = {"type": RESPONSE_DONE, "response": {"usage": record}}
    return event


def table(ledger: Ledger) -> str:
    """One row per purpose and a total, with the kinds of token that occurred."""
    usage = ledger.usage()
    total = usage["total"]
    kinds = [kind.name for kind in KINDS if total["tokens"][kind.name]]
    seconds = ["seconds"] if total["seconds"] else []
    header = ["purpose", "model", "reports", *(name.replace("_", " ") for name in kinds), *seconds, "cost USD"]
    costs = ledger.as_json()
    rows = [
        _row(purpose, account, kinds, seconds, costs["cost"][purpose])
        for purpose, account in usage["by_purpose"].items()
    ]
    rows.append(_row("total", {**total, "models": []}, kinds, seconds, costs["cost_usd"]))
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return "".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in [header, *rows]
    )


def _row(
    purpose: str, account: Mapping[str, Any], kinds: list[str], seconds: list[str], cost_usd: str | None
) -> list[str]:
    tokens = [str(account["tokens"][name]) for name in kinds]
    spoken = [f"{account['seconds']:g}" for _ in seconds]
    return [purpose, ", ".join(account["models"]), str(account["reports"]), *tokens, *spoken, cost_usd or "unknown"]


def _remedy(reason: str) -> str:
    if reason == f"no price for {UNKNOWN_MODEL}":
        return "; name the model with --model, the transcription model with --asr-model"
    if reason.startswith("no price for "):
        return "; give one under [prices.overrides]"
    return ""
