"""``claimline outbox``: what is kept, what was given up, and how to send it again."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing

from service.clock import rfc3339
from service.config import Config
from service.errors import ClaimlineError
from service.outbox.arguments import Subparsers, add_json, add_parser, age_s, count, moment, print_line
from service.outbox.message import MessageFilter
from service.outbox.outbox import PURGED_AT_ONCE
from service.outbox.receiver_command import add_receiver
from service.outbox.sqlite import SqliteOutboxStore


def add_parsers(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `outbox` and `receiver` to the command line; each sets `run(args, config) -> exit status`."""
    _add_outbox(subparsers)
    add_receiver(subparsers)


def _add_outbox(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    outbox = add_parser(
        subparsers,
        "outbox",
        "look at and repeat webhook deliveries",
        "claimline outbox list --dead\n  claimline outbox replay --call call_5c1f",
    )
    commands = outbox.add_subparsers(metavar="COMMAND", required=True)

    listing = add_parser(commands, "list", "list messages, the newest last", "claimline outbox list --dead --limit 20")
    state = listing.add_mutually_exclusive_group()
    state.add_argument("--dead", action="store_const", dest="state", const="dead", help="only those given up")
    state.add_argument("--pending", action="store_const", dest="state", const="ready", help="only those not sent yet")
    listing.add_argument("--call", metavar="CALL_ID", help="only of this call")
    listing.add_argument("--limit", type=count, default=100, help="at most so many, the newest (default: 100)")
    add_json(listing)
    listing.set_defaults(run=_list)

    show = add_parser(commands, "show", "show one message whole", "claimline outbox show msg_0f3c")
    show.add_argument("webhook_id", metavar="ID", help="the message's webhook-id")
    add_json(show)
    show.set_defaults(run=_show)

    replay = add_parser(
        commands,
        "replay",
        "deliver sent or given-up messages again, under the same ids",
        "claimline outbox replay msg_0f3c\n  claimline outbox replay --since 2026-11-05T09:00:00Z --dead",
    )
    which = replay.add_argument_group("which messages", "all conditions must hold; at least one of these is needed")
    which.add_argument("webhook_id", metavar="ID", nargs="?", help="the message's webhook-id")
    which.add_argument("--call", metavar="CALL_ID", help="of this call")
    which.add_argument("--since", type=moment, metavar="TIME", help="appended at or after; RFC 3339, UTC if bare")
    which.add_argument("--until", type=moment, metavar="TIME", help="appended before")
    replay.add_argument("--dead", action="store_const", dest="state", const="dead", help="only those given up")
    add_json(replay)
    replay.set_defaults(run=_replay, parser=replay)

    resume = add_parser(
        commands, "resume", "deliver again after a 410, or at once after failures", "claimline outbox resume"
    )
    add_json(resume)
    resume.set_defaults(run=_resume)

    purge = add_parser(commands, "purge", "remove delivered messages by age", "claimline outbox purge --older-than 30d")
    purge.add_argument("--older-than", type=age_s, required=True, metavar="AGE", help="such as 90m, 12h, 30d")
    purge.add_argument("--dead", action="store_true", help="those given up too")
    add_json(purge)
    purge.set_defaults(run=_purge)


def _list(args: argparse.Namespace, config: Config) -> int:
    with closing(_open(config)) as store:
        messages = store.find(MessageFilter(call_id=args.call, state=args.state), args.limit)
        stats = store.stats(time.time())
    if args.json:
        for message in messages:
            print_line(json.dumps(message.as_json()))
        return 0
    for message in messages:
        print_line(
            f"{rfc3339(message.created_at_s)}  {message.webhook_id}  {message.call_id}  #{message.seq:<3}"
            f" {message.type:<16} {message.state:<5} {message.attempts} tries"
            + (f"  {message.last_error}" if message.last_error else "")
        )
    endpoint = f" ({stats.endpoint_error})" if stats.endpoint_error else ""
    print_line(
        f"{stats.pending} pending, the oldest for {stats.oldest_age_s:.0f} s; {stats.dead} given up;"
        f" endpoint {stats.endpoint}{endpoint}"
    )
    return 0


def _show(args: argparse.Namespace, config: Config) -> int:
    with closing(_open(config)) as store:
        found = store.find(MessageFilter(webhook_id=args.webhook_id), 1)
        body = store.body(args.webhook_id)
    if not found or body is None:
        raise ClaimlineError(f"no message {args.webhook_id} in {config.outbox.path}")
    shown = found[0].as_json() | {"body": json.loads(body)}
    text = json.dumps(shown, indent=None if args.json else 2, ensure_ascii=args.json)
    # What a stranger put into a header must not steer a terminal: JSON itself lets controls above U+007E through.
    print_line("".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text))
    return 0


def _replay(args: argparse.Namespace, config: Config) -> int:
    which = MessageFilter(args.webhook_id, args.call, args.state, args.since, args.until)
    if which == MessageFilter(state=args.state):
        args.parser.error("name a message ID, --call, --since or --until")
    with closing(_open(config)) as store:
        replayed = store.replay(which, time.time())
    print_line(json.dumps({"replayed": replayed}) if args.json else f"{replayed} messages will be delivered again")
    return 0 if replayed else 1


def _resume(args: argparse.Namespace, config: Config) -> int:
    with closing(_open(config)) as store:
        store.resume()
        pending = store.stats(time.time()).pending
    print_line(json.dumps({"pending": pending}) if args.json else f"delivering again; {pending} messages are waiting")
    return 0


def _purge(args: argparse.Namespace, config: Config) -> int:
    with closing(_open(config)) as store:
        before_s, purged = time.time() - args.older_than, 0
        while count := store.purge(before_s, dead=args.dead, limit=PURGED_AT_ONCE):
            purged += count
    print_line(json.dumps({"purged": purged}) if args.json else f"{purged} messages removed")
    return 0


def _open(config: Config) -> SqliteOutboxStore:
    return SqliteOutboxStore(config.outbox.path, create=False)
