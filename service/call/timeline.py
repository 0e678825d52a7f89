"""Where the lines of a call lie in its time, for drawing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.call.lines import Line


def timed(
    lines: Sequence[Line], turns: Sequence[Mapping[str, Any]], answered_s: float, ended_s: float | None
) -> list[dict[str, Any]]:
    """For each line `offset_s` and `duration_s`, counted from the answer; what is not known is left out.

    `turns` are the data of `turn.transcribed`: a caller line that is one gets its `turn`. An agent line is there from
    its first frame on the line, with `response_latency_s` where it ended a wait, and lasts until it was heard, was
    interrupted, or the call ended; while more of it may come it has no duration.
    """
    by_item = {turn["item_id"]: turn for turn in turns}
    return [_place(line, by_item.get(line.item_id), answered_s, ended_s) for line in lines]


def _place(line: Line, turn: Mapping[str, Any] | None, answered_s: float, ended_s: float | None) -> dict[str, Any]:
    place: dict[str, Any] = {}
    if line.speaker == "caller":
        begun_s: float | None = line.at_s
        duration_s = turn["duration_ms"] / 1000 if turn is not None else None
        if turn is not None:
            place["turn"] = turn["turn"]
    else:
        begun_s = line.played_s
        duration_s = line.played_ms / 1000 if line.played_ms is not None else None
        if line.response_latency_s is not None:
            place["response_latency_s"] = round(line.response_latency_s, 3)
    if begun_s is None:
        return place
    place["offset_s"] = round(begun_s - answered_s, 3)
    if ended_s is not None:
        left_s = max(0.0, ended_s - begun_s)
        duration_s = left_s if duration_s is None and line.speaker == "agent" else duration_s
        duration_s = min(duration_s, left_s) if duration_s is not None else None
    if duration_s is not None:
        place["duration_s"] = round(duration_s, 3)
    return place
