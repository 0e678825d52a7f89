"""Texts that cannot be transcripts are marked; what callers say never is."""

from __future__ import annotations

from importlib import resources

import pytest

from service.demo import script
from service.transcript.difference import word_error_rate
from service.transcript.doubt import Doubt
from service.transcript.request import suited
from tests.speech_material import PROMPTS

INSTRUCTIONS = resources.files("service.transcript").joinpath("instructions.txt").read_text("utf-8")
DOUBT = Doubt(suited(INSTRUCTIONS, "full"))


def suspicion(text: str, *, ms: int = 0, other: str | None = None, answer: str = "") -> str | None:
    return DOUBT.about(text, duration_ms=ms, second_opinion=other, answer=answer)


@pytest.mark.parametrize("other", ["Hello", None, ""])
def test_the_published_answer_in_place_of_a_transcript(other: str | None) -> None:
    assert suspicion("Hello. How can I help you today?", ms=1600, other=other) == "answer"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I'm sorry, but I can't assist with that.", "refusal"),
        ("I cannot transcribe this audio.", "refusal"),
        ("As an AI language model, I have no ears.", "refusal"),
        ("There is no audio provided.", "refusal"),
        ("**My name** is Hale.", "markdown"),
        ("# Transcript\nMy name is Hale.", "markdown"),
        ("- My name is Hale\n- My car was hit", "markdown"),
        ("```\nHello\n```", "markdown"),
        ("Here is the transcript: my name is Hale.", "answer"),
        ("Transcript: my name is Hale.", "answer"),
        ("The caller says that her name is Hale.", "answer"),
        ("Write down, word for word, what the caller says in this turn, and nothing else.", "instructions"),
        ("Never add, drop or swap a character.", "instructions"),
        ("Only the last caller turn is to be written down.", "instructions"),
    ],
)
def test_what_a_model_says_in_place_of_a_transcript(text: str, why: str) -> None:
    assert suspicion(text) == why


def test_more_words_than_fit_into_the_speech() -> None:
    account = "I stopped at a red light and another car hit me from behind and then it drove away"
    assert suspicion(account, ms=1500) == "too_many_words"
    assert suspicion(account, ms=4000) is None
    assert suspicion(account, ms=0) is None
    assert suspicion(account, ms=1500, other=account.lower()) is None


def test_a_question_that_the_agent_asks_only_afterwards() -> None:
    text = "Sure. Could you tell me your full legal name, please?"
    answer = "Certainly. Could you tell me your full legal name please?"
    assert suspicion(text, answer=answer) == "answer"
    assert suspicion("Could you tell me what happens now?", answer=answer) is None


def test_a_question_for_the_callers_own_data_behind_what_the_other_heard() -> None:
    assert suspicion("Hello. Can you tell me your full name, please?", other="Hello.") == "answer"
    assert suspicion("Hello. Can you hear me?", other="Hello.") is None
    assert suspicion("What is your name?", other="What is your name?") is None


def test_an_answer_behind_a_true_transcript_is_found_although_most_words_agree() -> None:
    told = "My name is Margaret Hale and my policy number is K7M2-40B9."
    assert suspicion(f"{told} How can I help you today?", other=told) == "answer"


def test_words_that_the_second_opinion_heard_as_well_are_the_callers() -> None:
    said = "So I asked them, how can I help you, and they drove off."
    assert suspicion(said, other="so I asked them how can I help you and they drove off") is None


def test_silence_is_no_reason_for_doubt() -> None:
    assert suspicion("", ms=3000, other="Hello") is None


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
def test_human_speech_is_never_suspect(prompt: object) -> None:
    text = prompt.text  # type: ignore[attr-defined]
    assert suspicion(text) is None
    assert suspicion(text, other=text.lower()) is None
    assert suspicion(text, other="Hello.", answer="Thank you. What is your policy number?") is None


CALLER = sorted(
    {line for pair in script._LINES.values() for line in pair}
    | {script.INTERRUPTION.text, script.GOODBYE.text, script.NOT_UNDERSTOOD.text}
)
SEED = (
    "Yep.",
    "Yeah, can you ask me my name again?",
    "No, can you ask me my name again, this is important.",
    "It's an auto one, but I think you got my name wrong. Can you ask my name again?",
    "My full legal name is M-I-N-H A-J-U-L H-O-Q-U-E",
    "That is indeed correct.",
    "No, I said X007-PX75.",
)
OTHERS = (
    "I'm sorry, I can't hear you.",
    "I can't help you with that number, my husband has it.",
    "Can you help me?",
    "Hello? Is anybody there?",
    "What do you mean by your claim number?",
    "I am not able to drive it.",
    "Sorry, I don't have any report number.",
    "There was no speech, he just drove off.",
    "It's number # 4417.",
    "1. K 2. M",
    "- no, wait",
    "Is this the number for your claims department?",
    "How can I help you understand? The car is gone.",
)


@pytest.mark.parametrize("said", [*CALLER, *SEED, *OTHERS[:-1]])
def test_what_callers_say_is_never_suspect(said: str) -> None:
    for other in (None, "", said, "Hello."):
        assert suspicion(said, other=other, answer="Thank you. Was anyone injured in the accident?") is None


def test_even_a_callers_offer_of_help_passes_where_both_heard_it() -> None:
    assert suspicion(OTHERS[-1]) == "answer"
    assert suspicion(OTHERS[-1], other=OTHERS[-1]) is None
    assert word_error_rate(OTHERS[-1], OTHERS[-1]) == 0
