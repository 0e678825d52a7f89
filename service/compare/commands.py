"""``claimline compare`` on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from service.compare.methods import Method, parse_contexts
from service.config import Config

DEFAULT_CONTEXTS = "turn,3,full"
DEFAULT_ASR_MODEL = "gpt-4o-transcribe"
EXAMPLE = """\
Each WAV file (PCM16; 8, 16, 24, 44.1 or 48 kHz) is one caller turn if it is mono, and a recorded call if it is stereo:
the turns are then cut out of its left channel. What was really said, in a text file of the same name with .txt, gives
word errors. Without files, the calls in recording.directory are taken. Each method is paid for.

example:
  claimline compare turns/ --contexts turn,3,full --csv compare.csv --html compare.html
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``compare`` to the command line."""
    parser = subparsers.add_parser(
        "compare",
        help="transcribe recorded turns in every way; show texts, tokens, costs and latencies side by side",
        description="Transcribe recorded caller turns out of band, with several contexts, and by the server's built-in "
        "transcription; show side by side texts, tokens, costs and latencies, totals and ratios.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE_OR_DIRECTORY", help="WAV files, in order")
    parser.add_argument(
        "--contexts",
        type=_contexts,
        default=DEFAULT_CONTEXTS,
        help=f"out of band with: turn, a number of turns, full (default: {DEFAULT_CONTEXTS})",
    )
    parser.add_argument(
        "--asr-model",
        metavar="MODEL",
        help=f"the built-in transcription (default: transcription.asr_model, else {DEFAULT_ASR_MODEL})",
    )
    agent = parser.add_mutually_exclusive_group()
    agent.add_argument("--agent-text", action="store_true", help="the agent answers in text: cheaper than in a call")
    agent.add_argument("--no-agent", action="store_true", help="no answers: full then holds the caller's turns only")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write everything as CSV too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write everything as a page with drawings too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, config: Config) -> int:
    """See `service.compare.main.run`."""
    from service.compare.main import run as compare  # noqa: PLC0415 -- `--help` need not wait for what it needs

    asr_model = args.asr_model or config.transcription.asr_model or DEFAULT_ASR_MODEL
    transcription = config.transcription.model_copy(update={"asr_model": asr_model})
    return compare(args, config.model_copy(update={"transcription": transcription}))


def _contexts(text: str) -> tuple[Method, ...]:
    try:
        return parse_contexts(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
