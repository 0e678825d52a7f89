"""What is still to be said for a call whose worker is gone: a message for each open turn, and `call.ended`. Pure.

The words are the call's own, noted while it lived: its will is `{"turns": [data of turn.transcribed, ...], "ended":
data of call.ended}`, and every message of the call that is on disk came with the will that was right behind it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.clock import rfc3339
from service.outbox.message import INLINE_TRANSCRIPT_BYTES, LeftCall, encode_data

TURN, ENDED = "turn.transcribed", "call.ended"


def last_words(call: LeftCall, now_s: float) -> list[tuple[str, bytes]]:
    """Type and data of each message, in order. `now_s`: Unix time, the end of a call that noted none.

    Nothing is owed where `call.started` was never written, or `call.ended` was.
    """
    begun = bool(call.messages) or call.will is not None
    if not begun or any(type_ == ENDED for type_, _ in call.messages):
        return []
    told = [json.loads(data) for type_, data in call.messages if type_ == TURN]
    will = json.loads(call.will) if call.will is not None else {}
    turns: list[dict[str, Any]] = will.get("turns", [])
    ended: dict[str, Any] = will.get("ended") or _unknown(len(told), now_s)
    lines = [_line(turn) for turn in (*told, *turns)]
    large = len(encode_data({**ended, "transcript": lines})) > INLINE_TRANSCRIPT_BYTES
    ended["transcript"] = None if large else lines
    return [*((TURN, encode_data(turn)) for turn in turns), (ENDED, encode_data(ended))]


def _line(turn: Mapping[str, Any]) -> dict[str, Any]:
    return {"speaker": "caller", "text": turn["transcript"], "at": turn["spoken_at"]}


def _unknown(turns: int, now_s: float) -> dict[str, Any]:
    """`call.ended` of a call that left no will: written by a claimline that knew of none."""
    return {
        "ended_at": rfc3339(now_s),
        "duration_s": 0.0,
        "result": "server_error",
        "reason": "interrupted",
        "turns": turns,
        "usage": None,
        "cost_usd": None,
        "cost": {},
        "cost_complete": False,
        "quality": None,
    }
