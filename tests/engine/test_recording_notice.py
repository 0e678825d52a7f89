"""The engine's greeting says that the call is recorded where the session's instructions say so, and only there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from service.app import agent_instructions
from service.config import Agent, Config, Recording
from service.engine.dialogue import Dialogue
from service.prompts import RECORDED
from tests.engine.talk import Talk


def greeting(instructions: str) -> str:
    """What the engine says first, by the transcript of its audio."""
    talk = Talk(dialogue=Dialogue(today=date(2026, 11, 21)))
    talk.send("session.update", session={"type": "realtime", "instructions": instructions})
    talk.send("response.create")
    return str(talk.last("response.output_audio_transcript.done")["transcript"])


def test_with_a_directory_the_greeting_says_that_the_call_is_recorded(tmp_path: Path) -> None:
    said = greeting(agent_instructions(Config(recording=Recording(directory=tmp_path))))
    assert "this call is recorded and transcribed" in said
    assert said.index("recorded") < said.index("?")


def test_without_one_it_does_not() -> None:
    said = greeting(agent_instructions(Config()))
    assert "recorded" not in said
    assert "this call is transcribed" in said


def test_an_operators_own_instructions_are_told_too(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("You sell umbrellas.")
    agent = Agent(instructions_file=own)
    assert agent_instructions(Config(agent=agent)) == "You sell umbrellas."
    told = agent_instructions(Config(agent=agent, recording=Recording(directory=tmp_path)))
    assert told.startswith("You sell umbrellas.\n")
    assert RECORDED in told
    assert "recorded" in greeting(told)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_caller_who_interrupted_the_notice_hears_it_after_all(recorded: bool) -> None:
    dialogue = Dialogue(today=date(2026, 11, 21))
    dialogue.greet(recorded=recorded)
    dialogue.interrupted("Thank you for calling")
    assert ("recorded" in dialogue.hear("Hello?").text) is recorded
