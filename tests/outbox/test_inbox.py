"""The receiving side's bookkeeping."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RemoteProtocolError
from service.outbox.inbox import HELD_PER_CALL_MAX, Inbox, Received, parse


def message(seq: int, *, call_id: str = "call_1", gap: bool = False, webhook_id: str | None = None) -> Received:
    data: dict[str, Any] = {"call_id": call_id, "seq": seq} | ({"gap": True} if gap else {})
    body = {"type": "turn.transcribed", "timestamp": "2026-11-05T09:30:00Z", "data": data}
    return parse(webhook_id or f"msg_{call_id}_{seq}", json.dumps(body).encode())


@given(arriving=st.permutations(range(2, 9)), again=st.lists(st.integers(1, 8), max_size=8))
def test_in_any_order_and_twice_each_leaves_once_and_in_order(arriving: list[int], again: list[int]) -> None:
    inbox = Inbox()
    released = list(inbox.accept(message(1)) or [])
    for seq in [*arriving, *again]:
        released += inbox.accept(message(seq)) or []
    assert [one.seq for one in released] == list(range(1, 9))


def test_a_duplicate_is_told_from_a_held_one() -> None:
    inbox = Inbox()
    inbox.accept(message(1))
    assert inbox.accept(message(3)) == []
    assert inbox.accept(message(3)) is None


def test_a_gap_is_not_waited_for_and_a_replay_comes_at_once() -> None:
    inbox = Inbox()
    inbox.accept(message(1))
    assert [one.seq for one in inbox.accept(message(3, gap=True)) or []] == [3]
    assert [one.seq for one in inbox.accept(message(2)) or []] == [2]


def test_calls_do_not_wait_for_each_other() -> None:
    inbox = Inbox()
    inbox.accept(message(1))
    inbox.accept(message(3))
    assert inbox.accept(message(1, call_id="call_2")) == [message(1, call_id="call_2")]


def test_what_is_held_is_bounded() -> None:
    inbox = Inbox()
    inbox.accept(message(1))
    for seq in range(3, 3 + HELD_PER_CALL_MAX):
        inbox.accept(message(seq))
    with pytest.raises(RemoteProtocolError):
        inbox.accept(message(4 + HELD_PER_CALL_MAX))
    assert len(inbox.accept(message(2)) or []) == HELD_PER_CALL_MAX + 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"type": "x", "timestamp": "t", "data": {}}',
        b'{"type": "x", "timestamp": "t", "data": {"call_id": "c", "seq": 0}}',
        b'{"type": "x", "timestamp": "t", "data": {"call_id": "c", "seq": "1"}}',
        b'{"type": 1, "timestamp": "t", "data": {"call_id": "c", "seq": 1}}',
    ],
)
def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse("msg_1", body)
