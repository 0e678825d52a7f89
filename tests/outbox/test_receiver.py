"""The reference receiver: what it refuses, keeps, prints and remembers; and its command."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.config import Config
from service.errors import ClaimlineError
from service.outbox.commands import add_parsers
from service.outbox.inbox import parse
from service.outbox.readable import line_of
from service.outbox.receiver import Fault, Receiver
from service.outbox.receiver_command import fault_of
from service.outbox.signature import Secret, sign


def body_of(seq: int, **data: Any) -> bytes:
    fields = {"call_id": "call_1", "seq": seq} | data
    return json.dumps({"type": "turn.transcribed", "timestamp": "2026-11-05T09:30:00.000Z", "data": fields}).encode()


async def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status


async def test_order_and_duplicates(secrets: tuple[Secret, ...]) -> None:
    seen: list[int] = []
    async with Receiver(secrets, on_message=lambda message: seen.append(message.seq)) as receiver:
        for seq in (1, 3, 3, 2, 1):
            body = body_of(seq)
            assert await post(receiver.url, body, sign(secrets, f"msg_{seq}", body, time.time())) == 204
    assert seen == [1, 2, 3]
    assert [one.verdict for one in receiver.arrivals] == ["taken", "taken", "duplicate", "taken", "duplicate"]


@pytest.mark.parametrize(
    ("age_s", "body_sent", "status"),
    [(0.0, b"{}", 401), (600.0, None, 401), (-600.0, None, 401), (0.0, None, 204)],
    ids=["forged", "old", "early", "right"],
)
async def test_only_authentic_and_fresh_messages_are_taken(
    age_s: float, body_sent: bytes | None, status: int, secrets: tuple[Secret, ...]
) -> None:
    body = body_of(1)
    async with Receiver(secrets) as receiver:
        headers = sign(secrets, "msg_1", body, time.time() - age_s)
        assert await post(receiver.url, body_sent or body, headers) == status
    assert len(receiver.messages) == (status == 204)


async def test_a_signed_body_that_is_no_message_is_answered_400(secrets: tuple[Secret, ...]) -> None:
    refusals: list[str] = []
    async with Receiver(secrets, on_refusal=refusals.append) as receiver:
        assert await post(receiver.url, b"[]", sign(secrets, "msg_1", b"[]", time.time())) == 400
    assert len(refusals) == 1


async def test_a_restarted_receiver_remembers_what_it_took(secrets: tuple[Secret, ...], tmp_path: Path) -> None:
    journal = tmp_path / "webhooks.jsonl"
    body = body_of(1)
    async with Receiver(secrets, journal=journal) as receiver:
        await post(receiver.url, body, sign(secrets, "msg_1", body, time.time()))
    with journal.open("a") as torn:
        torn.write('{"webhook_id": "msg_2", "ty')
    async with Receiver(secrets, journal=journal) as receiver:
        await post(receiver.url, body, sign(secrets, "msg_1", body, time.time()))
        later = body_of(3)
        await post(receiver.url, later, sign(secrets, "msg_3", later, time.time()))
        assert receiver.messages == [], "seq 2 is missing"
    assert [one.verdict for one in receiver.arrivals] == ["duplicate", "taken"]
    async with Receiver(secrets, journal=journal) as receiver:
        missing = body_of(2)
        await post(receiver.url, missing, sign(secrets, "msg_2", missing, time.time()))
    assert [one.seq for one in receiver.messages] == [2, 3]


async def test_what_could_not_be_journalled_has_to_come_again(secrets: tuple[Secret, ...], tmp_path: Path) -> None:
    journal = tmp_path / "full" / "webhooks.jsonl"
    refusals: list[str] = []
    body = body_of(1, transcript="\ud800")
    async with Receiver(secrets, journal=journal, on_refusal=refusals.append) as receiver:
        assert await post(receiver.url, body, sign(secrets, "msg_1", body, time.time())) == 503
        assert (receiver.messages, len(refusals)) == ([], 1)
        journal.parent.mkdir()
        assert await post(receiver.url, body, sign(secrets, "msg_1", body, time.time())) == 204
        assert [one.seq for one in receiver.messages] == [1]
    assert json.loads(journal.read_bytes())["data"]["transcript"] == "\ud800"


async def test_waiting_for_messages_ends(secrets: tuple[Secret, ...]) -> None:
    async with Receiver(secrets) as receiver:
        with pytest.raises(TimeoutError):
            await receiver.wait_for(lambda messages: len(messages) > 0, 0.01)


@pytest.mark.parametrize(
    ("type_", "data", "part"),
    [
        ("call.started", {"from": "sip:bob@example.com", "line": "100"}, "call from sip:bob@example.com to 100"),
        (
            "turn.transcribed",
            {"transcript": "My car", "source": "out_of_band", "cost_usd": "0.001"},
            '"My car"  $0.001',
        ),
        ("turn.transcribed", {"source": "none", "reason": "timeout"}, "(no transcript: timeout)"),
        (
            "call.ended",
            {"result": "success", "reason": "caller_hung_up", "turns": 4},
            "success (caller_hung_up), 4 turns",
        ),
        ("turn.transcribed", {"transcript": "x", "gap": True}, "given up"),
        ("some.day", {}, "some.day"),
    ],
)
def test_a_message_is_one_readable_line(type_: str, data: dict[str, Any], part: str) -> None:
    body = {"type": type_, "timestamp": "2026-11-05T09:30:00Z", "data": {"call_id": "c", "seq": 1} | data}
    line = line_of(parse("msg_1", json.dumps(body).encode()))
    assert part in line
    assert "\n" not in line


def test_words_cannot_drive_the_terminal() -> None:
    line = line_of(parse("msg_1", body_of(1, transcript="\x1b[2J\r\n\u202e" + "x" * 5000)))
    assert line.isprintable()
    assert len(line) < 400


COMMAND = """
import argparse, sys
from service.config import Config
from service.outbox.commands import add_parsers
parser = argparse.ArgumentParser("claimline")
add_parsers(parser.add_subparsers(required=True))
args = parser.parse_args()
sys.exit(args.run(args, Config()))
"""


async def test_the_command_prints_messages_until_it_is_told_to_stop(
    secrets: tuple[Secret, ...], secret_text: str, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "receiver", "--port", "0"),
        env=os.environ | {"CLAIMLINE_WEBHOOK__SECRET": secret_text},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        url = (await process.stderr.readline()).decode().split()[-1]
        body = body_of(1, transcript="I had an accident", source="out_of_band")
        assert await post(url, body, sign(secrets, "msg_1", body, time.time())) == 204
        assert await post(url, body, sign(secrets, "msg_1", b"", time.time())) == 401
    finally:
        process.terminate()
        async with asyncio.timeout(10):
            out, errors = (output.decode() for output in await process.communicate())
    assert process.returncode == 0
    assert out.count("I had an accident") == 1
    assert "does not match" in errors
    assert secret_text not in out + errors


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("", Fault()),
        ("--fail hang", Fault("hang", probability=1.0)),
        ("--fail lie --first 2", Fault("lie", first=2)),
        ("--fail redirect --probability 0.3", Fault("redirect", probability=0.3)),
        ("--fail status --status 503 --retry-after 10 --first 3", Fault("status", 503, "10", first=3)),
    ],
)
def test_it_fails_as_it_is_told(told: str, fault: Fault) -> None:
    parser = argparse.ArgumentParser("claimline")
    add_parsers(parser.add_subparsers(required=True))
    assert fault_of(parser.parse_args(["receiver", *told.split()])) == fault


def test_a_journal_that_cannot_be_written_is_named_at_start(tmp_path: Path, secret_text: str) -> None:
    parser = argparse.ArgumentParser("claimline")
    add_parsers(parser.add_subparsers(required=True))
    args = parser.parse_args(["receiver", "--journal", str(tmp_path)])
    with pytest.raises(ClaimlineError, match=r"--journal: cannot write .*: Is a directory"):
        args.run(args, Config(webhook={"secret": secret_text}))  # type: ignore[arg-type]


async def test_one_that_lies_says_that_it_took_what_it_did_not(secrets: tuple[Secret, ...], tmp_path: Path) -> None:
    body, journal = body_of(1), tmp_path / "taken.jsonl"
    async with Receiver(secrets, fault=Fault("lie", first=1), journal=journal) as receiver:
        assert await post(receiver.url, body, sign(secrets, "msg_1", body, time.time())) == 204
        assert not journal.exists()
        assert await post(receiver.url, body, sign(secrets, "msg_1", body, time.time())) == 204
    assert [one.verdict for one in receiver.arrivals] == ["failed", "taken"]
    assert len(receiver.messages) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--first", "3"], 2, "--fail"),
        (["--status", "42"], 2, "42"),
        (["--probability", "2"], 2, "between 0 and 1"),
        (["--help"], 0, "example:"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: list[str], status: int, words: str, secret_text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "receiver", *arguments],
        env=os.environ | {"CLAIMLINE_WEBHOOK__SECRET": secret_text},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == status
    assert words in done.stdout + done.stderr
