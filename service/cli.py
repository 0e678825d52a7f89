"""The `claimline` command: one parser, one place where errors become one sentence and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from service import __version__
from service.config import Config, load, local_host
from service.errors import ClaimlineError
from service.outbox.store import OutboxError

WRONG_USE = 2
PIPE_CLOSED = 141
"""As the shell shows a command that SIGPIPE has ended."""
CONFIG_HELP = "TOML file; CLAIMLINE_SECTION__KEY overrides it"
Run = Callable[[argparse.Namespace, Config], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0 on success, 1 where it failed, 2 on wrong use."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What callers said need not fit the terminal's character set.
        sys.stdout.reconfigure(errors="backslashreplace")
    args = parser().parse_args(arguments)
    run: Run = args.run
    try:
        code = run(args, load(args.config))
        sys.stdout.flush()
    except ClaimlineError as error:
        print(f"claimline: {error}", file=sys.stderr)
        return _status(error)
    except BrokenPipeError:
        # Whoever read the output, `head` for one, has had enough; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        # Files and ports that cannot be had; the operating system's words name them.
        print(f"claimline: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup as group:
        expected, unexpected = group.split(ClaimlineError)
        if expected is None or unexpected is not None:
            raise
        print(f"claimline: {_first(expected)}", file=sys.stderr)
        return _status(_first(expected))
    except KeyboardInterrupt:
        return 130
    else:
        return code


def _status(error: BaseException) -> int:
    # An outbox that is locked, or whose disk is full, may be used the next time: whoever restarts us should.
    return 1 if isinstance(error, OutboxError) else WRONG_USE


def _first(group: BaseExceptionGroup[ClaimlineError]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def parser() -> argparse.ArgumentParser:
    """All commands with their help."""
    # Imported here so that `--help` of one command does not wait for the libraries of all the others.
    from service.billing.commands import add_parser as add_price  # noqa: PLC0415
    from service.compare.commands import add_parser as add_compare  # noqa: PLC0415
    from service.outbox.commands import add_parsers as add_outbox  # noqa: PLC0415

    top = argparse.ArgumentParser(
        prog="claimline",
        description="A telephone voice agent that takes insurance claims.",
        epilog="Example: claimline serve --config claimline.toml",
    )
    top.add_argument("--version", action="version", version=f"claimline {__version__}")
    top.add_argument("--config", type=Path, metavar="FILE", help=CONFIG_HELP)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add(
        commands, "serve", _serve, "answer calls until SIGTERM; drains first", "claimline serve --config claimline.toml"
    )
    _add(commands, "engine", _engine, "the embedded local Realtime server: no key, no network", "claimline engine")
    demo = _add(
        commands,
        "demo",
        _demo,
        "everything at once on loopback: engine, receiver, service, and a caller who places a real SIP call",
        "claimline demo --out demo-out",
    )
    demo.add_argument("--out", type=Path, default=Path("demo-out"), help="where the recording and the results go")
    call = _add(
        commands,
        "call",
        _call,
        "place one test call",
        "claimline call sip:claims@127.0.0.1:5060 --play question.wav --record answer.wav",
    )
    call.add_argument("uri", metavar="SIP_URI")
    call.add_argument("--play", type=Path, required=True, metavar="WAV", help="what the caller says")
    call.add_argument("--record", type=Path, required=True, metavar="WAV", help="what the caller hears")
    call.add_argument("--stereo", action="store_true", help="record both sides: left the caller, right the agent")
    call.add_argument("--codec", choices=["PCMU", "PCMA"], help="offer only this one")
    call.add_argument("--seconds", type=float, help="hang up after this long; default: 2 s after the WAV's end")
    add_outbox(commands)
    add_price(commands)
    add_compare(commands)
    check = _add(
        commands,
        "check",
        _check,
        "read the configuration, try each far end, say what is wrong",
        "claimline check --json",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    for command in commands.choices.values():
        # Before the command or behind it: the default of the inner one must not undo the outer one.
        command.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help=CONFIG_HELP)
    return top


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Run, does: str, example: str
) -> argparse.ArgumentParser:
    sub = commands.add_parser(
        name, help=does, description=f"{does[0].upper()}{does[1:]}.", epilog=f"Example: {example}"
    )
    sub.set_defaults(run=run)
    return sub


def _serve(_args: argparse.Namespace, config: Config) -> int:
    from service.app import Address, serve, sip_uri  # noqa: PLC0415
    from service.telemetry.logs import configure  # noqa: PLC0415

    configure(config.log, config.secrets())

    def ready(address: Address) -> None:
        bound = address.sip
        print(
            f"claimline answers at {sip_uri(config, bound)} (UDP and TCP), "
            f"{bound.max_calls} calls at once; console at http://{local_host(config.http.bind)}:{address.http_port}/",
            flush=True,
        )

    asyncio.run(serve(config, ready))
    return 0


def _engine(_args: argparse.Namespace, config: Config) -> int:
    from service.engine.main import serve  # noqa: PLC0415
    from service.telemetry.logs import configure  # noqa: PLC0415

    configure(config.log, config.secrets())
    return asyncio.run(
        _until_signal(
            serve(config.engine, agent=config.agent, ready=lambda url: print(f"engine ready at {url}", flush=True))
        )
    )


async def _until_signal(work: Coroutine[Any, Any, None]) -> int:
    """Run until SIGTERM or SIGINT."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await working
    return 0


def _demo(args: argparse.Namespace, _config: Config) -> int:
    from service.demo.main import run  # noqa: PLC0415

    return asyncio.run(run(args.out))


def _call(args: argparse.Namespace, _config: Config) -> int:
    from service.dial import run  # noqa: PLC0415

    return asyncio.run(run(args))


def _check(args: argparse.Namespace, config: Config) -> int:
    from service.check.main import run  # noqa: PLC0415

    return asyncio.run(run(config, as_json=args.json))
