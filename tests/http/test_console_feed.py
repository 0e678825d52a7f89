"""What the console is told: all of it at first, then what has changed, and no faster than eyes can follow."""

from __future__ import annotations

import json
from typing import Any

from service.http.feed import OUTBOX_PERIOD_S, PERIOD_S, RECENT_CALLS, WATCHED_CALLS, Feed
from tests.http.in_memory import Calls, Outbox


def made(calls: Calls | None = None, outbox: Outbox | None = None) -> Feed:
    return Feed(calls or Calls(), outbox or Outbox(), list, lambda: "sip:claims@192.0.2.1")


def told(feed: Feed, since: int = 0) -> dict[str, Any]:
    return {topic: json.loads(data) for topic, data in feed.since(since)[1]}


async def test_who_comes_first_is_told_everything() -> None:
    calls = Calls(growing=[{"call_id": "call_3"}])
    feed = made(calls, Outbox(pending=7))
    await feed.refresh(0.0)
    assert told(feed) == {
        "worker": {"ready": True, "reasons": [], "dial": "sip:claims@192.0.2.1"},
        "live": {"count": 1, "calls": [{"call_id": "call_3"}]},
        "recent": {"calls": list(calls.known.values())},
        "outbox": {"pending": 7, "oldest_age_s": 3, "dead": 0, "endpoint": "ok", "last_error": None},
    }


async def test_who_is_up_to_date_is_told_only_what_changed() -> None:
    calls = Calls(growing=[{"call_id": "call_3", "lines": []}])
    feed = made(calls)
    await feed.refresh(0.0)
    seen, _ = feed.since(0)
    await feed.refresh(10.0)
    assert feed.since(seen) == (seen, [])
    calls.growing = [{"call_id": "call_3", "lines": ["hello"]}]
    await feed.refresh(20.0)
    assert told(feed, seen) == {"live": {"count": 1, "calls": calls.growing}}


async def test_a_call_that_ends_is_gone_and_in_the_table_in_one_step() -> None:
    calls = Calls(growing=[{"call_id": "call_3"}])
    feed = made(calls)
    await feed.refresh(0.0)
    seen, _ = feed.since(0)
    calls.growing, calls.left = [], 3
    calls.known = {"call_3": {"call_id": "call_3"}, **calls.known}
    await feed.refresh(1.0)
    news = told(feed, seen)
    assert news["live"] == {"count": 0, "calls": []}
    assert [call["call_id"] for call in news["recent"]["calls"]] == ["call_3", "call_1", "call_2"]


async def test_changes_that_come_faster_are_told_together_however_many_look() -> None:
    calls, outbox = Calls(), Outbox()
    feed = made(calls, outbox)
    for step in range(1000):
        calls.growing = [{"call_id": "call_3", "words": step}]
        await feed.refresh(step * PERIOD_S / 100)
    assert calls.looks == 10
    assert outbox.counts <= 1 + 10 * PERIOD_S / OUTBOX_PERIOD_S


async def test_a_busy_worker_shows_a_bounded_part_and_says_how_many_there_are() -> None:
    calls = Calls(growing=[{"call_id": str(number)} for number in range(WATCHED_CALLS + 5)])
    calls.known = {str(number): {"call_id": str(number)} for number in range(RECENT_CALLS + 5)}
    feed = made(calls)
    await feed.refresh(0.0)
    assert (told(feed)["live"]["count"], len(told(feed)["live"]["calls"])) == (WATCHED_CALLS + 5, WATCHED_CALLS)
    assert len(told(feed)["recent"]["calls"]) == RECENT_CALLS


async def test_an_outbox_that_cannot_be_read_hides_no_call() -> None:
    feed = made(Calls(growing=[{"call_id": "call_3"}]), Outbox(broken="outbox.path: disk full"))
    await feed.refresh(0.0)
    assert told(feed)["outbox"] == {"problem": "outbox.path: disk full"}
    assert told(feed)["live"]["count"] == 1


async def test_words_that_have_no_utf8_do_not_stop_the_stream() -> None:
    feed = made(Calls(growing=[{"call_id": "call_3", "text": "half a pair: \ud83d\n"}]))
    await feed.refresh(0.0)
    [live] = [data for topic, data in feed.since(0)[1] if topic == "live"]
    assert b"\n" not in live
    assert json.loads(live)["calls"][0]["text"] == "half a pair: \ud83d\n"
