"""The sidecar's state: which turns are asked for, what came back, and what may be delivered now.

Pure: events in, requests and finished turns out; time comes in as `now_s`. Every spoken caller turn leaves exactly
once, in the order of the conversation, whatever happens to its request.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from service.realtime.commands import ResponseCreate
from service.realtime.events import Response
from service.transcript.order import ItemOrder
from service.transcript.request import EVENT_ID_PREFIX, PURPOSE, Context, transcript_request

Source = Literal["out_of_band", "input_transcription", "none"]


@dataclass(frozen=True, slots=True)
class Priced:
    """What a response cost: as the meter tells it."""

    model: str
    usage: dict[str, Any]
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class TranscribedTurn:
    """One spoken caller turn, ready to be written to the outbox. `reason` says why `source` is `none`."""

    turn: int
    item_id: str
    transcript: str
    source: Source
    reason: str | None
    asr_transcript: str | None
    spoken_s: float
    """When the speech began, monotonic."""
    duration_ms: int
    latency_s: float
    """From the item in the conversation to this result."""
    priced: Priced | None


@dataclass(slots=True)
class _Turn:
    item_id: str
    spoken_s: float
    duration_ms: int
    known_s: float
    pcm8k: bytes = b""
    """Its audio, kept until the transcript is here: a new session may have to hear it."""
    requested_s: float | None = None
    text: str | None = None
    failure: str | None = None
    asr_text: str | None = None
    asr_settled: bool = False
    priced: Priced | None = None

    @property
    def answered(self) -> bool:
        return self.text is not None or self.failure is not None

    @property
    def settled(self) -> bool:
        return self.answered and self.asr_settled


class Sidecar:
    """One call's transcripts."""

    def __init__(
        self, *, instructions: str, context: Context, max_output_tokens: int, timeout_s: float, asr: bool
    ) -> None:
        self._instructions = instructions
        self._context = context
        self._max_output_tokens = max_output_tokens
        self._timeout_s = timeout_s
        self._asr = asr
        self._order = ItemOrder()
        self._turns: dict[str, _Turn] = {}
        self._delivered = 0
        self._done: set[str] = set()
        self._silent: set[str] = set()
        self._deleted: set[str] = set()

    # -- what the server tells -------------------------------------------------------------------------------------

    def item_committed(
        self,
        item_id: str,
        previous_item_id: str | None,
        *,
        spoken_s: float,
        duration_ms: int,
        now_s: float,
        pcm8k: bytes = b"",
    ) -> None:
        """A turn is known; its request waits until the item may be referenced."""
        self._order.add(item_id, previous_item_id)
        if item_id not in self._turns and item_id not in self._done and item_id not in self._silent:
            self._turns[item_id] = _Turn(item_id, spoken_s, duration_ms, now_s, pcm8k, asr_settled=not self._asr)

    def item_silent(self, item_id: str) -> None:
        """The server committed this item by itself, without speech: there is nothing to transcribe."""
        self._silent.add(item_id)
        self._turns.pop(item_id, None)

    def item_added(self, item_id: str, previous_item_id: str | None, now_s: float) -> ResponseCreate | None:
        """The item is in the conversation. Gives the request for its transcript, the first time only."""
        self._order.add(item_id, previous_item_id)
        if item_id in self._done or item_id in self._silent:
            return None
        turn = self._turns.get(item_id)
        if turn is None:
            # Servers that commit without telling: how long the speech was is then unknown.
            turn = self._turns[item_id] = _Turn(item_id, now_s, 0, now_s, asr_settled=not self._asr)
        if turn.requested_s is not None:
            return None
        turn.requested_s = now_s
        return transcript_request(
            item_id,
            earlier_item_ids=self._caller_items_before(item_id),
            context=self._context,
            instructions=self._instructions,
            max_output_tokens=self._max_output_tokens,
        )

    def item_deleted(self, item_id: str) -> None:
        """The item is no longer in the conversation: no request may name it."""
        self._deleted.add(item_id)

    def hear_turns_alone(self) -> None:
        """From now on each request gives the model its own turn only."""
        self._context = "turn"

    def response_done(self, response: Response, priced: Priced | None) -> None:
        """A response of ours has ended."""
        turn = self._turns.get((response.metadata or {}).get("item_id", ""))
        if turn is None or turn.answered:
            return
        turn.priced = priced
        if response.status == "completed":
            turn.text = "".join(
                part.text for item in response.output for part in item.content if part.text is not None
            ).strip()
        else:
            details = response.status_details
            code = details.error.code if details and details.error else None
            turn.failure = code or (details.reason if details else None) or response.status or "failed"

    def request_failed(self, event_id: str, code: str) -> bool:
        """An `error` event names one of our requests. Says whether it was ours."""
        turn = self._turns.get(event_id.removeprefix(EVENT_ID_PREFIX)) if event_id.startswith(EVENT_ID_PREFIX) else None
        if turn is None or turn.answered:
            return turn is not None
        turn.failure = code
        return True

    def asr_completed(self, item_id: str, text: str | None) -> None:
        """The server's own transcription of a turn; None: it failed."""
        turn = self._turns.get(item_id)
        if turn is not None:
            turn.asr_text = text
            turn.asr_settled = True

    # -- what leaves -----------------------------------------------------------------------------------------------

    def expire(self, now_s: float) -> None:
        """Give up requests that have waited too long."""
        for turn in self._turns.values():
            if now_s - (turn.requested_s or turn.known_s) >= self._timeout_s:
                turn.asr_settled = True
                if not turn.answered:
                    turn.failure = "timeout"

    def session_lost(self, now_s: float) -> dict[str, bytes]:
        """A new session takes over: gives the audio (PCM16 8 kHz) of the turns that are asked for again.

        Each is asked for once more when its item is in the new conversation. A turn whose audio was not kept fails.
        """
        again: dict[str, bytes] = {}
        for turn in self._turns.values():
            turn.asr_settled = True
            if turn.answered:
                continue
            if not turn.pcm8k:
                turn.failure = "session_lost"
                continue
            turn.requested_s, turn.known_s = None, now_s
            again[turn.item_id] = turn.pcm8k
        return again

    def abandon(self, reason: str) -> None:
        """No more answers will come: what is open is delivered as it stands."""
        for turn in self._turns.values():
            turn.asr_settled = True
            if not turn.answered:
                turn.failure = reason

    @property
    def open_turns(self) -> int:
        """Turns not delivered yet."""
        return len(self._turns)

    def take_ready(self, now_s: float) -> list[TranscribedTurn]:
        """Finished turns whose predecessors have all been taken, in order."""
        ready: list[TranscribedTurn] = []
        if not self._turns:
            return ready  # asked every 20 ms; the order grows with the call
        for item_id in self._order:
            turn = self._turns.get(item_id)
            if turn is None:
                continue
            if not turn.settled:
                break
            del self._turns[item_id]
            self._done.add(item_id)
            self._delivered += 1
            ready.append(_result(turn, self._delivered, now_s))
        return ready

    def _caller_items_before(self, item_id: str) -> list[str]:
        before: list[str] = []
        for one in self._order:
            if one == item_id:
                break
            if (one in self._turns or one in self._done) and one not in self._deleted:
                before.append(one)
        return before


def is_ours(response: Response) -> bool:
    """Whether the sidecar asked for this response."""
    return (response.metadata or {}).get("purpose") == PURPOSE


def _result(turn: _Turn, number: int, now_s: float) -> TranscribedTurn:
    source: Source = "none"
    reason = turn.failure
    transcript = ""
    if turn.text is not None:
        source, reason, transcript = "out_of_band", None, turn.text
    elif turn.asr_text is not None:
        source, reason, transcript = "input_transcription", None, turn.asr_text
    return TranscribedTurn(
        turn=number,
        item_id=turn.item_id,
        transcript=transcript,
        source=source,
        reason=reason,
        asr_transcript=turn.asr_text,
        spoken_s=turn.spoken_s,
        duration_ms=turn.duration_ms,
        latency_s=max(0.0, now_s - turn.requested_s) if turn.requested_s is not None else 0.0,
        priced=turn.priced,
    )
