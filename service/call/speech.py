"""The caller's speech as the server's turn detection sees it: begun, stopped, committed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Where in the session's audio a turn lies, milliseconds."""

    start_ms: int
    end_ms: int | None = None

    @property
    def duration_ms(self) -> int:
        """0 while the end is unknown."""
        return max(0, self.end_ms - self.start_ms) if self.end_ms is not None else 0


SENT_AGAIN = ""
"""Stands for a turn whose audio was sent to a new session, until that session announces it."""


class CallerSpeech:
    """Spans of the turns that are not committed yet."""

    def __init__(self) -> None:
        self._spans: dict[str, Span] = {}

    def started(self, item_id: str, audio_start_ms: int) -> None:
        """The caller begins to speak."""
        self._spans.pop(SENT_AGAIN, None)
        self._spans[item_id] = Span(audio_start_ms)

    def stopped(self, item_id: str, audio_end_ms: int) -> None:
        """The caller has stopped, hang-over included."""
        span = self._spans.get(item_id, Span(audio_end_ms))
        self._spans[item_id] = Span(span.start_ms, audio_end_ms)

    def committed(self, item_id: str, sent_ms: int) -> Span | None:
        """The turn is an item now; None where no speech was announced for it."""
        span = self._spans.pop(item_id, None)
        if span is None and len(self._spans) == 1:
            # A commit of ours during speech may get another id than the one announced.
            _, span = self._spans.popitem()
        return span if span is None or span.end_ms is not None else Span(span.start_ms, sent_ms)

    def lost(self) -> int | None:
        """The session is gone: where the audio begins that no item holds yet; None in silence."""
        starts = [span.start_ms for span in self._spans.values()]
        self._spans.clear()
        return min(starts) if starts else None

    def sent_again(self) -> None:
        """A new session has been given the turn from its beginning."""
        self._spans[SENT_AGAIN] = Span(0)

    def open_ms(self, sent_ms: int) -> int:
        """Audio of the turn that is being spoken; 0 in silence."""
        starts = [span.start_ms for span in self._spans.values() if span.end_ms is None]
        return max(0, sent_ms - min(starts)) if starts else 0
