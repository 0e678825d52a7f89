"""What a session's conversation holds of audio, as the events tell it."""

from __future__ import annotations

from base64 import b64encode

from service.billing.expected import AudioTokens
from service.call.context_audio import MAX_ASKED, ContextAudio
from service.realtime import events
from service.realtime.commands import AudioAppend, AudioCommit, ItemCreate, ItemDelete, ItemTruncate, ResponseCreate
from service.realtime.replay import audio_item, text_item
from service.transcript.request import Context, transcript_request
from tests.billing.test_expected import AGENT_TOKENS, CALLER_TOKENS, MAIN_INPUT_TOKENS


class Talk:
    def __init__(self) -> None:
        self.audio = ContextAudio()
        self.caller_ids: list[str] = []

    def caller(self, item_id: str, ms: int) -> None:
        self.audio.received(events.SpeechStarted(item_id=item_id, audio_start_ms=700))
        self.audio.received(events.SpeechStopped(item_id=item_id, audio_end_ms=700 + ms))
        self.audio.received(events.Committed(item_id=item_id))
        self.caller_ids.append(item_id)

    def begins(self, response_id: str, metadata: dict[str, str] | None = None) -> None:
        response = events.Response(id=response_id, metadata=metadata)
        self.audio.received(events.ResponseCreated(response=response))

    def speaks(self, response_id: str, item_id: str, ms: int) -> None:
        self.audio.received(events.AudioDelta(response_id=response_id, item_id=item_id, delta=bytes(48 * ms)))

    def ends(
        self, response_id: str, metadata: dict[str, str] | None = None, output: tuple[str, ...] = ()
    ) -> AudioTokens | None:
        items = [events.Item(id=item_id, type="message", role="assistant") for item_id in output]
        response = events.Response(id=response_id, metadata=metadata, output=items)
        return self.audio.received(events.ResponseDone(response=response))

    def answer(self, item_id: str, ms: int) -> AudioTokens | None:
        self.begins(f"r_{item_id}")
        self.speaks(f"r_{item_id}", item_id, ms)
        return self.ends(f"r_{item_id}")

    def transcribe(self, item_id: str, context: Context, earlier: list[str]) -> AudioTokens | None:
        request = transcript_request(
            item_id, earlier_item_ids=earlier, context=context, instructions="", max_output_tokens=9
        )
        assert request.response is not None
        metadata = request.response["metadata"]
        self.audio.sent(request)
        self.begins(f"oob_{item_id}", metadata)
        return self.ends(f"oob_{item_id}", metadata, output=(f"words_{item_id}",))


def test_the_printed_session_is_counted_to_the_token() -> None:
    talk = Talk()
    for turn, caller in enumerate(CALLER_TOKENS):
        talk.caller(f"u{turn}", caller * 100)
        answered = talk.answer(f"a{turn}", ([*AGENT_TOKENS, 0])[turn] * 50)
        assert answered == AudioTokens(MAIN_INPUT_TOKENS[turn], ([*AGENT_TOKENS, 0])[turn])


def test_a_transcript_is_given_the_turns_that_its_request_names() -> None:
    talk = Talk()
    talk.caller("u1", 1000)
    talk.caller("u2", 2000)
    talk.answer("a1", 3000)
    talk.caller("u3", 4000)
    assert talk.transcribe("u3", "turn", ["u1", "u2"]) == AudioTokens(40)
    assert talk.transcribe("u3", 2, ["u1", "u2"]) == AudioTokens(60)
    assert talk.transcribe("u3", "full", ["u1", "u2"]) == AudioTokens(130)
    assert talk.answer("a2", 0) == AudioTokens(130), "a transcript is no message of the conversation"


def test_what_is_being_said_is_not_yet_part_of_the_conversation() -> None:
    talk = Talk()
    talk.caller("u1", 1000)
    talk.begins("r1")
    talk.speaks("r1", "a1", 5000)
    assert talk.transcribe("u1", "full", []) == AudioTokens(10)
    assert talk.ends("r1") == AudioTokens(10, 100)
    assert talk.answer("a2", 100) == AudioTokens(110, 2)


def test_an_interrupted_answer_counts_as_far_as_it_was_heard() -> None:
    talk = Talk()
    talk.answer("a1", 5000)
    talk.audio.sent(ItemTruncate(item_id="a1", content_index=0, audio_end_ms=1000))
    assert talk.answer("a2", 5000) == AudioTokens(20, 100)
    talk.begins("r3")
    talk.speaks("r3", "a3", 5000)
    talk.audio.sent(ItemTruncate(item_id="a3", content_index=0, audio_end_ms=2000))
    assert talk.ends("r3") == AudioTokens(100, 100), "all that was sent is billed"
    assert talk.answer("a4", 0) == AudioTokens(40)


def test_what_was_deleted_counts_no_more() -> None:
    talk = Talk()
    talk.caller("u1", 1000)
    talk.caller("u2", 3000)
    talk.answer("a1", 1000)
    talk.begins("r2")
    talk.speaks("r2", "a2", 5000)
    talk.audio.sent(ItemDelete(item_id="a2"))
    talk.ends("r2")
    talk.audio.sent(ItemDelete(item_id="u1"))
    assert talk.answer("a3", 0) == AudioTokens(30 + 20)


def test_a_new_session_is_told_text_that_counts_nothing_and_audio_that_does() -> None:
    talk = Talk()
    talk.audio.sent(text_item("u1", "caller", "Hello."))
    talk.audio.sent(audio_item("u2", bytes(48 * 2500)))
    talk.answer("a0", 4000)
    talk.audio.sent(text_item("a1", "agent", "Hello."))
    assert talk.answer("a2", 0) == AudioTokens(25)


def test_audio_that_comes_with_a_request_counts_in_it() -> None:
    talk = Talk()
    audio = b64encode(bytes(48 * 1200)).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    talk.audio.sent(ResponseCreate(response={"conversation": "none", "metadata": {"purpose": "x"}, "input": [item]}))
    talk.begins("r1", {"purpose": "x"})
    assert talk.ends("r1", {"purpose": "x"}) == AudioTokens(12)


def test_a_turn_that_is_cut_by_our_commit_lasts_to_what_was_sent() -> None:
    talk = Talk()
    for _ in range(100):
        talk.audio.sent(AudioAppend(audio=bytes(960)))
    talk.audio.received(events.SpeechStarted(item_id="u1", audio_start_ms=500))
    talk.audio.sent(AudioCommit())
    talk.audio.received(events.Committed(item_id="other"))
    assert talk.answer("a1", 0) == AudioTokens(15)


def test_built_in_transcription_hears_its_turn() -> None:
    talk = Talk()
    talk.caller("u1", 1790)
    assert talk.audio.received(events.TranscriptionCompleted(item_id="u1", transcript="")) == AudioTokens(17)
    assert talk.audio.received(events.TranscriptionCompleted(item_id="u0", transcript="")) is None


def test_what_was_not_seen_from_its_beginning_is_not_judged() -> None:
    talk = Talk()
    assert talk.ends("r1") is None
    talk.begins("r2", {"purpose": "theirs"})
    assert talk.ends("r2", {"purpose": "theirs"}) is None


def test_requests_that_are_never_answered_are_forgotten() -> None:
    talk = Talk()
    for number in range(3 * MAX_ASKED):
        talk.audio.sent(ResponseCreate(response={"metadata": {"purpose": "x", "item_id": str(number)}}))
    assert len(talk.audio._asked) == MAX_ASKED
    talk.audio.sent(ItemCreate(item={"type": "function_call_output", "call_id": "c", "output": "done"}))
