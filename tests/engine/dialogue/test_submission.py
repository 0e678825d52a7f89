"""Submitting and keeping a claim: the functions that a session may have for it, and what their outputs lead to."""

from __future__ import annotations

from datetime import date

import pytest

from service.engine.dialogue import Dialogue, Reply
from service.engine.dialogue.claim import Field
from service.engine.dialogue.outcome import Outcome, read_outcome

CONFIRMED = (
    "Margaret Hale", "K7M2 40B9", "It's an auto claim.", "555-014-2277", "November 14th at 5:30 PM", "Yes.",
    "No one was hurt, and the car is drivable.", "No report, and no witnesses.", "He hit me.", "Yes.",
)  # fmt: skip
SUBMITTED = "Submitted. Its reference is C7K-4QX-92M. Tell the caller the reference character by character."
KEPT = "Kept. Its reference is C7K-4QX-92M. Tell the caller the reference character by character."


def begun(*functions: str) -> Dialogue:
    dialogue = Dialogue(today=date(2026, 11, 21))
    dialogue.may_call({"end_call", *functions})
    dialogue.greet()
    return dialogue


def says(dialogue: Dialogue, *turns: str) -> Reply:
    return [dialogue.hear(turn) for turn in turns][-1]


def called(reply: Reply | None) -> str | None:
    return reply.tool.name if reply and reply.tool else None


def test_a_confirmed_claim_is_submitted_before_the_goodbye_and_its_reference_is_said() -> None:
    dialogue = begun("submit_claim")
    reply = says(dialogue, *CONFIRMED)
    assert called(reply) == "submit_claim"
    assert "goodbye" not in reply.text.lower()
    answer = dialogue.answered("submit_claim", SUBMITTED)
    assert answer is not None
    assert "C7K-4QX-92M" in answer.text
    assert answer.text.endswith("goodbye.")
    assert answer.tool is not None
    assert (answer.tool.name, answer.tool.arguments["reason"]) == ("end_call", "completed")
    assert dialogue.answered("submit_claim", SUBMITTED) is None


def test_a_session_without_such_a_function_submits_by_saying_so() -> None:
    reply = says(begun(), *CONFIRMED)
    assert called(reply) == "end_call"
    assert "submitting your claim" in reply.text


def test_what_is_missing_is_asked_for_once_and_the_claim_submitted_again() -> None:
    dialogue = begun("submit_claim")
    says(dialogue, *CONFIRMED)
    refusal = "Not submitted yet: phone: not known yet. Ask the caller for it. Then call submit_claim again."
    asked = dialogue.answered("submit_claim", refusal)
    assert asked is not None
    assert "phone number" in asked.text
    assert called(says(dialogue, "555-014-2278", "Yes.")) == "submit_claim"
    assert dialogue.claim.phone == "5550142278"
    last = dialogue.answered("submit_claim", refusal)
    assert called(last) == "end_call"
    assert last is not None
    assert "couldn't submit" in last.text


def test_an_address_stands_for_a_policy_number_that_is_not_known() -> None:
    dialogue = begun("submit_claim")
    says(dialogue, CONFIRMED[0], "I don't know my policy number.", *CONFIRMED[2:])
    asked = dialogue.answered("submit_claim", "Not submitted yet: address: not asked yet. Ask the caller for it.")
    assert asked is not None
    assert "what is your address?" in asked.text
    assert "Address 12 High Street, Springfield." in says(dialogue, "It's 12 High Street, Springfield.").text
    assert called(says(dialogue, "Yes.")) == "submit_claim"
    assert dialogue.claim.as_arguments()["address"] == "12 High Street, Springfield"


def test_what_is_not_confirmed_is_read_back() -> None:
    dialogue = begun("submit_claim")
    says(dialogue, *CONFIRMED)
    output = 'Not submitted yet: phone: "5550142277" is not confirmed. Read it back and ask whether it is right.'
    asked = dialogue.answered("submit_claim", output)
    assert asked is not None
    assert "Phone number 555 014 2277." in asked.text
    assert called(says(dialogue, "Yes.")) == "submit_claim"


def test_who_speaks_instead_of_waiting_is_listened_to() -> None:
    dialogue = begun("submit_claim")
    says(dialogue, *CONFIRMED)
    assert "555 014 2278" in says(dialogue, "Wait, my phone number is 555-014-2278.").text
    assert called(says(dialogue, "Yes.")) == "submit_claim"


def test_waiting_for_a_function_is_no_silence_of_the_callers() -> None:
    dialogue = begun("submit_claim")
    says(dialogue, *CONFIRMED)
    assert dialogue.silence().text == "One moment, please."
    dialogue.silence()
    assert called(dialogue.silence()) == "end_call"


def test_who_has_to_go_is_told_the_reference_under_which_the_claim_is_kept() -> None:
    dialogue = begun("pause_claim")
    assert called(says(dialogue, "Margaret Hale", "Sorry, I have to go now.")) == "pause_claim"
    answer = dialogue.answered("pause_claim", KEPT)
    assert answer is not None
    assert "C7K-4QX-92M" in answer.text
    assert answer.tool is not None
    assert answer.tool.arguments["reason"] == "caller_request"


def test_who_has_to_go_at_once_is_let_go() -> None:
    dialogue = begun("pause_claim")
    assert called(says(dialogue, "Margaret Hale", "I have to go now.", "Bye!")) == "end_call"


def test_the_output_of_another_function_is_nothing_to_speak_of() -> None:
    assert begun("submit_claim").answered("request_human", "Noted.") is None


@pytest.mark.parametrize(
    ("output", "outcome"),
    [
        (SUBMITTED, Outcome("C7K-4QX-92M")),
        ('{"reference": "C7K-4QX-92M", "state": "submitted"}', Outcome("C7K-4QX-92M")),
        ("", Outcome()),
        ("No claim is kept under that reference and that name.", Outcome()),
        ("Your reference is important.", Outcome()),
        (
            'policy_number: you read back EG007, and the transcript has X007. Ask again. phone: "1" is not confirmed.',
            Outcome(None, (Field.POLICY_NUMBER,), (Field.PHONE,)),
        ),
    ],
)
def test_an_output_is_read_for_a_reference_or_for_what_is_in_the_way(output: str, outcome: Outcome) -> None:
    assert read_outcome(output) == outcome
