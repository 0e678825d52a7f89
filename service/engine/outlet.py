"""Where the parts of a session put what they want done, in one order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.engine.effects import Effect, Send
from service.engine.refusal import Refusal
from service.engine.response_stream import NewId


class Outlet:
    """Gathers effects until the shell takes them."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._effects: list[Effect] = []

    def emit(self, event_type: str, **fields: Any) -> None:
        """A server event under an id of its own."""
        self._effects.append(Send({"type": event_type, "event_id": self._new_id("event"), **fields}))

    def refuse(self, refusal: Refusal, event_id: str | None) -> None:
        """An `error` event; `event_id` is the client's."""
        error = {
            "type": "invalid_request_error",
            "code": refusal.code,
            "message": refusal.message,
            "param": refusal.param,
            "event_id": event_id,
        }
        self.emit("error", error=error)

    def add(self, effects: Iterable[Effect]) -> None:
        """More to be done."""
        self._effects.extend(effects)

    def take(self) -> list[Effect]:
        """All that has gathered."""
        effects, self._effects = self._effects, []
        return effects
