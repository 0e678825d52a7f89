"""Models without a price, each to be warned of once."""

from __future__ import annotations

MAX_MODELS = 64
"""Names come from the server: beyond so many nobody is warned any more, and the metric still counts."""


class Unpriced:
    """What a worker has met so far."""

    def __init__(self) -> None:
        self._models: set[str] = set()

    def is_new(self, model: str) -> bool:
        """Whether to warn of it: the first time only."""
        if model in self._models or len(self._models) >= MAX_MODELS:
            return False
        self._models.add(model)
        return True
