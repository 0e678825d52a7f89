"""One spoken caller turn on its way to its transcript: what was asked for it, and what came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from service.realtime.events import Response
from service.transcript.difference import Difference, difference
from service.transcript.doubt import Doubt, Suspicion

Source = Literal["out_of_band", "input_transcription", "none"]

RETRIES = 1
RETRY_AFTER_S = 1.0
"""Behind a response that failed: mostly a rate limit, which an immediate second try would meet as well."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a response cost: as the meter tells it."""

    model: str
    usage: dict[str, Any]
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class TranscribedTurn:
    """One spoken caller turn, ready to be written to the outbox.

    `reason` says why there is no out-of-band transcript, wherever `source` is another.
    """

    turn: int
    item_id: str
    transcript: str
    source: Source
    reason: str | None
    suspect: Suspicion | None
    """Why an out-of-band transcript can hardly be one."""
    asr_transcript: str | None
    asr_confidence: float | None
    """Of the server's own transcription, 0 to 1, where the server tells."""
    asr_difference: Difference | None
    """Between the two, where there are two."""
    spoken_s: float
    """When the speech began, monotonic."""
    duration_ms: int
    latency_s: float
    """From the item in the conversation to this result."""
    priced: Priced | None


@dataclass(slots=True)
class Turn:
    """The state of one turn. Times are monotonic seconds.

    It is known, then due to be asked for (`due_s`), asked for (`asked_s`), perhaps due again, and at last answered.
    """

    item_id: str
    spoken_s: float
    duration_ms: int
    known_s: float
    pcm8k: bytes = b""
    """Its audio, kept until the transcript is here: a new session may have to hear it."""
    added_s: float | None = None
    """When its item was first in a conversation."""
    due_s: float | None = None
    asked_s: float | None = None
    """None while no try is open."""
    event_id: str = ""
    """Of the latest try."""
    tries: int = 0
    failures: int = 0
    text: str | None = None
    failure: str | None = None
    asr_text: str | None = None
    asr_confidence: float | None = None
    asr_settled: bool = False
    priced: Priced | None = None

    @property
    def answered(self) -> bool:
        """Whether nothing more is asked for."""
        return self.text is not None or self.failure is not None

    @property
    def settled(self) -> bool:
        """Whether it may leave."""
        return self.answered and self.asr_settled

    def due(self, now_s: float) -> bool:
        """Whether it is to be asked for now."""
        return self.due_s is not None and now_s >= self.due_s and not self.answered

    def asked(self, event_id: str, now_s: float) -> None:
        """A request for it goes out; `tries` counts it already."""
        self.due_s, self.asked_s, self.event_id = None, now_s, event_id

    def heard(self, response: Response, priced: Priced | None) -> None:
        """A response has its text, whichever try it belongs to."""
        self.text, self.priced, self.failure = response.text, priced, None
        self._closed()

    def failed(self, why: str, again_s: float | None) -> None:
        """The open try has come to nothing. `again_s`: when another may be made; None: another would not help."""
        self._closed()
        self.failures += 1
        if again_s is None or self.failures > RETRIES:
            self.failure = why
        else:
            self.due_s = again_s

    def given_up(self, why: str) -> None:
        """No answer will come."""
        self._closed()
        if not self.answered:
            self.failure = why

    def expire(self, now_s: float, timeout_s: float) -> None:
        """Give up what has waited for `timeout_s`. A turn that waits for its place in the queue does not expire."""
        if now_s - (self.known_s if self.added_s is None else self.added_s) >= timeout_s:
            self.asr_settled = True
        if self.asked_s is not None:
            if now_s - self.asked_s >= timeout_s:
                self.failed("timeout", now_s)
        elif self.due_s is None and not self.answered and now_s - self.known_s >= timeout_s:
            self.failure = "timeout"

    def session_lost(self, now_s: float) -> bool:
        """Its session is gone. Says whether its audio is wanted by the next one, in which it is asked for again."""
        self._closed()
        self.asr_settled = True
        if not self.answered and not self.pcm8k:
            self.failure = "session_lost"
        self.known_s = now_s
        return not self.answered

    def as_it_stands(self, reason: str) -> Turn:
        """The turn as if nothing more came, which would be for `reason`."""
        return self if self.answered else replace(self, failure=reason)

    def _closed(self) -> None:
        self.due_s = self.asked_s = None

    def result(self, number: int, doubt: Doubt, answer: str, now_s: float) -> TranscribedTurn:
        """What leaves, as turn `number` of the call. `answer`: the agent's words behind it, as far as there are any."""
        source: Source = "none"
        transcript = ""
        suspect: Suspicion | None = None
        differs: Difference | None = None
        if self.text is not None:
            source, transcript = "out_of_band", self.text
            suspect = doubt.about(self.text, duration_ms=self.duration_ms, second_opinion=self.asr_text, answer=answer)
            differs = difference(self.text, self.asr_text) if self.asr_text is not None else None
        elif self.asr_text is not None:
            source, transcript = "input_transcription", self.asr_text
        return TranscribedTurn(
            turn=number,
            item_id=self.item_id,
            transcript=transcript,
            source=source,
            reason=self.failure,
            suspect=suspect,
            asr_transcript=self.asr_text,
            asr_confidence=self.asr_confidence,
            asr_difference=differs,
            spoken_s=self.spoken_s,
            duration_ms=self.duration_ms,
            latency_s=max(0.0, now_s - self.added_s) if self.added_s is not None else 0.0,
            priced=self.priced,
        )
