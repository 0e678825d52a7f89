"""Bodies stay below the 20 kB that Standard Webhooks asks for, whatever script the caller's words are written in."""

from __future__ import annotations

import json

import pytest

from service.billing.ledger import Ledger
from service.billing.prices import PriceTable
from service.call.leg import Invite
from service.call.record import CallRecord
from service.clock import Clock
from service.outbox.message import encode_body, encode_data
from service.transcript.redaction import Redaction

CALL_ID = "call_" + 32 * "0"
LARGEST_BYTES = 20_000


def body_of(lines: int, words: str) -> bytes:
    """The body of `call.ended`."""
    clock = Clock(lambda: 1000.0, lambda: 1_800_000_000.0)
    invite = Invite("sip-1", "sip:+1555@carrier", "sip:claims@line", "claims", "127.0.0.1", "memory")
    redaction = Redaction({}, card_numbers=False)
    record = CallRecord(CALL_ID, invite, clock, "model", Ledger(PriceTable.load()), 1000.0, redaction)
    for number in range(lines):
        record.lines.caller_said(f"u{number}", words, 1000.0 + number)
    return encode_body("call.ended", 1_800_000_000.0, CALL_ID, 1000, encode_data(record.ended_data()), gap=True)


@pytest.mark.parametrize(
    "words", ["I had an accident. " * 100, "Es war ein Škoda. ", "Авария на улице. " * 10, "事故 " * 99]
)
def test_a_transcript_is_told_whole_until_the_body_would_be_too_large(words: str) -> None:
    told = []
    for lines in range(1, 250):
        body = body_of(lines, words)
        data = json.loads(body)["data"]
        assert len(body) < LARGEST_BYTES
        assert (data["transcript"] is None) is (data.get("transcript_url") == f"/calls/{CALL_ID}")
        told.append(len(body) if data["transcript"] is not None else 0)
        if not told[-1]:
            break
    assert told[-1] == 0, "a long call has no room for it"
    assert told == [*sorted(told[:-1]), 0]
    a_line = len(body_of(2, words)) - len(body_of(1, words))
    assert told[-2] > LARGEST_BYTES - 1000 - a_line, "room is used"
