"""A long conversation made short: its older items give way to a summary. No clock, no socket.

When the agent's last response was given more tokens than the limit, a summary of all but the last turns is asked for
out of band, in a pause, while no transcript is owed. Once it is in the conversation the items that it stands for are
deleted. Until then nothing has changed: a summary that fails, or that the server does not take, leaves everything as it
was. What was said stays in the call's lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.call.lines import Lines
from service.call.summary import summary_item, summary_request
from service.realtime.commands import ItemCreate, ResponseCreate
from service.realtime.events import Item, Response
from service.transcript.order import ItemOrder

TURNS_KEPT = 4
"""Caller turns that stay as they are, with all that came behind them."""
TURNS_REPLACED = 4
"""Fewer older ones are not worth a summary: each costs a response, and the cache of the whole prompt."""
TIMEOUT_S = 30.0
RETRY_S = 60.0
"""After a summary that failed."""
MAX_SUMMARY_CHARS = 8000


@dataclass(slots=True)
class _Attempt:
    """A summary on its way; it stands for `item_ids`."""

    item_id: str
    item_ids: tuple[str, ...]
    since_s: float
    text: str | None = None


class Editing:
    """What is to be shortened in one call's conversation, over all its sessions."""

    def __init__(self, above_tokens: int | None) -> None:
        self._above_tokens = above_tokens
        self._order = ItemOrder()
        self._items: dict[str, Item] = {}
        """What this session's conversation holds, summaries of ours left out."""
        self._input_tokens = 0
        self._attempts = 0
        self._attempt: _Attempt | None = None
        self._not_before_s = float("-inf")
        self._summary: tuple[str, str] | None = None
        """Item id and text of the one in force."""
        self._replaced: set[str] = set()

    # -- what the server tells -------------------------------------------------------------------------------------

    def item_added(self, item: Item, previous_item_id: str | None) -> tuple[str, ...]:
        """An item is in the conversation. Where it is the summary, gives what it stands for: that is to be deleted."""
        attempt = self._attempt
        if attempt is not None and attempt.text is not None and item.id == attempt.item_id:
            return self._placed(attempt, attempt.text)
        if self._summary is None or item.id != self._summary[0]:
            self._order.add(item.id, previous_item_id)
            self._items[item.id] = item
        return ()

    def item_deleted(self, item_id: str) -> None:
        """An item is gone, whoever deleted it."""
        self._items.pop(item_id, None)

    def responded(self, usage: Mapping[str, Any] | None) -> None:
        """A response of the agent has ended; `usage` is the server's."""
        tokens = (usage or {}).get("input_tokens")
        if isinstance(tokens, int):
            self._input_tokens = tokens

    def summarized(self, response: Response, now_s: float) -> ItemCreate | None:
        """A response for us has ended. Gives the item that puts the summary at the head of the conversation."""
        attempt = self._attempt
        if attempt is None or attempt.text is not None or response.tag("item_id") != attempt.item_id:
            return None
        if response.status != "completed" or not response.text:
            self._give_up(now_s)
            return None
        attempt.text = response.text[:MAX_SUMMARY_CHARS]
        return summary_item(attempt.item_id, attempt.text, at_the_head=True)

    def refused(self, event_id: str, now_s: float) -> None:
        """An `error` event names a client event, of ours or not."""
        if self._attempt is not None and event_id == self._attempt.item_id:
            self._give_up(now_s)

    def expire(self, now_s: float) -> None:
        """Give up a summary that has not come."""
        if self._attempt is not None and now_s - self._attempt.since_s >= TIMEOUT_S:
            self._give_up(now_s)

    def abandon(self) -> None:
        """The call is ending: nothing is to be changed any more."""
        self._attempt = None

    def session_lost(self) -> None:
        """Another session takes over, and is told what `told_first` and the lines say."""
        self._attempt = None
        self._input_tokens = 0
        self._order = ItemOrder()
        self._items.clear()

    # -- what is to be done ----------------------------------------------------------------------------------------

    @property
    def long(self) -> bool:
        """Whether the agent's last response was given too much."""
        return self._above_tokens is not None and self._input_tokens > self._above_tokens

    @property
    def awaiting(self) -> bool:
        """Whether a summary is on its way."""
        return self._attempt is not None

    def request(self, lines: Lines, now_s: float) -> ResponseCreate | None:
        """The request for a summary, in a pause in which no transcript is owed; None where there is nothing to do."""
        if not self.long or self.awaiting or now_s < self._not_before_s:
            return None
        old = self._old(lines)
        if not old:
            self._input_tokens = 0  # until the next response
            return None
        self._attempts += 1
        self._attempt = _Attempt(f"summary_{self._attempts}", old, now_s)
        said = [f"{line.speaker.capitalize()}: {line.text}" for one in old if (line := lines.find(one)) is not None]
        if self._summary is not None:
            said.insert(0, f"Notes on what came before: {self._summary[1]}")
        return summary_request(self._attempt.item_id, said)

    def told_first(self) -> ItemCreate | None:
        """For a new session: the summary in force, which stands for the lines that were `replaced`."""
        return None if self._summary is None else summary_item(*self._summary, at_the_head=False)

    def replaced(self, item_id: str) -> bool:
        """Whether a summary stands for this item."""
        return item_id in self._replaced

    # -- inside ----------------------------------------------------------------------------------------------------

    def _old(self, lines: Lines) -> tuple[str, ...]:
        """What a summary may stand for: all before the last turns, but for what the summary could not be told."""
        present = [item_id for item_id in self._order if item_id in self._items]
        turns = [
            place
            for place, item_id in enumerate(present)
            if self._items[item_id].role == "user" and lines.find(item_id) is not None
        ]
        if len(turns) < TURNS_KEPT + TURNS_REPLACED:
            return ()
        old = present[: turns[-TURNS_KEPT]]
        items = [self._items[item_id] for item_id in old]
        answered = {item.call_id for item in items if item.type == "function_call_output"}
        return tuple(
            item.id
            for item in items
            # A tool's output cannot stand in a conversation without its call.
            if not (item.type == "function_call" and item.call_id not in answered)
            and not (item.role == "user" and lines.find(item.id) is None)
        )

    def _placed(self, attempt: _Attempt, text: str) -> tuple[str, ...]:
        before = (self._summary[0],) if self._summary is not None else ()
        # One may have gone meanwhile: the server refuses to delete what it does not have.
        gone = tuple(item_id for item_id in attempt.item_ids if self._items.pop(item_id, None) is not None)
        self._replaced.update(attempt.item_ids)
        self._summary = (attempt.item_id, text)
        self._attempt = None
        self._input_tokens = 0
        return (*before, *gone)

    def _give_up(self, now_s: float) -> None:
        self._attempt = None
        self._not_before_s = now_s + RETRY_S
