"""What was said on the call, both sides, in the order of the conversation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, dropwhile, islice, takewhile
from typing import Any, Literal

from service.media.playout import Heard
from service.transcript.order import ItemOrder

MS_PER_CHARACTER = 60
"""Of English speech, spaces included: about 170 words a minute."""


@dataclass(slots=True)
class Line:
    """One item's words. Of an agent line that was interrupted, `text` is the part that was heard."""

    item_id: str
    speaker: Literal["agent", "caller"]
    text: str
    at_s: float
    interrupted: bool = False
    played_s: float | None = None
    """When the first frame of an agent line went out."""
    played_ms: int | None = None
    """How much of its audio there was to hear; None until that is known."""
    response_latency_s: float | None = None
    """Of the line that ended the caller's wait for an answer."""


class Lines:
    """Both sides' lines of one call."""

    def __init__(self) -> None:
        self._order = ItemOrder()
        self._lines: dict[str, Line] = {}

    def place(self, item_id: str, previous_item_id: str | None) -> None:
        """The item's place in the conversation."""
        self._order.add(item_id, previous_item_id)

    def agent_says(self, item_id: str, text: str, now_s: float) -> None:
        """More words of an agent item."""
        self._order.add(item_id, None)
        line = self._lines.setdefault(item_id, Line(item_id, "agent", "", now_s))
        if not line.interrupted:
            line.text += text

    def agent_begins(self, item_id: str, played_s: float, response_latency_s: float | None) -> None:
        """The first frame of an agent item went out, with or without words of it."""
        line = self._lines.setdefault(item_id, Line(item_id, "agent", "", played_s))
        line.played_s, line.response_latency_s = played_s, response_latency_s

    def agent_lasts(self, heard: Heard) -> None:
        """All audio of an agent item has come."""
        line = self._lines.get(heard.item_id)
        if line is not None and not line.interrupted:
            line.played_ms = heard.received_ms

    def agent_interrupted(self, heard: Heard) -> None:
        """Keep of the line what was heard: as many words as their share of the audio."""
        line = self._lines.get(heard.item_id)
        if line is None:
            return
        words = line.text.split()
        share = heard.heard_ms / heard.received_ms if heard.received_ms else 0.0
        line.text = " ".join(words[: int(len(words) * share)])
        line.interrupted = True
        line.played_ms = heard.heard_ms

    def agent_broken_off(self, item_id: str, received_ms: int) -> None:
        """No more audio will come of an agent item: keep as many words as there is room for in what came.

        Servers send the words ahead of their audio, and nobody knows how long all of them would have been.
        """
        line = self._lines.get(item_id)
        if line is None or line.speaker == "caller" or line.interrupted:
            return
        line.played_ms = received_ms
        words = line.text.split()
        ends = islice(accumulate((len(word) + 1 for word in words), initial=-1), 1, None)
        line.text = " ".join(
            word for word, end in zip(words, ends, strict=True) if end * MS_PER_CHARACTER <= received_ms
        )

    def caller_said(self, item_id: str, text: str, at_s: float) -> None:
        """A caller turn's transcript."""
        self._order.add(item_id, None)
        self._lines[item_id] = Line(item_id, "caller", text, at_s)

    def item_ids(self) -> list[str]:
        """Every item of the conversation, oldest first, those without words too."""
        return list(self._order)

    def find(self, item_id: str) -> Line | None:
        """The words of an item, if there are any."""
        line = self._lines.get(item_id)
        return line if line is not None and line.text else None

    def answer_to(self, item_id: str) -> str:
        """The agent's words behind this item, up to the caller's next that is written down."""
        behind = dropwhile(lambda one: one != item_id, self._order)
        lines = (line for one in islice(behind, 1, None) if (line := self._lines.get(one)) is not None)
        return " ".join(line.text for line in takewhile(lambda line: line.speaker == "agent", lines))

    def in_order(self) -> list[Line]:
        """All lines, oldest first; an agent item of which nothing was heard is none."""
        placed = list(self._order)
        known = set(placed)
        placed += [item_id for item_id in self._lines if item_id not in known]
        lines = [self._lines[one] for one in placed if one in self._lines]
        return [line for line in lines if line.text or line.speaker == "caller"]


def as_json(lines: list[Line], rfc3339: Callable[[float], str], redact: Callable[[str], str]) -> list[dict[str, Any]]:
    """Lines for a webhook or the HTTP API, `redact` applied to what was said.

    `rfc3339` turns monotonic seconds into a wall-clock string.
    """
    return [
        {
            "speaker": line.speaker,
            "text": redact(line.text),
            "at": rfc3339(line.at_s),
            **({"interrupted": True} if line.interrupted else {}),
        }
        for line in lines
    ]
