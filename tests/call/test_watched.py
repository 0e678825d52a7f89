"""A live call that is watched: its last lines, redacted as everywhere, and the same as long as nothing happens."""

from __future__ import annotations

from service.billing.ledger import Ledger
from service.billing.prices import PriceTable
from service.call.leg import Invite
from service.call.record import WATCHED_LINES, CallRecord
from service.call.registry import Registry
from service.clock import Clock
from service.transcript.redaction import Redaction


class HandWound:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.clock = Clock(lambda: self.now_s, lambda: 1_800_000_000.0 + self.now_s)


def call(name: str, clock: Clock) -> CallRecord:
    invite = Invite("sip-1", "sip:+1555@carrier", "sip:claims@line", "claims", "127.0.0.1", "memory")
    redaction = Redaction({}, card_numbers=True)
    return CallRecord(name, invite, clock, "model", Ledger(PriceTable.load()), clock.monotonic(), redaction)


def test_it_is_the_same_until_something_happens() -> None:
    time, registry = HandWound(), Registry(10)
    record = call("call_1", time.clock)
    registry.enter(record)
    record.answered_s = 1001.0
    record.lines.agent_says("a1", "Good day.", 1001.2)
    before = registry.watched(5)
    time.now_s += 3.7
    assert registry.watched(5) == before
    record.lines.agent_says("a1", " Who is there?", 1001.3)
    assert registry.watched(5)[0]["lines"] == [
        {"speaker": "agent", "text": "Good day. Who is there?", "interrupted": False}
    ]


def test_a_long_call_shows_its_end_and_says_what_is_left_out() -> None:
    record = call("call_1", HandWound().clock)
    for number in range(WATCHED_LINES + 7):
        record.lines.caller_said(f"u{number}", f"word {number}", 1.0 * number)
    shown = record.watched()
    assert shown["lines_before"] == 7
    assert [line["text"] for line in shown["lines"]] == [f"word {number}" for number in range(7, WATCHED_LINES + 7)]


def test_a_card_number_is_not_shown_either() -> None:
    record = call("call_1", HandWound().clock)
    record.lines.caller_said("u1", "It is 4111 1111 1111 1111.", 1.0)
    assert record.watched()["lines"][0]["text"] == "It is [card number]."


def test_of_many_calls_the_newest_are_shown_live_and_ended() -> None:
    registry, clock = Registry(10), HandWound().clock
    records = [call(f"call_{number}", clock) for number in range(6)]
    for record in records:
        registry.enter(record)
    assert [one["call_id"] for one in registry.watched(2)] == ["call_5", "call_4"]
    for record in records[:4]:
        registry.leave(record)
    assert (registry.live, registry.left) == (2, 4)
    assert [one["call_id"] for one in registry.recent(3)] == ["call_3", "call_2", "call_1"]
