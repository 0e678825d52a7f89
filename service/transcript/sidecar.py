"""The sidecar's state: which turns are asked for, what came back, and what may be delivered now.

Pure: events in, requests and finished turns out; time comes in as `now_s`. Every spoken caller turn leaves exactly
once, in the order of the conversation, whatever happens to its request. For each turn one request is open at a time,
and for all of them at most `max_open`; one that failed or was not answered in time is made once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.realtime.commands import ResponseCreate
from service.realtime.events import Response
from service.transcript.confidence import mean_probability
from service.transcript.doubt import Doubt
from service.transcript.order import ItemOrder
from service.transcript.refusals import Refusals
from service.transcript.request import PURPOSE, Context, suited, transcript_request
from service.transcript.turn import RETRY_AFTER_S, Priced, TranscribedTurn, Turn

__all__ = ["Priced", "Sidecar", "TranscribedTurn", "is_ours"]

WORTH_A_RETRY = frozenset({"failed", "cancelled"})
"""A response that is `incomplete` would be so again."""


class Sidecar:
    """One call's transcripts."""

    def __init__(
        self,
        *,
        instructions: str,
        context: Context,
        max_output_tokens: int,
        max_open: int,
        timeout_s: float,
        asr: bool,
    ) -> None:
        self._instructions = instructions
        self._context = context
        self._max_output_tokens = max_output_tokens
        self._max_open = max_open
        self._timeout_s = timeout_s
        self._asr = asr
        self._doubt = Doubt(suited(instructions, context))
        self._refusals = Refusals()
        self._order = ItemOrder()
        self._present: set[str] = set()
        """Items that this session's conversation holds: only they may be referenced."""
        self._turns: dict[str, Turn] = {}
        self._done: set[str] = set()
        self._silent: set[str] = set()

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
            self._turns[item_id] = Turn(item_id, spoken_s, duration_ms, now_s, pcm8k, asr_settled=not self._asr)

    def item_silent(self, item_id: str) -> None:
        """The server committed this item by itself, without speech: there is nothing to transcribe."""
        self._silent.add(item_id)
        self._turns.pop(item_id, None)

    def item_placed(self, item_id: str, previous_item_id: str | None) -> None:
        """An item of anybody's is in the conversation."""
        self._order.add(item_id, previous_item_id)
        self._present.add(item_id)

    def item_deleted(self, item_id: str) -> None:
        """An item is in the conversation no more, or soon: no request may name it."""
        self._present.discard(item_id)

    def hear_turns_alone(self) -> None:
        """From now on each request gives the model its own turn only."""
        self._context = "turn"

    def item_added(self, item_id: str, previous_item_id: str | None, now_s: float) -> None:
        """The item of a turn is in the conversation: from now on it is asked for."""
        self.item_placed(item_id, previous_item_id)
        if item_id in self._done or item_id in self._silent:
            return
        turn = self._turns.get(item_id)
        if turn is None:
            # Servers that commit without telling: how long the speech was is then unknown.
            turn = self._turns[item_id] = Turn(item_id, now_s, 0, now_s, asr_settled=not self._asr)
        if turn.added_s is None:
            turn.added_s = now_s
        if turn.asked_s is None and turn.due_s is None:
            turn.due_s = now_s

    def response_done(self, response: Response, priced: Priced | None, now_s: float) -> None:
        """A response of ours has ended. The first that is completed counts, of whichever try."""
        turn = self._turns.get(response.tag("item_id"))
        attempt = (response.metadata or {}).get("attempt", "1")
        if response.status == "completed":
            self._refusals.answered()
            if turn is not None and turn.text is None:
                turn.heard(response, priced)
        elif turn is not None and turn.asked_s is not None and attempt == str(turn.tries):
            turn.priced = priced or turn.priced
            details = response.status_details
            code = details.error.code if details and details.error else None
            why = code or (details.reason if details else None) or response.status or "failed"
            turn.failed(why, now_s + RETRY_AFTER_S if response.status in WORTH_A_RETRY else None)

    def request_failed(self, event_id: str, code: str) -> bool:
        """An `error` event names one of our requests: it is refused. Says whether it was ours."""
        turn = next((one for one in self._turns.values() if event_id and one.event_id == event_id), None)
        if turn is None:
            return False
        if turn.asked_s is not None:
            self._refusals.refused(code)
            turn.failed(code, again_s=None)
        return True

    def asr_completed(self, item_id: str, text: str | None, logprobs: Any = None) -> None:
        """The server's own transcription of a turn, with the event's `logprobs`; None: it failed."""
        turn = self._turns.get(item_id)
        if turn is not None:
            turn.asr_settled = True
            if text is not None:
                turn.asr_text, turn.asr_confidence = text, mean_probability(logprobs)

    # -- what leaves -----------------------------------------------------------------------------------------------

    def take_requests(self, now_s: float) -> list[ResponseCreate]:
        """Requests that are to be sent now, in the order of the conversation."""
        if not any(turn.due(now_s) for turn in self._turns.values()):
            return []  # asked every 20 ms; the order grows with the call
        due = [turn for item_id in self._order if (turn := self._turns.get(item_id)) is not None and turn.due(now_s)]
        refused = self._refusals.for_good
        if refused is not None:
            for turn in due:
                turn.given_up(refused)
            return []
        free = self._max_open - sum(turn.asked_s is not None for turn in self._turns.values())
        return [self._request(turn, now_s) for turn in due[: max(0, free)]]

    def expire(self, now_s: float) -> None:
        """Give up requests that have waited too long; they may be made once more."""
        for turn in self._turns.values():
            turn.expire(now_s, self._timeout_s)

    def session_lost(self, now_s: float) -> dict[str, bytes]:
        """A new session takes over: gives the audio (PCM16 8 kHz) of the turns that are asked for again.

        Each is asked for once more when its item is in the new conversation. A turn whose audio was not kept fails.
        """
        self._present.clear()
        return {turn.item_id: turn.pcm8k for turn in self._turns.values() if turn.session_lost(now_s)}

    def abandon(self, reason: str) -> None:
        """No more answers will come: what is open is delivered as it stands."""
        for turn in self._turns.values():
            turn.asr_settled = True
            turn.given_up(reason)

    @property
    def open_turns(self) -> int:
        """Turns not delivered yet."""
        return len(self._turns)

    def take_ready(self, now_s: float, answer_to: Callable[[str], str] = lambda _item_id: "") -> list[TranscribedTurn]:
        """Finished turns whose predecessors have all been taken, in order.

        `answer_to` gives what the agent said to a turn, as far as it has.
        """
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
            ready.append(turn.result(len(self._done), self._doubt, answer_to(item_id), now_s))
        return ready

    def as_they_stand(
        self, reason: str, now_s: float, answer_to: Callable[[str], str] = lambda _item_id: ""
    ) -> list[TranscribedTurn]:
        """Open turns in order, as they would leave if nothing more came, which would be for `reason`."""
        if not self._turns:
            return []
        turns = [turn for item_id in self._order if (turn := self._turns.get(item_id)) is not None]
        return [
            turn.as_it_stands(reason).result(number, self._doubt, answer_to(turn.item_id), now_s)
            for number, turn in enumerate(turns, len(self._done) + 1)
        ]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _request(self, turn: Turn, now_s: float) -> ResponseCreate:
        turn.tries += 1
        before, behind = self._around(turn.item_id)
        context = self._context
        if context == "full" and any(self._is_turn(one) for one in behind):
            # The caller has gone on: with the whole conversation the model would write down the wrong turn.
            context = len(before) + 1
        elif context != "full":
            before = [one for one in before if self._is_turn(one)]
        request = transcript_request(
            turn.item_id,
            earlier_item_ids=before,
            context=context,
            instructions=self._instructions,
            max_output_tokens=self._max_output_tokens,
            attempt=turn.tries,
        )
        turn.asked(request.event_id or "", now_s)
        return request

    def _around(self, item_id: str) -> tuple[list[str], list[str]]:
        """What the conversation holds before an item and behind it."""
        present = [one for one in self._order if one in self._present or one == item_id]
        at = present.index(item_id)
        return present[:at], present[at + 1 :]

    def _is_turn(self, item_id: str) -> bool:
        return item_id in self._turns or item_id in self._done


def is_ours(response: Response) -> bool:
    """Whether the sidecar asked for this response."""
    return response.purpose == PURPOSE
