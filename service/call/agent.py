"""The agent's side of a conversation: its responses, its voice, and how much of it the caller heard.

Pure: server events and ticks in, actions out; `now_s` is monotonic.
"""

from __future__ import annotations

from service.call.actions import Action, Answered, BargeIn, Send
from service.call.lines import Lines
from service.call.stand_in import APOLOGY, BRIDGE, BRIDGE_AFTER_S, BRIDGE_EVERY_S, PREFIX, apology, bridge_tone
from service.media.playout import Playout
from service.realtime import events
from service.realtime.commands import ItemDelete, ItemTruncate
from service.realtime.replay import text_item
from service.realtime.responses import Responses

GREETED_MS = 1000
RETRY_S = (1.0, 3.0)
"""After a failed response of the agent: then the caller's next turn will have to do."""


class Agent:
    """What the agent says on one call, over all its sessions."""

    def __init__(self, playout: Playout, lines: Lines, *, interruptible: bool) -> None:
        self._playout = playout
        self._lines = lines
        self._interruptible = interruptible
        self._responses = Responses()
        self._items: dict[str, None] = {}
        self._told_ids: set[str] = set()
        """Items that this session knows as text only."""
        self._answer_due_since_s: float | None = None
        self._failures = 0
        self._retry_at_s: float | None = None
        self._bridges = 0

    # -- what it is asked for --------------------------------------------------------------------------------------

    def request(self) -> list[Action]:
        """Ask for a response, now or when the open one has ended."""
        return [Send(event) for event in self._responses.request()]

    def refused(self) -> None:
        """The server would not create the response that was asked for."""
        self._responses.refused()

    def stop(self) -> list[Action]:
        """Nobody listens any more: end the open response, ask for no other."""
        self._retry_at_s = None
        return [Send(event) for event in self._responses.cancel()]

    def tick(self, now_s: float, *, held: bool) -> list[Action]:
        """Once per 20 ms: play (not while the call is on hold), and ask again for what failed."""
        actions: list[Action] = []
        for item_id, played_s in () if held else self._playout.tick():
            latency_s = None
            if self._answer_due_since_s is not None:
                latency_s = played_s - self._answer_due_since_s
                actions.append(Answered(latency_s))
                self._answer_due_since_s = None
            if not item_id.startswith(PREFIX):
                self._lines.agent_begins(item_id, played_s, latency_s)
        if self._retry_at_s is not None and now_s >= self._retry_at_s:
            self._retry_at_s = None
            actions += self.request()
        return actions

    @property
    def silent(self) -> bool:
        """Whether nothing is left to be played."""
        return self._playout.idle

    @property
    def speaking(self) -> bool:
        """Whether a response is open."""
        return self._responses.speaking

    @property
    def awaited(self) -> bool:
        """Whether a response is open or asked for."""
        return self._responses.busy

    @property
    def busy(self) -> bool:
        """Whether a response is open or asked for, or is still being played."""
        return self.awaited or not self._playout.idle

    @property
    def greeting_heard(self) -> bool:
        """Whether the caller heard the agent: something to its end, or a second of it.

        Who cuts the greeting short and is answered has been greeted by the answer.
        """
        heard = [self._playout.heard(item_id) for item_id in self._items]
        return any(one is not None and (one.to_the_end or one.heard_ms >= GREETED_MS) for one in heard)

    # -- what the server tells -------------------------------------------------------------------------------------

    def audio(self, event: events.AudioDelta) -> None:
        """Audio of an item."""
        if self._responses.accepts(event.response_id):
            self._playout.add(event.item_id, event.delta)
            self._items[event.item_id] = None

    def words(self, event: events.AudioTranscriptDelta, now_s: float) -> None:
        """Words of an item."""
        if self._responses.accepts(event.response_id):
            self._lines.agent_says(event.item_id, event.delta, now_s)

    def audio_done(self, item_id: str) -> None:
        """No more audio of an item will come."""
        self._playout.finish(item_id)
        heard = self._playout.heard(item_id)
        if heard is not None:
            self._lines.agent_lasts(heard)

    def response_created(self, response: events.Response) -> None:
        """A response has begun, asked for or not: it stands for one that failed before it."""
        self._retry_at_s = None
        self._responses.created(response)

    def response_done(self, response: events.Response, now_s: float) -> tuple[bool, list[Action]]:
        """A response has ended. Gives whether it holds (it was completed, and not interrupted), and what waited for it.

        One that failed, by a rate limit for instance, is asked for again a little later.
        """
        if response.status != "failed":
            self._failures = 0
        elif self._failures < len(RETRY_S):
            self._retry_at_s = now_s + RETRY_S[self._failures]
            self._failures += 1
        holds = response.status == "completed" and self._responses.accepts(response.id)
        for item in response.output:
            self.audio_done(item.id)
        return holds, [Send(event) for event in self._responses.done(response)]

    # -- what the caller does --------------------------------------------------------------------------------------

    def caller_begins(self) -> list[Action]:
        """The caller speaks: be silent at once, and tell the server how much was heard."""
        self._retry_at_s = None
        if not self._interruptible:
            return []
        cut = self._playout.interrupt()
        self._responses.drop()
        actions: list[Action] = []
        for heard in cut:
            if heard.item_id.startswith(PREFIX):
                continue
            self._lines.agent_interrupted(heard)
            actions.append(BargeIn(heard.item_id, heard.heard_ms))
            if heard.item_id in self._told_ids:
                actions += self._told_again(heard.item_id)
            elif heard.heard_ms:
                # Whole milliseconds, never beyond what was received: the server refuses more than there is.
                actions.append(Send(ItemTruncate(item_id=heard.item_id, content_index=0, audio_end_ms=heard.heard_ms)))
            else:
                actions.append(Send(ItemDelete(item_id=heard.item_id)))
        return actions

    def caller_stopped(self, arrived_s: float | None) -> None:
        """The caller waits for an answer since then."""
        self._answer_due_since_s = arrived_s

    def _told_again(self, item_id: str) -> list[Action]:
        """An item of an earlier session was cut short: text cannot be truncated, so what was heard takes its place.

        It stands at the end, and so does the new one: whatever comes behind it was not heard, and goes as well.
        """
        self._told_ids.discard(item_id)
        line = self._lines.find(item_id)
        deleted = Send(ItemDelete(item_id=item_id))
        return [deleted] if line is None else [deleted, Send(text_item(None, line.speaker, line.text))]

    # -- one session takes over from another -----------------------------------------------------------------------

    def session_lost(self) -> bool:
        """What was received is played out. Says whether the agent still owed words."""
        self._bridges = 0
        for item_id in self._lines.item_ids():
            heard = self._playout.heard(item_id)
            if heard is None or not heard.complete:
                self._lines.agent_broken_off(item_id, heard.received_ms if heard is not None else 0)
        self._playout.finish_all()
        return self._responses.lost()

    def told(self, item_ids: set[str]) -> bool:
        """A new session was told these items as text. Says whether the agent was asked for words between the two."""
        self._told_ids = item_ids
        return self._responses.lost()

    def bridge(self, waited_s: float) -> None:
        """While a new session is being opened: a soft tone now and then, so that the line is not dead."""
        due = int((waited_s - BRIDGE_AFTER_S) // BRIDGE_EVERY_S) + 1
        if due > self._bridges and self._playout.idle:
            self._bridges = due
            self._stand_in(f"{BRIDGE}{due}", bridge_tone())

    def apologize(self) -> None:
        """The stored apology, after what is still being played."""
        self._stand_in(APOLOGY, apology())

    def _stand_in(self, item_id: str, pcm24k: bytes) -> None:
        self._playout.add(item_id, pcm24k)
        self._playout.finish(item_id)
