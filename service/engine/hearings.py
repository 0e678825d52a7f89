"""What was recognised of each piece of audio: begun once, early where a pause allows, kept for whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from service.engine.effects import Abandon, Effect, Recognize
from service.engine.rates import Pcm16
from service.engine.recognition import Token, Transcript

MAX_PENDING = 64
"""Recognitions open at once in a session; beyond it a piece of audio counts as failed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The result for an item; `text` is None where recognition failed."""

    text: str | None
    tokens: tuple[Token, ...] = ()


class Hearings:
    """Recognition by item id."""

    def __init__(self) -> None:
        self._pending: dict[str, str] = {}
        self._heard: dict[str, Heard] = {}
        self._attempts = count(1)

    def begin(self, item_id: str, pcm: Pcm16) -> list[Effect]:
        """Recognise the audio of an item, unless that is under way or done."""
        if item_id in self._heard or item_id in self._pending.values():
            return []
        if len(self._pending) >= MAX_PENDING:
            self._heard[item_id] = Heard(None)
            return []
        key = f"{item_id}/{next(self._attempts)}"
        self._pending[key] = item_id
        return [Recognize(key, pcm)]

    def forget(self, item_id: str) -> list[Effect]:
        """Void what is under way or known of an item."""
        self._heard.pop(item_id, None)
        keys = [key for key, item in self._pending.items() if item == item_id]
        for key in keys:
            del self._pending[key]
        return [Abandon(key) for key in keys]

    def note(self, item_id: str, text: str) -> None:
        """What an item says is known without listening."""
        self._heard[item_id] = Heard(text)

    def settle(self, key: str, transcript: Transcript | None) -> str | None:
        """A recognition has ended. Returns its item, or None where it was voided before."""
        item_id = self._pending.pop(key, None)
        if item_id is not None:
            self._heard[item_id] = Heard(None) if transcript is None else Heard(transcript.text, transcript.tokens)
        return item_id

    def result(self, item_id: str) -> Heard | None:
        """None while it is not known."""
        return self._heard.get(item_id)
