"""From server events to the ledger: the one place that knows which event reports usage, for what, of which model.

The call and ``claimline price`` both read the decoded JSON of events through it, so that their sums agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.billing.ledger import Entry, Ledger
from service.billing.prices import PriceTable
from service.billing.usage import from_response, from_transcription

AGENT = "agent"
ASR = "asr"
RESPONSE_DONE = "response.done"
TRANSCRIPTION_COMPLETED = "conversation.item.input_audio_transcription.completed"
UNKNOWN_MODEL = "unknown"
MAX_NAME_CHARS = 64


class Meter:
    """Watches the server's events of one call and enters every usage into its ledger.

    `model` and `asr_model` hold until a ``session.created`` or ``session.updated`` names others.
    """

    def __init__(self, prices: PriceTable, model: str | None = None, asr_model: str | None = None) -> None:
        self.ledger = Ledger(prices)
        self._model = model or UNKNOWN_MODEL
        self._asr_model = asr_model or UNKNOWN_MODEL
        self._open: set[str] = set()
        self._reported: set[str] = set()

    @property
    def model(self) -> str:
        """The session's model, as far as known."""
        return self._model

    @property
    def settled(self) -> bool:
        """Whether every response that was begun is done, and has reported its usage."""
        return not self._open

    def observe(self, event: Mapping[str, Any]) -> Entry | None:
        """Take in one decoded server event; the entry it led to, or None. Never raises: events are untrusted."""
        kind = event.get("type")
        if kind == RESPONSE_DONE:
            return self._response_done(_mapping(event, "response"))
        if kind == TRANSCRIPTION_COMPLETED:
            return self._transcribed(event)
        if kind == "response.created":
            self._open.add(_name(_mapping(event, "response").get("id")))
            self._open.discard("")
        elif kind in ("session.created", "session.updated"):
            if kind == "session.created":
                # What a new session is told again, it transcribes and bills again, under the same ids.
                self._reported.clear()
            self._read_session(_mapping(event, "session"))
        return None

    def finish(self) -> None:
        """The session is over: a response that was begun and never done has not reported its usage."""
        for response_id in sorted(self._open):
            self.ledger.mark_incomplete(f"response {response_id} was never done")
        self._open.clear()

    def _read_session(self, session: Mapping[str, Any]) -> None:
        self._model = _name(session.get("model")) or self._model
        transcription = _mapping(_mapping(_mapping(session, "audio"), "input"), "transcription")
        self._asr_model = _name(transcription.get("model")) or self._asr_model

    def _response_done(self, response: Mapping[str, Any]) -> Entry | None:
        response_id = _name(response.get("id"))
        if self._seen(response_id):
            return None
        self._open.discard(response_id)
        purpose = _name(_mapping(response, "metadata").get("purpose")) or AGENT
        usage = response.get("usage")
        if not usage:
            self.ledger.mark_incomplete(f"a response for {purpose} reported no usage")
            return None
        return self.ledger.add(purpose, self._model, from_response(usage))

    def _transcribed(self, event: Mapping[str, Any]) -> Entry | None:
        if self._seen(_name(event.get("item_id"))):
            return None
        usage = event.get("usage")
        if not usage:
            self.ledger.mark_incomplete("a transcription reported no usage")
            return None
        return self.ledger.add(ASR, self._asr_model, from_transcription(usage))

    def _seen(self, key: str) -> bool:
        """Whether a response or item was entered already; a repeated event must not be billed twice."""
        if key in self._reported:
            return True
        if key:
            self._reported.add(key)
        return False


def _mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, Mapping) else {}


def _name(value: object) -> str:
    """A name fit for a label or a terminal; empty where it is none."""
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value[:MAX_NAME_CHARS] if char.isprintable()).strip()
