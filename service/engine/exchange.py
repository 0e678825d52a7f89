"""Between conversation and dialogue: what the dialogue has yet to answer, and how much of its last answer was heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.engine.conversation import FunctionCallOutput, Item, Message
from service.engine.ports import Dialogue, Reply
from service.engine.utterance import Utterance, sentences
from service.prompts import RECORDED


@dataclass(frozen=True, slots=True)
class Stimulus:
    """Something to react to: an item of audio or text, a silence, or a function's answer."""

    kind: Literal["audio", "text", "silence", "output"]
    item_id: str
    text: str = ""


def stimuli(items: Sequence[Item]) -> list[Stimulus]:
    """What in these items calls for an answer."""
    found: list[Stimulus] = []
    for item in items:
        if isinstance(item, FunctionCallOutput):
            found.append(Stimulus("output", item.id))
        elif isinstance(item, Message) and item.role == "user":
            if item.audio is not None:
                found.append(Stimulus("audio", item.id))
            elif item.text:
                found.append(Stimulus("text", item.id, item.text))
    return found


def after_last_answer(items: Sequence[Item]) -> Sequence[Item]:
    """The items behind the assistant's last message."""
    for position in range(len(items) - 1, -1, -1):
        item = items[position]
        if isinstance(item, Message) and item.role == "assistant":
            return items[position + 1 :]
    return items


class Exchange:
    """The dialogue's side of one session."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._unanswered: list[Stimulus] = []
        self._last: Utterance | None = None
        self._greeted = False

    @property
    def unanswered(self) -> tuple[Stimulus, ...]:
        """What came since the dialogue last answered, oldest first."""
        return tuple(self._unanswered)

    def put(self, *arrived: Stimulus) -> None:
        """Something to be answered by the next response."""
        self._unanswered.extend(arrived)

    def answered_by_client(self) -> None:
        """An answer was put in: what the caller wrote before it belongs to a conversation held earlier."""
        for stimulus in self._unanswered:
            if stimulus.kind == "text":
                self._dialogue.hear(stimulus.text)
        self._unanswered.clear()
        self._greeted = True

    def deleted(self, item_id: str) -> None:
        """An item is gone: it needs no answer, or was not heard."""
        self._unanswered = [stimulus for stimulus in self._unanswered if stimulus.item_id != item_id]
        self.heard_only(item_id, 0)

    def heard_only(self, item_id: str, heard_ms: int) -> None:
        """The caller heard no more than this of an answer."""
        if self._last is not None and self._last.item_id == item_id:
            self._last.heard_ms, self._last.cut_off = heard_ms, True

    def answer(
        self, to: Sequence[Stimulus], spoken: Sequence[str], instructions: str
    ) -> tuple[Reply, Utterance] | None:
        """The dialogue's reply and how it is to be said; None where there is nothing to reply to.

        `spoken` are the words of the audio and text among `to`. Of the `instructions` the dialogue heeds one sentence,
        `service.prompts.RECORDED`.
        """
        if self._last is not None and self._last.cut_off:
            self._dialogue.interrupted(self._last.heard_text())
            self._last = None
        self._unanswered = [stimulus for stimulus in self._unanswered if stimulus not in to]
        greeted, self._greeted = self._greeted, True
        if any(stimulus.kind in {"audio", "text"} for stimulus in to):
            reply = self._dialogue.hear(" ".join(text for text in spoken if text))
        elif any(stimulus.kind == "output" for stimulus in to):
            return None
        else:
            recorded = RECORDED in instructions
            reply = self._dialogue.silence() if greeted else self._dialogue.greet(recorded=recorded)
        self._last = Utterance(sentences(reply.text))
        return reply, self._last
