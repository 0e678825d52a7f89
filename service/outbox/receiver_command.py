"""``claimline receiver``: a webhook receiver to look at, to copy from, and to test a sender with."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import get_args

from service.config import Config
from service.errors import ClaimlineError, ConfigError
from service.outbox.arguments import Subparsers, add_parser, count, http_status, port, print_line, probability
from service.outbox.inbox import Received
from service.outbox.readable import line_of
from service.outbox.receiver import Fault, Misdeed, Receiver
from service.outbox.signature import parse_secrets


def add_receiver(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `receiver` to the command line."""
    receiver = add_parser(
        subparsers,
        "receiver",
        "receive webhooks: verify, put in order, print; can be told to fail",
        "CLAIMLINE_WEBHOOK__SECRET=whsec_... claimline receiver --port 8090\n"
        "  claimline receiver --fail status --status 503 --first 3",
    )
    receiver.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: loopback)")
    receiver.add_argument("--port", type=port, default=8090, help="0 takes a free one (default: 8090)")
    receiver.add_argument(
        "--journal", type=Path, metavar="FILE", help="JSON lines of what was taken; remembered at start"
    )
    receiver.add_argument("--json", action="store_true", help="print messages as JSON lines")
    failing = receiver.add_argument_group("failing on purpose", "each request, the first N, or each with probability P")
    failing.add_argument(
        "--fail",
        choices=get_args(Misdeed),
        help="answer --status, answer never, redirect, answer a byte a second, close without an answer,"
        " take the message and then close, or answer 204 without taking it",
    )
    failing.add_argument("--status", type=http_status, default=500, help="the answer of `--fail status` (default: 500)")
    failing.add_argument("--retry-after", metavar="VALUE", help="the Retry-After header of that answer")
    failing.add_argument("--first", type=count, metavar="N")
    failing.add_argument("--probability", type=probability, metavar="P")
    receiver.set_defaults(run=_receive, parser=receiver)


def _receive(args: argparse.Namespace, config: Config) -> int:
    if config.webhook.secret is None:
        raise ConfigError("webhook.secret: set it (or webhook.secret_file) to the sender's")
    fault = fault_of(args)
    if args.journal is not None:
        try:
            args.journal.open("ab").close()
        except OSError as error:
            raise ClaimlineError(f"--journal: cannot write {args.journal}: {error.strerror}") from None
    receiver = Receiver(
        parse_secrets(config.webhook.secret.get_secret_value()),
        host=args.bind,
        port=args.port,
        fault=fault,
        on_message=_print_json if args.json else _print_line,
        on_refusal=_complain,
        journal=args.journal,
    )
    try:
        asyncio.run(_receive_until_told(receiver))
    except OSError as error:
        raise ClaimlineError(f"--port: cannot listen on {args.bind}:{args.port}: {error.strerror}") from None
    return 0


def fault_of(args: argparse.Namespace) -> Fault:
    """What the receiver was told to do wrong; never, where nothing was said."""
    if args.fail is None:
        if args.first is not None or args.probability is not None:
            args.parser.error("--first and --probability say when to fail: name how with --fail")
        return Fault()
    every = args.first is None and args.probability is None
    return Fault(args.fail, args.status, args.retry_after, args.first or 0, 1.0 if every else args.probability or 0.0)


async def _receive_until_told(receiver: Receiver) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with receiver:
        sys.stderr.write(f"receiving webhooks at {receiver.url}\n")
        sys.stderr.flush()
        await told.wait()


def _print_line(message: Received) -> None:
    print_line(line_of(message))


def _complain(reason: str) -> None:
    sys.stderr.write(f"refused: {reason}\n")


def _print_json(message: Received) -> None:
    print_line(
        json.dumps(
            {
                "webhook_id": message.webhook_id,
                "type": message.type,
                "timestamp": message.timestamp,
                "data": message.data,
            }
        )
    )
