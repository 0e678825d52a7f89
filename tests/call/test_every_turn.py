"""A thousand scripted turns, with everything that goes wrong: each is delivered once, in order, from the right source.

Each call draws from its own seed, which is the test's id.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count

import pytest

from service.call.actions import Action, Send, TurnTranscribed
from service.call.conversation import Conversation
from service.media.playout import Playout
from service.media.ring import AudioHandover, UplinkFrame
from service.media.uplink import Uplink
from service.realtime import events
from service.realtime.commands import AudioCommit, ClientEvent, ItemCreate, ResponseCreate, SessionUpdate
from service.transcript.sidecar import Sidecar, TranscribedTurn

CALLS, TURNS_PER_CALL = 40, 25
TIMEOUT_S, MAX_OPEN, FLUSH_S = 15.0, 3, 8.0
STEP_S = 0.25
VOICE = b"\x10\x00" * 160

ANSWERS = {
    "in time": 50,
    "late": 12,
    "twice": 8,
    "failed": 8,
    "cancelled": 3,
    "incomplete": 4,
    "refused": 6,
    "never": 9,
}
SECOND_OPINIONS = {"in time": 50, "late": 10, "twice": 5, "failed": 10, "never": 25}


@dataclass(slots=True)
class Asked:
    """A request as the server sees it."""

    item_id: str
    event_id: str
    at_s: float
    over: bool = False


@dataclass
class Call:
    """The runner, the caller and the server in one, at 0.25 s a step while nobody speaks."""

    seed: int
    asr: bool = True
    now_s: float = 100.0
    online: bool = True
    session: int = 0
    last_item: str | None = None
    spoken: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    left: list[TranscribedTurn] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    transcripts: dict[str, str] = field(default_factory=dict)
    """What the conversation has been told: the first completed answer of each item."""
    opinions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.asr = self.chance.random() < 0.7
        self.uplink = Uplink()
        self.conversation = Conversation(
            uplink=self.uplink,
            playout=Playout(AudioHandover()),
            sidecar=Sidecar(
                instructions="Write it down.",
                context=self.chance.choice(["turn", 3, "full"]),
                max_output_tokens=100,
                max_open=MAX_OPEN,
                timeout_s=TIMEOUT_S,
                asr=self.asr,
            ),
            interruptible=True,
        )
        self.numbers = count()
        self.due: list[tuple[float, int, int, Callable[[], None]]] = []

    # -- time --

    def later(self, delay_s: float, happens: Callable[[], None]) -> None:
        heappush(self.due, (self.now_s + delay_s, next(self.numbers), self.session, happens))

    def wait(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += STEP_S
            while self.due and self.due[0][0] <= self.now_s:
                _, _, session, happens = heappop(self.due)
                if session == self.session and self.online:
                    happens()
            self.do(self.conversation.tick(self.now_s))

    # -- what the conversation wants --

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, TurnTranscribed):
                self.deliver(action.turn)
            elif isinstance(action, Send) and self.online:
                self.received(action.event)

    def deliver(self, turn: TranscribedTurn) -> None:
        """The source must be the best there was at that moment."""
        self.left.append(turn)
        assert turn.turn == len(self.left)
        if turn.item_id in self.transcripts:
            assert (turn.source, turn.transcript) == ("out_of_band", self.transcripts[turn.item_id])
            assert turn.reason is None
        elif turn.item_id in self.opinions:
            assert (turn.source, turn.transcript) == ("input_transcription", self.opinions[turn.item_id])
            assert turn.reason
        else:
            assert (turn.source, turn.transcript) == ("none", "")
            assert turn.reason

    # -- the server --

    def tell(self, event: events.ServerEvent) -> None:
        self.do(self.conversation.server_event(event, None, self.now_s))

    def received(self, event: ClientEvent) -> None:
        match event:
            case ResponseCreate(response=dict() as response):
                self.request(str(event.event_id), response["metadata"])
            case ItemCreate(item={"id": str() as item_id, "content": [{"type": "input_audio"}]}):
                self.added(item_id, None)
            case SessionUpdate():
                self.tell(events.SessionUpdated(session={}))
            case AudioCommit():
                self.commit(f"u{next(self.numbers)}", missing=False)

    def request(self, event_id: str, metadata: dict[str, str]) -> None:
        item_id = metadata["item_id"]
        assert item_id not in self.silent
        assert event_id not in {one.event_id for one in self.asked}
        waiting = [one for one in self.asked if not one.over and self.now_s - one.at_s < TIMEOUT_S]
        assert item_id not in {one.item_id for one in waiting}, "one open request for an item"
        assert len(waiting) < MAX_OPEN
        asked = Asked(item_id, event_id, self.now_s)
        self.asked.append(asked)
        text = f"words of {item_id}, {event_id}"
        match self.draw(ANSWERS):
            case "in time":
                self.later(self.chance.uniform(0.1, 6), lambda: self.answer(asked, metadata, "completed", text))
            case "late":
                self.later(self.chance.uniform(15, 40), lambda: self.answer(asked, metadata, "completed", text))
            case "twice":
                for again in ("", " again"):
                    at_s = self.chance.uniform(0.1, 20)
                    self.later(at_s, partial(self.answer, asked, metadata, "completed", text + again))
            case "refused":
                code = self.chance.choice(["invalid_value", "item_not_found"])
                self.later(0.2, lambda: self.refuse(asked, code))
            case "never":
                pass
            case status:
                self.later(self.chance.uniform(0.1, 20), lambda: self.answer(asked, metadata, status, ""))

    def answer(self, asked: Asked, metadata: dict[str, str], status: str, text: str) -> None:
        asked.over = True
        if status == "completed":
            self.transcripts.setdefault(asked.item_id, text)
            for other in self.asked:
                # Whichever try it was, the turn has its text: nothing is waited for any more.
                other.over = other.over or other.item_id == asked.item_id
        content = [events.ContentPart(type="output_text", text=text)]
        output = [events.Item(id="o", type="message", content=content)]
        self.tell(
            events.ResponseDone(response=events.Response(id="r", status=status, metadata=metadata, output=output))
        )

    def refuse(self, asked: Asked, code: str) -> None:
        asked.over = True
        self.tell(events.ServerError(error=events.ErrorBody(code=code, event_id=asked.event_id)))

    def added(self, item_id: str, previous: str | None) -> None:
        content = [events.ContentPart(type="input_audio")]
        item = events.Item(id=item_id, type="message", role="user", content=content)
        self.tell(events.ItemAdded(item=item, previous_item_id=previous))

    def commit(self, item_id: str, *, missing: bool) -> None:
        previous, self.last_item = self.last_item, item_id
        self.spoken.append(item_id)
        self.tell(events.Committed(item_id=item_id, previous_item_id=previous))
        if self.asr:
            self.second_opinion(item_id)
        if not missing:
            # Shuffled: the next turn's item may be added before this one's.
            self.later(self.chance.choice([0.0, 0.0, 1.0]), lambda: self.added(item_id, previous))

    def second_opinion(self, item_id: str) -> None:
        def completed() -> None:
            self.opinions[item_id] = f"heard of {item_id}"
            self.tell(events.TranscriptionCompleted(item_id=item_id, transcript=f"heard of {item_id}"))

        match self.draw(SECOND_OPINIONS):
            case "in time":
                self.later(self.chance.uniform(0.1, 3), completed)
            case "late":
                self.later(self.chance.uniform(14, 40), completed)
            case "twice":
                self.later(1, completed)
                self.later(self.chance.uniform(1, 20), completed)
            case "failed":
                failed = events.TranscriptionFailed(item_id=item_id, error=events.ErrorBody(code="asr"))
                self.later(1, lambda: self.tell(failed))

    # -- what happens on the call --

    def agent_speaks(self) -> None:
        item_id = f"a{next(self.numbers)}"
        self.tell(events.ResponseCreated(response=events.Response(id=item_id, conversation_id="c")))
        item = events.Item(id=item_id, type="message", role="assistant")
        self.tell(events.ItemAdded(item=item, previous_item_id=self.last_item))
        self.last_item = item_id
        self.tell(events.AudioTranscriptDelta(response_id=item_id, item_id=item_id, delta="And then?"))
        if self.chance.random() < 0.7:
            self.tell(events.ResponseDone(response=events.Response(id=item_id, status="completed")))

    def caller_begins(self) -> str:
        item_id = f"u{next(self.numbers)}"
        self.tell(events.SpeechStarted(item_id=item_id, audio_start_ms=self.uplink.sent_ms))
        self.caller_speaks()
        return item_id

    def caller_speaks(self) -> None:
        for _ in range(self.chance.randint(6, 20)):
            self.conversation.caller_audio(UplinkFrame(VOICE, self.now_s))

    def turn(self) -> None:
        item_id = self.caller_begins()
        if self.chance.random() < 0.06:
            self.breaks()
            # The new session hears the turn from its beginning, and gives it a name of its own.
            item_id = f"u{next(self.numbers)}"
            self.tell(events.SpeechStarted(item_id=item_id, audio_start_ms=0))
            self.caller_speaks()
        self.tell(events.SpeechStopped(item_id=item_id, audio_end_ms=self.uplink.sent_ms))
        self.commit(item_id, missing=self.chance.random() < 0.04)

    def falls_silent(self) -> None:
        item_id = f"s{next(self.numbers)}"
        self.silent.append(item_id)
        self.tell(events.TimeoutTriggered(item_id=item_id, audio_start_ms=0, audio_end_ms=self.uplink.sent_ms))
        self.tell(events.Committed(item_id=item_id, previous_item_id=self.last_item))
        self.added(item_id, self.last_item)
        self.last_item = item_id

    def breaks(self) -> None:
        self.online = False
        self.session += 1
        self.conversation.session_lost()
        for one in self.asked:
            one.over = True
        self.wait(self.chance.choice([0.5, 2.0, 40.0]))
        self.online = True
        self.last_item = None
        self.do(self.conversation.resume(self.now_s))

    def hang_up(self) -> None:
        if self.chance.random() < 0.5:
            self.caller_begins()
        if self.chance.random() < 0.2:
            self.breaks()
        self.do(self.conversation.close())
        self.wait(FLUSH_S)
        self.do(self.conversation.abandon("flush_timeout", self.now_s))

    def draw(self, fates: dict[str, int]) -> str:
        return self.chance.choices(list(fates), list(fates.values()))[0]


@pytest.mark.parametrize("seed", range(CALLS))
def test_every_turn_is_delivered_once_in_order_and_from_the_right_source(seed: int) -> None:
    call = Call(seed)
    for _ in range(TURNS_PER_CALL):
        call.turn()
        call.wait(call.chance.choice([0.25, 0.5, 2.0, 6.0]))
        match call.chance.random():
            case chance if chance < 0.6:
                call.agent_speaks()
            case chance if chance < 0.7:
                call.falls_silent()
            case chance if chance < 0.75:
                call.breaks()
    if call.chance.random() < 0.5:
        call.wait(60)
    call.hang_up()
    assert [turn.item_id for turn in call.left] == call.spoken
    assert len(call.spoken) >= TURNS_PER_CALL
    assert max(Counter(one.item_id for one in call.asked).values()) <= 2 + call.session
    assert call.conversation.settled or call.conversation.agent.speaking
