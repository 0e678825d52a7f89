"""The order of a conversation's items, as the server tells it by `previous_item_id`."""

from __future__ import annotations

from collections.abc import Iterator


class ItemOrder:
    """A list that takes each item once, behind the one it names."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def add(self, item_id: str, previous_item_id: str | None) -> None:
        """Insert behind `previous_item_id`; at the end where that is unknown or null."""
        if item_id in self._ids:
            return
        try:
            at = self._ids.index(previous_item_id) + 1 if previous_item_id else len(self._ids)
        except ValueError:
            at = len(self._ids)
        self._ids.insert(at, item_id)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._ids))
