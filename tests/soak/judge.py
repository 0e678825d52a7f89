"""What was said against what was delivered: turns missing, twice, out of order, incomplete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.soak.codewords import Heard, length_ms, parsed
from tests.soak.scripts import Turn


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one call."""

    spoken: int
    missing: tuple[str, ...]
    twice: tuple[str, ...]
    strange: tuple[str, ...]
    """Delivered, but never said like this."""
    in_order: bool
    numbered: bool
    """Turn numbers and `seq` have no holes, and the frame of `call.started` and `call.ended` is right."""
    not_out_of_band: int
    length_off_ms: int
    """The most by which a turn's speech was longer (or shorter: negative) than it was spoken."""
    length_off_turn: str
    """That one."""
    result: str | None


def judged(said: Sequence[Turn], messages: Sequence[dict[str, Any]]) -> Verdict:
    """`messages` are a call's webhook bodies in the order in which they arrived."""
    turns = [message["data"] for message in messages if message["type"] == "turn.transcribed"]
    heard = [parsed(turn["transcript"]) for turn in turns]
    wanted = [turn.digits for turn in said]
    known = [one for one in heard if one.digits in wanted]
    counted = Counter(one.digits for one in known)
    places = [wanted.index(one.digits) for one in known]
    furthest = max(known, key=lambda one: abs(_off_ms(one)), default=None)
    ended = messages[-1]["data"] if messages and messages[-1]["type"] == "call.ended" else {}
    return Verdict(
        spoken=len(wanted),
        missing=tuple(digits for digits in wanted if not counted[digits]),
        twice=tuple(digits for digits in wanted if counted[digits] > 1),
        strange=tuple(str(one) for one in heard if one.digits not in wanted),
        in_order=places == sorted(places),
        numbered=(
            [message["data"]["seq"] for message in messages] == list(range(1, len(messages) + 1))
            and [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
            and bool(messages)
            and messages[0]["type"] == "call.started"
            and ended.get("turns") == len(turns)
        ),
        not_out_of_band=sum(turn["source"] != "out_of_band" for turn in turns),
        length_off_ms=_off_ms(furthest) if furthest else 0,
        length_off_turn=furthest.digits if furthest else "",
        result=ended.get("result"),
    )


def _off_ms(heard: Heard) -> int:
    return heard.length_ms - length_ms(heard.digits)
