"""Log-probabilities of the built-in transcription: asked for by `session.include`, token by token."""

from __future__ import annotations

import math
from typing import Any

import pytest

from service.engine.asr import Recognizer
from service.engine.recognition import Token, Transcript, joined, spelled_by, text_of
from tests.engine.talk import Talk
from tests.speech_material import CALL_PROMPTS, load, over_the_telephone, recognizer

NAME = "conversation.item.input_audio_transcription"
TOKENS = (Token(b"K", -0.5), Token(b" seven", -0.01), Token(b" \xc3", -1.25), Token(b"\xa9", 0.0))


def transcribed(*, include: list[str] | None) -> list[dict[str, Any]]:
    talk = Talk({2000: "K seven"}, recognizes=False)
    session: dict[str, Any] = {"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}}
    if include is not None:
        session["include"] = include
    talk.send("session.update", session=session)
    talk.turn(2000)
    [key] = talk.recognitions
    talk.perform(talk.session.recognized(key, Transcript("K seven é", TOKENS), talk.now_s))
    return [talk.last(f"{NAME}.delta"), talk.last(f"{NAME}.completed")]


def test_they_are_told_where_the_session_asks_for_them() -> None:
    for event in transcribed(include=["item.input_audio_transcription.logprobs"]):
        assert event["logprobs"] == [
            {"token": "K", "logprob": -0.5, "bytes": [75]},
            {"token": " seven", "logprob": -0.01, "bytes": list(b" seven")},
            # A character in two tokens: the bytes are exact, the text of each alone is not.
            {"token": " \ufffd", "logprob": -1.25, "bytes": [32, 0xC3]},
            {"token": "\ufffd", "logprob": 0.0, "bytes": [0xA9]},
        ]


@pytest.mark.parametrize("include", [None, []])
def test_they_are_absent_otherwise(include: list[str] | None) -> None:
    assert all("logprobs" not in event for event in transcribed(include=include))


def test_tokens_spell_the_text() -> None:
    assert text_of(TOKENS) == "K seven é"
    first = (Token(spelled_by("▁It".encode()), -0.1), Token(b"'s", -0.2))
    second = (Token(spelled_by("▁me".encode()), -0.3),)
    assert [token.utf8 for token in joined([first, second])] == [b"It", b"'s", b" me"]
    assert joined([]) == ()


@pytest.fixture(name="ears")
def _ears() -> Recognizer:
    return recognizer()


@pytest.mark.speech
def test_the_recognisers_tokens_spell_what_it_heard(ears: Recognizer) -> None:
    heard = ears.transcribe(over_the_telephone(load(CALL_PROMPTS[0])))
    assert heard.text
    assert text_of(heard.tokens) == heard.text
    assert all(token.logprob <= 0.0 for token in heard.tokens)
    assert math.exp(sum(token.logprob for token in heard.tokens) / len(heard.tokens)) > 0.5
