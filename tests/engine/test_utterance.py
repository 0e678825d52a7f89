"""What the agent says, sentence by sentence, and how much of it was heard."""

from __future__ import annotations

import pytest

from service.engine.utterance import Utterance, sentences, words


def test_sentences_put_together_are_the_reply() -> None:
    text = "Thank you, Mr. Smith.  Is it J. Doe? Yes!"
    assert sentences(text) == ("Thank you, Mr. Smith.", "Is it J. Doe?", "Yes!")
    assert " ".join(sentences(text)) == " ".join(text.split())
    assert sentences("  ") == ()


def test_deltas_put_together_are_the_text() -> None:
    assert "".join(words("One two  three.")) == "One two  three."


@pytest.mark.parametrize(
    ("heard_ms", "heard"),
    [
        (0, ""),
        (200, ""),
        (300, "One"),
        (600, "One two"),
        (1000, "One two three."),
        (1500, "One two three. Four"),
        (2000, "One two three. Four five."),
        (None, "One two three. Four five."),
    ],
)
def test_only_whole_words_were_heard(heard_ms: int | None, heard: str) -> None:
    spoken = Utterance(("One two three.", "Four five."), voiced_ms=[1000, 1000], heard_ms=heard_ms)
    assert spoken.heard_text() == heard


def test_a_sentence_cut_off_early_was_not_heard_to_its_end() -> None:
    spoken = Utterance(("Could you tell me your policy number, please?",), voiced_ms=[600])
    assert spoken.heard_text() == "Could you"
