"""Every pair of question and kind of answer is decided, and no caller can break or trap the dialogue."""

from __future__ import annotations

import json
from datetime import date
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.dialogue import Dialogue
from service.engine.dialogue.dialogue import MAX_TURNS
from service.engine.dialogue.table import TABLE, Act, Action, Question

TODAY = date(2026, 11, 21)
PHRASES = (
    "", "Yes.", "No.", "I don't know.", "Margaret Hale", "H A L E", "K7M2 40B9", "K7M2", "4417", "555 014 2277",
    "My policy number is X007 PX75", "the last four digits are 2278", "It's an auto claim", "a home claim",
    "something else", "yesterday at six", "in the evening", "tomorrow", "No one was hurt", "The phone number",
    "No, the car can't be driven", "You got my name wrong", "No, the date is wrong", "Can you repeat that?", "hold on",
    "Am I covered?", "Should I sue him?", "I want a real person", "It was terrible", "Also, he drove away",
    "He hit me from behind at the lights.", "The report number is 4417", "Yes, but the policy number is wrong",
)  # fmt: skip


def test_every_pair_is_decided() -> None:
    assert set(TABLE) == set(product(Question, Act))
    assert set(TABLE.values()) == set(Action), "no action is out of reach"


@pytest.mark.parametrize("act", Act)
def test_after_the_goodbye_nothing_is_reopened(act: Act) -> None:
    assert TABLE[Question.DONE, act] is Action.CLOSED


def test_only_a_confirmed_summary_submits() -> None:
    assert [pair for pair, action in TABLE.items() if action is Action.SUBMIT] == [(Question.RECAP, Act.YES)]


turns = st.one_of(st.text(max_size=60), st.sampled_from(PHRASES))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(turns, st.sampled_from(("hear", "silence", "interrupt")), st.text(max_size=40)), max_size=60))
def test_no_caller_breaks_the_dialogue(calls: list[tuple[str, str, str]]) -> None:
    dialogue = Dialogue(today=TODAY)
    said = dialogue.greet().text
    tools = []
    for turn, how, heard in calls:
        if how == "interrupt":
            dialogue.interrupted(heard if len(heard) % 2 else said[: len(heard) * 3])
        reply = dialogue.silence() if how == "silence" else dialogue.hear(turn)
        said = reply.text
        assert said
        if reply.tool is not None:
            tools.append(reply.tool)
            json.dumps(reply.tool.arguments)
    assert len(tools) <= 1


@settings(max_examples=40, deadline=None)
@given(st.lists(turns, min_size=1, max_size=5))
def test_every_call_ends(pattern: list[str]) -> None:
    dialogue = Dialogue(today=TODAY)
    dialogue.greet()
    tools = [dialogue.hear(pattern[i % len(pattern)]).tool for i in range(MAX_TURNS + 2)]
    ended = [tool for tool in tools if tool is not None]
    assert len(ended) == 1
    assert ended[0].name == "end_call"
    assert ended[0].arguments["reason"] in {"completed", "caller_request", "no_input"}


def test_endless_noise_is_given_up_soon() -> None:
    dialogue = Dialogue(today=TODAY)
    dialogue.greet()
    ended = next(turn for turn in range(MAX_TURNS) if dialogue.hear("...").tool)
    assert ended < 40


def test_a_megabyte_of_speech_is_no_trouble() -> None:
    dialogue = Dialogue(today=TODAY)
    dialogue.greet()
    for text in (
        "a " * 500_000,
        "M-" * 500_000,
        "1" * 1_000_000,
        "no, " * 250_000,
        "\u0660" * 1000,
        "\U0001f697" * 1000,
    ):
        assert dialogue.hear(text).text
