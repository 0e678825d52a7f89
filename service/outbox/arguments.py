"""Argument types and parsers that the commands of this package share."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime

Subparsers = argparse._SubParsersAction
"""argparse has no public name for what `add_subparsers` returns."""

COUNT_MAX = 10**9
_AGE_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_parser(
    subparsers: Subparsers[argparse.ArgumentParser], name: str, does: str, example: str
) -> argparse.ArgumentParser:
    """A sub-command whose `--help` says what it does and shows an example."""
    return subparsers.add_parser(
        name,
        help=does,
        description=does[0].upper() + does[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The `--json` that every command of this package has."""
    parser.add_argument("--json", action="store_true", help="for scripts")


def print_line(line: str) -> None:
    """To standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def count(text: str) -> int:
    """A whole number from 0 to COUNT_MAX."""
    if not text.isdecimal() or len(text) > len(str(COUNT_MAX)) or int(text) > COUNT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {COUNT_MAX}")
    return int(text)


def port(text: str) -> int:
    """A TCP port."""
    number = count(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text} is above 65535")
    return number


def http_status(text: str) -> int:
    """A final HTTP status."""
    number = count(text)
    if not 200 <= number <= 599:
        raise argparse.ArgumentTypeError(f"{text} is not an HTTP status from 200 to 599")
    return number


def probability(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return number


def moment(text: str) -> float:
    """RFC 3339 as Unix seconds; UTC where no offset is given."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-11-05T09:30:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def age_s(text: str) -> float:
    """`90m`, `12h`, `30d` in seconds."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age such as 90m, 12h or 30d")
    return float(match[1]) * _AGE_UNITS_S[match[2]]
