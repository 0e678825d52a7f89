"""Where the lines of a call lie in its time: what a drawing of it, and an ear at the recording, would agree on."""

from __future__ import annotations

from typing import Any

import pytest

from service.call.lines import Lines
from service.call.timeline import timed
from service.media.playout import Heard

ANSWERED_S = 100.0
TURN = {"item_id": "c1", "turn": 1, "duration_ms": 1500}


def places(
    lines: Lines, ended_s: float | None = None, turns: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    return timed(lines.in_order(), turns or [], ANSWERED_S, ended_s)


def test_an_agent_line_lies_where_it_was_played_and_not_where_its_words_came() -> None:
    lines = Lines()
    lines.agent_says("a1", "Good day.", 100.2)
    assert places(lines) == [{}], "not played yet"
    lines.agent_begins("a1", 100.5, 0.31)
    assert places(lines) == [{"offset_s": 0.5, "response_latency_s": 0.31}], "who knows how long it will be"
    lines.agent_lasts(Heard("a1", 200, 2400, complete=True))
    assert places(lines) == [{"offset_s": 0.5, "duration_s": 2.4, "response_latency_s": 0.31}]


def test_audio_may_come_before_the_words() -> None:
    lines = Lines()
    lines.agent_begins("a1", 100.5, None)
    assert places(lines) == []
    lines.agent_says("a1", "Good day.", 100.6)
    assert places(lines) == [{"offset_s": 0.5}]


def test_an_interrupted_line_ends_where_the_caller_stopped_hearing_it() -> None:
    lines = Lines()
    lines.agent_says("a1", "One two three four.", 100.0)
    lines.agent_begins("a1", 101.0, None)
    lines.agent_interrupted(Heard("a1", 1800, 4000, complete=False))
    lines.agent_lasts(Heard("a1", 1800, 4400, complete=True))
    assert places(lines) == [{"offset_s": 1.0, "duration_s": 1.8}]


def test_a_caller_line_is_as_long_as_its_turn_and_pressed_keys_take_no_time() -> None:
    lines = Lines()
    lines.caller_said("c1", "Hello.", 103.25)
    lines.caller_said("k1", "[keys pressed: 1]", 107.0)
    assert places(lines, turns=[TURN]) == [{"turn": 1, "offset_s": 3.25, "duration_s": 1.5}, {"offset_s": 7.0}]


@pytest.mark.parametrize("known", [True, False])
def test_nothing_lasts_longer_than_the_call(known: bool) -> None:
    lines = Lines()
    lines.agent_says("a1", "A long goodbye.", 104.0)
    lines.agent_begins("a1", 104.0, None)
    if known:
        lines.agent_lasts(Heard("a1", 0, 9000, complete=True))
    lines.caller_said("c1", "Bye.", 104.9)
    assert places(lines, ended_s=105.0, turns=[TURN]) == [
        {"offset_s": 4.0, "duration_s": 1.0},
        {"turn": 1, "offset_s": 4.9, "duration_s": 0.1},
    ]
