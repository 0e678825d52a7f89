"""What the soak runs judge by: codewords, the bytes on the wire, and the verdict on a call."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from websockets.frames import Frame, Opcode

from service.media.resample import resample
from tests import peers
from tests.soak.codewords import Heard, length_ms, parsed, read, spoken
from tests.soak.judge import judged
from tests.soak.scripts import Turn
from tests.soak.verdict_on_kills import Delivered, Kept, Verdict
from tests.soak.verdict_on_kills import judged as judged_kills
from tests.soak.websocket_tap import WebsocketTap
from tests.soak.witness import Moment, Witness

HANDSHAKE = b"GET /v1/realtime HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"


def at_24_khz(pcm8k: np.ndarray) -> np.ndarray:
    line = peers.ulaw_decode(peers.encode(pcm8k, "PCMU"))
    return resample(np.concatenate([np.zeros(1600, np.int16), line, np.zeros(4000, np.int16)]), 8000, 24_000)


def test_a_codeword_is_read_through_the_telephone() -> None:
    heard = read(at_24_khz(spoken("1047")))
    assert heard.digits == "1047"
    assert abs(heard.length_ms - length_ms("1047")) <= 10
    assert parsed(str(heard)) == heard


@pytest.mark.parametrize(("cut", "digits"), [(slice(1600, None), "?1047"), (slice(0, -1600), "1047?")])
def test_a_turn_without_head_or_tail_reads_otherwise(cut: slice, digits: str) -> None:
    assert read(at_24_khz(spoken("1047")[cut])).digits == digits


def test_sound_that_comes_twice_makes_a_turn_longer() -> None:
    pcm = spoken("1047")
    heard = read(at_24_khz(np.concatenate([pcm[:1000], pcm[360:]])))
    assert heard.length_ms - length_ms("1047") >= 60


def test_what_is_no_codeword_is_none() -> None:
    assert read(np.zeros(24_000, np.int16)) == Heard("?", 0)
    assert parsed("hello there") == Heard("?hello there", 0)


@pytest.mark.parametrize("portion", [1, 7, 4096])
@pytest.mark.parametrize("masked", [True, False])
def test_messages_are_seen_however_the_bytes_are_cut(portion: int, masked: bool) -> None:
    wanted = [b"{}", b"x" * 125, b"y" * 126, b"z" * 70_000]
    frames = [Frame(Opcode.TEXT, message) for message in wanted]
    frames[1:1] = [Frame(Opcode.PING, b"?"), Frame(Opcode.TEXT, b"par", fin=False), Frame(Opcode.CONT, b"ts")]
    data = HANDSHAKE + b"".join(frame.serialize(mask=masked) for frame in frames)
    tap = WebsocketTap()
    seen = [message for at in range(0, len(data), portion) for message in tap.feed(data[at : at + portion])]
    assert seen == [wanted[0], b"parts", *wanted[1:]]


def test_a_session_s_moments_follow_its_events() -> None:
    session = Witness()
    assert session.moments(0.0) == {Moment.SILENCE}
    session.server({"type": "input_audio_buffer.speech_started"}, 1.0)
    assert session.moments(1.0) == {Moment.CALLER}
    session.server({"type": "input_audio_buffer.speech_stopped"}, 2.0)
    request = {"type": "response.create", "response": {"conversation": "none", "metadata": {"item_id": "u1"}}}
    session.client(request)
    delta = {"type": "response.output_audio.delta", "item_id": "a1", "delta": "A" * 64_000}
    session.server(delta, 3.0)
    assert session.moments(3.9) == {Moment.TRANSCRIPT, Moment.AGENT}
    assert session.moments(4.1) == {Moment.TRANSCRIPT}
    aside: dict[str, Any] = {"id": "r", "conversation_id": None, "metadata": {"item_id": "u1"}, "output": []}
    session.server({"type": "response.done", "response": aside}, 4.2)
    called = {"id": "r2", "conversation_id": "c", "output": [{"type": "function_call", "call_id": "c1"}]}
    session.server({"type": "response.done", "response": called}, 4.3)
    assert session.moments(4.3) == {Moment.TOOL}
    output = {"type": "function_call_output", "call_id": "c1", "output": "noted"}
    session.client({"type": "conversation.item.create", "item": output})
    assert session.moments(4.3) == {Moment.SILENCE}


def messages(*heard: str) -> list[dict[str, Any]]:
    types = ["call.started", *("turn.transcribed" for _ in heard), "call.ended"]
    bodies: list[dict[str, Any]] = [{"type": kind, "data": {"seq": seq}} for seq, kind in enumerate(types, 1)]
    for number, text in enumerate(heard, 1):
        bodies[number]["data"] |= {"turn": number, "transcript": text, "source": "out_of_band"}
    bodies[-1]["data"] |= {"turns": len(heard), "result": "success"}
    return bodies


SAID = [Turn("1001", 1000), Turn("1002", 4000)]
WHOLE = str(Heard("1001", length_ms("1001"))), str(Heard("1002", length_ms("1002") - 30))


def test_a_whole_call_is_found_whole() -> None:
    verdict = judged(SAID, messages(*WHOLE))
    assert (verdict.missing, verdict.twice, verdict.strange) == ((), (), ())
    assert (verdict.in_order, verdict.numbered, verdict.length_off_ms, verdict.result) == (True, True, -30, "success")


def test_what_is_wrong_with_a_call_is_found() -> None:
    verdict = judged(SAID, messages(WHOLE[0], WHOLE[0], "?02 500"))
    assert (verdict.missing, verdict.twice, verdict.strange) == (("1002",), ("1001",), ("?02 500",))
    assert not judged(SAID, messages(*WHOLE[::-1])).in_order
    torn = msgspec.json.decode(msgspec.json.encode(messages(*WHOLE)))
    torn[1]["data"]["seq"] = 7
    assert not judged(SAID, torn).numbered


def deliveries(*items: str) -> list[Delivered]:
    """A whole call, as far as the verdict looks into it, each message taken once."""
    turns = [{"item_id": item, "turn": number, "source": "none"} for number, item in enumerate(items, 1)]
    messages: list[tuple[str, dict[str, Any]]] = [
        ("call.started", {}),
        *(("turn.transcribed", turn) for turn in turns),
        ("call.ended", {"turns": len(turns), "reason": "interrupted"}),
    ]
    return [
        Delivered(
            f"msg_{seq}", msgspec.json.encode({"type": type_, "data": {"call_id": "c", "seq": seq} | data}), "taken"
        )
        for seq, (type_, data) in enumerate(messages, 1)
    ]


def faults(verdict: Verdict) -> set[str]:
    aims = {"not_ended_once", "not_numbered", "out_of_order", "turns_missing", "turns_twice", "turns_out_of_order"}
    return {name for name in (*aims, "other_ids") if getattr(verdict, name)}


def test_a_killed_worker_s_call_is_found_whole() -> None:
    whole = deliveries("u1", "u2")
    repeated = [*whole, Delivered(whole[1].webhook_id, whole[1].body, "duplicate")]
    verdict = judged_kills({"c": Kept(["u1", "u2"])}, repeated)
    assert faults(verdict) == set()
    assert (verdict.calls, verdict.interrupted, verdict.duplicates) == (1, 1, 1)


def test_what_is_wrong_after_kills_is_found() -> None:
    kept = {"c": Kept(["u1", "u2"])}
    whole = deliveries("u1", "u2")
    assert faults(judged_kills(kept, [])) == {"not_ended_once", "not_numbered", "turns_missing", "turns_out_of_order"}
    assert faults(judged_kills(kept, deliveries("u1"))) == {"turns_missing", "turns_out_of_order"}
    assert faults(judged_kills(kept, deliveries("u1", "u2", "u1"))) == {"turns_twice", "turns_out_of_order"}
    assert faults(judged_kills(kept, deliveries("u2", "u1"))) == {"turns_out_of_order"}
    assert faults(judged_kills(kept, [whole[1], whole[0], *whole[2:]])) == {"out_of_order"}
    assert faults(judged_kills(kept, whole[:-1])) == {"not_ended_once", "not_numbered"}
    assert faults(judged_kills(kept, [*whole[:2], *whole[3:]])) >= {"not_numbered", "turns_missing"}
    again = Delivered("msg_other", whole[1].body, "failed")
    assert faults(judged_kills(kept, [*whole, again])) == {"other_ids"}
    assert judged_kills(kept, whole).against_schema == 4
