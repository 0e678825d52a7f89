"""Between conversation and dialogue: what the dialogue has yet to answer, and how much of its last answer was heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

from service.engine.conversation import FunctionCallOutput, Item, Message
from service.engine.ports import Dialogue, Reply, Role
from service.engine.utterance import Utterance, sentences
from service.prompts import RECORDED


@dataclass(frozen=True, slots=True)
class Stimulus:
    """Something to react to: an item of audio or text, a silence, or a function's answer."""

    kind: Literal["audio", "text", "silence", "output"]
    item_id: str
    text: str = ""
    """What was written, or put out by a function."""
    function: str = ""


def stimuli(items: Sequence[Item]) -> list[Stimulus]:
    """What in these items calls for an answer."""
    found: list[Stimulus] = []
    for item in items:
        if isinstance(item, FunctionCallOutput):
            found.append(Stimulus("output", item.id, item.output, item.function))
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

    def answered_by_client(self, open_ids: Set[str]) -> None:
        """An answer was put in: what the caller wrote before it belongs to a conversation held earlier.

        `open_ids` are the items behind it, which still want an answer.
        """
        for stimulus in self._unanswered:
            if stimulus.kind == "text" and stimulus.item_id not in open_ids:
                self._dialogue.hear(stimulus.text)
        self._unanswered = [stimulus for stimulus in self._unanswered if stimulus.item_id in open_ids]
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
        self, to: Sequence[Stimulus], spoken: Sequence[str], instructions: str, functions: Set[str]
    ) -> tuple[Reply, Utterance] | None:
        """The dialogue's reply and how it is to be said; None where there is nothing to reply to.

        `spoken` are the words of the audio and text among `to`, `functions` those it can call. Of the `instructions`
        the dialogue heeds one sentence, `service.prompts.RECORDED`.
        """
        if self._last is not None and self._last.cut_off:
            self._dialogue.interrupted(self._last.heard_text())
            self._last = None
        self._unanswered = [stimulus for stimulus in self._unanswered if stimulus not in to]
        greeted, self._greeted = self._greeted, True
        self._dialogue.may_call(functions)
        reply = self._reply(to, spoken, recorded=RECORDED in instructions, greeted=greeted)
        if reply is None:
            return None
        self._last = Utterance(sentences(reply.text))
        return reply, self._last

    def arguments(self, function: str, text: str) -> Mapping[str, Any]:
        """What a function is to be called with beside the conversation."""
        return self._dialogue.arguments(function, text)

    def summary(self, said: Sequence[tuple[Role, str]]) -> str:
        """What was said, in few words."""
        return self._dialogue.summary(said)

    def _reply(self, to: Sequence[Stimulus], spoken: Sequence[str], *, recorded: bool, greeted: bool) -> Reply | None:
        outputs = [stimulus for stimulus in to if stimulus.kind == "output"]
        replies = [self._dialogue.answered(output.function, output.text) for output in outputs]
        said = [reply for reply in replies if reply is not None]
        heard = any(stimulus.kind in {"audio", "text"} for stimulus in to)
        # Words that came with the output of a function were said before it was known.
        if said and (said[-1].tool is not None or not heard):
            return said[-1]
        if heard:
            return self._dialogue.hear(" ".join(text for text in spoken if text))
        if outputs:
            return None
        return self._dialogue.silence() if greeted else self._dialogue.greet(recorded=recorded)
