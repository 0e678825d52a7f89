"""`claimline call`: one test call from the command line."""

from __future__ import annotations

import argparse

from service.errors import ClaimlineError
from sip.caller import Progress, place_call

PROGRESS = {"answered": "answered; the caller speaks", "played": "the caller has spoken; waiting for the far end"}


async def run(args: argparse.Namespace) -> int:
    """Place the call, say how it went; 0 only if it was answered and all of the WAV was played."""

    def report(step: Progress) -> None:
        print(PROGRESS[step], flush=True)

    if not args.uri.startswith(("sip:", "<sip:")):
        raise ClaimlineError(f"{args.uri!r} is no SIP address: write it as sip:USER@HOST:PORT")
    print(f"calling {args.uri}", flush=True)
    result = await place_call(
        args.uri,
        args.play,
        args.record,
        seconds=args.seconds,
        stereo=args.stereo,
        codec=args.codec,
        on_progress=report,
    )
    if result.answered_after_s is None:
        print(f"not answered: {result.code} {result.reason}")
        return 1
    ended_by = "this side" if result.by == "us" else "the far end"
    print(
        f"answered after {result.answered_after_s:.2f} s, ended by {ended_by} ({result.code} {result.reason}); "
        f"{result.recorded_s:.1f} s recorded in {args.record}"
    )
    return 0 if result.played_whole else 1
