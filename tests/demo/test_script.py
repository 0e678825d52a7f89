"""The demo's caller against the dialogue she is going to meet, on paper and through the telephone's codec."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from service.demo.script import EXPECTED_CLAIM, GOODBYE, NOT_UNDERSTOOD, PATIENCE, Line, ScriptedCaller, asks_to_wait
from service.engine.dialogue import Dialogue, ToolCall

TODAY = date(2026, 11, 21)


def conversation(heard: Callable[[str], str], today: date = TODAY) -> tuple[list[Line], list[ToolCall]]:
    """The whole call; ``heard`` is what the agent's recogniser makes of a line."""
    dialogue, caller = Dialogue(today=today), ScriptedCaller()
    lines: list[Line] = []
    tools: list[ToolCall] = []
    reply = dialogue.greet()
    while len(lines) < 25:
        words = reply.text.split()
        said_so_far = (" ".join(words[:count]) for count in range(1, len(words) + 1))
        line = None
        for so_far in said_so_far:
            line = caller.interrupt_when(so_far)
            if line is not None:
                dialogue.interrupted(so_far)
                break
        lines.append(line or caller.next_line(reply.text))
        if lines[-1].hang_up:
            break
        reply = dialogue.hear(heard(lines[-1].text))
        tools += [reply.tool] if reply.tool else []
    return lines, tools


def test_call_ends_with_the_expected_claim() -> None:
    lines, tools = conversation(lambda text: text)
    assert tools == [ToolCall("end_call", {"reason": "completed", "claim": dict(EXPECTED_CLAIM)})]
    assert 7 <= len(lines) <= 12
    assert [line.interrupts for line in lines].count(True) == 1
    assert lines[-1] == GOODBYE


def test_claim_does_not_depend_on_the_day_the_demo_is_run() -> None:
    for today in (date(2026, 11, 14), date(2027, 3, 1), date(2031, 12, 31)):
        assert conversation(lambda text: text, today)[1][0].arguments["claim"] == dict(EXPECTED_CLAIM)


def test_a_line_that_was_not_heard_is_said_again() -> None:
    for lost in range(10):
        count = 0

        def heard(text: str, lost: int = lost) -> str:
            nonlocal count
            count += 1
            return "" if count == lost else text

        assert conversation(heard)[1][0].arguments["claim"] == dict(EXPECTED_CLAIM), f"turn {lost} was lost"


def test_she_cuts_in_while_her_number_is_read_and_only_once() -> None:
    caller = ScriptedCaller()
    read_back = "Let me read that back. Policy number K7M2-40B9. Phone number 555 014 2277. Is that correct?"
    point = caller.interruption_point(read_back)
    assert point is not None
    assert read_back[:point].endswith("555 ")
    assert caller.interrupt_when("Phone number 555 014 2277. On which day did it happen?") is None
    assert caller.interrupt_when(read_back[: point - 4]) is None
    line = caller.interrupt_when(read_back[:point])
    assert line is not None
    assert line.interrupts
    assert caller.interrupt_when(read_back) is None


@pytest.mark.parametrize(
    ("recognised", "answer"),
    [
        ("this call is transcribed so that I can find your policy. May I have your full legal name?", "Margaret Hale"),
        (
            "Phone number five, five, five for the record on which day did it happen, and at about what time?",
            "November",
        ),
        ("in case we need to reach you what is the best phone number", "five five five"),
        ("Thank you, so that we know what is urgent, was anyone injured, and can the car still be driven?", "No one"),
        ("For the file, was a police or other report filed, and were there any witnesses?", "police report"),
        ("there were no witnesses for the adjuster in your own words. What happened?", "red light"),
        ("There were no witnesses. Is everything correct? or would you like to add something?", "Yes"),
        ("if anything, is missing. Thank you for your patience. Margaret Hale. goodbye.", "bye"),
        ("I heard K, seven, M, two. Could you say the rest, or all of it again?", "nine"),
        ("Are you still there? And at about what time?", "half past five"),
    ],
)
def test_she_finds_the_question_in_what_a_recogniser_wrote(recognised: str, answer: str) -> None:
    assert answer in ScriptedCaller().next_line(recognised).text


@pytest.mark.parametrize(
    ("agent_text", "waits"),
    [
        ("Thank you. I'm submitting your claim now; one moment, please.", True),
        ("Of course. One moment, please: I'm keeping what you told me.", True),
        ("One moment, please. Your claim is submitted. Thank you, Margaret Hale, and goodbye.", False),
        ("Is everything correct, or would you like to add something?", False),
    ],
)
def test_she_waits_for_what_the_agent_announces(agent_text: str, waits: bool) -> None:
    assert asks_to_wait(agent_text) is waits


def test_she_gives_up_on_an_agent_who_makes_no_sense() -> None:
    caller = ScriptedCaller()
    said = [caller.next_line("Blah.") for _ in range(PATIENCE)]
    assert said == [NOT_UNDERSTOOD] * (PATIENCE - 1) + [GOODBYE]


@pytest.mark.speech
def test_her_words_survive_voice_codec_and_recogniser() -> None:
    import numpy as np

    from service.engine.asr import Recognizer
    from service.engine.rates import Pcm16, from_pcm16, resample, to_pcm16
    from service.engine.voice import Voice

    voice, recognizer = Voice(pitch=0.84), Recognizer()
    recognizer.load()

    def over_the_telephone(pcm24k: Pcm16) -> Pcm16:
        # mu-law companding of ITU-T G.711, as its continuous curve with 8 bits.
        narrow = np.clip(resample(from_pcm16(pcm24k), 24_000, 8_000), -1, 1)
        companded = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
        steps = np.round(companded * 127) / 127
        expanded = np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255
        return to_pcm16(resample(expanded.astype(np.float32), 8_000, 24_000))

    def heard(text: str) -> str:
        pause = np.zeros(4_800, dtype=np.int16)
        spoken = np.concatenate(list(voice.synthesize(text, seed=3)))
        return recognizer.transcribe(np.concatenate([pause, over_the_telephone(spoken), pause])).text

    lines, tools = conversation(heard)
    assert tools == [ToolCall("end_call", {"reason": "completed", "claim": dict(EXPECTED_CLAIM)})]
    assert len(lines) == 11
