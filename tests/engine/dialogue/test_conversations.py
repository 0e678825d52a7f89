"""Whole calls, turn by turn: what the caller says, what the agent does, and the claim at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import pytest

from service.engine.dialogue import Dialogue, Reply, ToolCall

TODAY = date(2026, 11, 21)
BASICS = ("Margaret Hale", "K7M2 40B9", "It's an auto claim.", "555-014-2277", "November 14th at 5:30 PM")
CLARIFIED = (
    "Yes.",
    "No one was hurt, and the car is drivable.",
    "There was no police report, and no witnesses.",
    "Another car hit me from behind.",
)


@dataclass
class Call:
    """A call on paper."""

    dialogue: Dialogue = field(default_factory=lambda: Dialogue(today=TODAY))
    replies: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replies.append(self.dialogue.greet())

    @property
    def text(self) -> str:
        return self.replies[-1].text

    @property
    def question(self) -> str:
        """The agent's last sentence."""
        return self.text.split(". ")[-1]

    def says(self, *turns: str) -> str:
        for turn in turns:
            self.replies.append(self.dialogue.hear(turn))
        return self.text

    def cuts_in(self, after: str, turn: str) -> str:
        heard = self.text[: self.text.index(after) + len(after)]
        self.dialogue.interrupted(heard)
        return self.says(turn)

    def silent(self) -> str:
        self.replies.append(self.dialogue.silence())
        return self.text

    @property
    def tools(self) -> list[ToolCall]:
        return [reply.tool for reply in self.replies if reply.tool]

    @property
    def claim(self) -> dict[str, object]:
        return self.dialogue.claim.as_arguments()


def test_cooperative_caller_is_done_in_ten_turns() -> None:
    call = Call()
    turns = (
        "My name is Margaret Hale, and my policy number is K7M2 40B9.",
        "It's an auto claim.",
        "555-014-2277",
        "November 14th at 5:30 PM",
        "Yes, that's right.",
        "No one was hurt, but the car can't be driven.",
        "Yes, the police report number is 4417, and there were no witnesses.",
        "Another car hit me from behind.",
        "Yes.",
    )
    call.says(*turns)
    assert call.tools == [
        ToolCall(
            "end_call",
            {
                "reason": "completed",
                "claim": {
                    "policyholder": "Margaret Hale",
                    "policy_number": "K7M2-40B9",
                    "kind": "auto",
                    "phone": "5550142277",
                    "incident_at": "2026-11-14T17:30",
                    "injuries": False,
                    "drivable": False,
                    "safe_to_occupy": None,
                    "report_filed": True,
                    "report_number": "4417",
                    "witnesses": False,
                    "account": "Another car hit me from behind.",
                },
            },
        )
    ]
    assert "goodbye" in call.text.lower()


def test_greeting_says_that_a_machine_speaks_and_that_the_call_is_transcribed() -> None:
    text = Dialogue(agent_name="Ada", company="Acme Mutual", today=TODAY).greet().text
    assert "Acme Mutual" in text
    assert "Ada, an automated assistant" in text
    assert "transcribed" in text
    assert text.endswith("full legal name?")


def test_every_basic_field_is_acknowledged_and_read_back_before_it_is_confirmed() -> None:
    call = Call()
    acknowledged = [call.says(turn) for turn in BASICS]
    for reply, value in zip(acknowledged, ("Margaret Hale", "K7M2-40B9", "auto claim", "555 014 2277"), strict=False):
        assert value in reply
    read_back = acknowledged[-1]
    for value in ("Margaret Hale", "K7M2-40B9", "auto claim", "555 014 2277", "Saturday, November 14th, at 5:30 PM"):
        assert value in read_back
    assert read_back.endswith("Is that correct?")


def test_misheard_policy_number_is_corrected_and_a_wrong_name_is_spelled() -> None:
    call = Call()
    call.says("My full legal name is Minhajul Haque.")
    assert "nine characters" in call.says("Sure, my policy number is AG007-PX75.")
    assert "X007-PX75" in call.says("No, I said X007-PX75.")
    text = call.says("It's an auto one, but I think you got my name wrong. Can you ask my name again?")
    assert call.claim["kind"] == "auto"
    assert call.claim["policyholder"] is None
    assert "spell" in text
    text = call.says("M-I-N-H A-J-U-L H-O-Q-U-E")
    assert "Minhajul Hoque, spelled M, I, N, H, A, J, U, L, H, O, Q, U, E" in text
    assert "phone number" in call.question
    assert call.claim["policyholder"] == "Minhajul Hoque"
    assert call.claim["policy_number"] == "X007-PX75"


def test_caller_cuts_into_the_read_back_with_a_correction_and_hears_only_the_rest() -> None:
    call = Call()
    call.says(*BASICS)
    text = call.cuts_in("Phone number 555", "No, wait. The phone number is 555-014-2278.")
    assert call.claim["phone"] == "5550142278"
    assert "555 014 2278" in text
    assert "November 14th" in text, "what was not heard yet is read"
    assert "Margaret Hale" not in text, "what was heard is not read again"
    assert "injured" in call.says("Yes, that's right.")


def test_bare_correction_in_the_read_back_concerns_what_was_just_heard() -> None:
    call = Call()
    call.says(*BASICS)
    call.cuts_in("Phone number 555 014 2277", "No, it ends in 78.")
    assert call.claim["phone"] == "5550142278"


def test_yes_in_the_middle_of_the_read_back_confirms_nothing_unheard() -> None:
    call = Call()
    call.says(*BASICS)
    text = call.cuts_in("Policy number K7M2-40B9.", "Mm-hmm.")
    assert text.startswith("An auto claim. Phone number")
    assert text.endswith("Is that correct?")
    assert "injured" in call.says("Yes.")


def test_interrupting_with_a_fact_is_taken_up_at_once() -> None:
    call = Call()
    call.says("Margaret Hale")
    text = call.cuts_in("To link", "Sorry, my policy number is K7M2 40B9.")
    assert "K7M2-40B9" in text
    assert "car, your home" in call.question


def test_yes_to_a_question_that_was_not_heard_is_no_answer() -> None:
    call = Call()
    call.says(*BASICS, "Yes.")
    call.cuts_in("Thank you.", "Yes.")
    assert call.claim["injuries"] is None
    assert "anyone injured" in call.question


def test_notice_that_was_talked_over_is_given_later() -> None:
    call = Call()
    text = call.cuts_in("Thank you for", "Hello? My name is Margaret Hale.")
    assert "automated assistant" in text
    assert "transcribed" in text
    assert "automated" not in call.says("K7M2 40B9")


@pytest.mark.parametrize(
    ("turns", "known"),
    [
        (("Hi, I was in a car accident yesterday.", "Margaret Hale"), {"kind": "auto", "incident_at": "2026-11-20"}),
        (("My name is Margaret Hale and you can reach me at 555 014 2277.",), {"phone": "5550142277"}),
        (("Margaret.", "Hale."), {"policyholder": "Margaret Hale"}),
        (("Margaret Hale", "K7M2", "40B9"), {"policy_number": "K7M2-40B9"}),
        (("Margaret Hale", "It's K7M2 40B9, and it's about my car."), {"policy_number": "K7M2-40B9", "kind": "auto"}),
        ((*BASICS[:3], "555", "014 2277"), {"phone": "5550142277"}),
        ((*BASICS[:3], "One, 555, 014, 2277."), {"phone": "5550142277"}),
        ((*BASICS[:4], "yesterday at about six", "in the evening"), {"incident_at": "2026-11-20T18:00"}),
        ((*BASICS[:4], "last Friday", "at noon"), {"incident_at": "2026-11-20T12:00"}),
        ((*BASICS[:4], "tomorrow", "sorry, yesterday at 6 PM"), {"incident_at": "2026-11-20T18:00"}),
        ((*BASICS, "No, it was on November 13th."), {"incident_at": "2026-11-13T17:30"}),
        ((*BASICS, "No, it's Margaret Hail."), {"policyholder": "Margaret Hail"}),
        ((*BASICS, "No.", "The phone number.", "555 014 2278"), {"phone": "5550142278"}),
        ((*BASICS, "Yes, but the policy number is wrong.", "K7M2 40B8"), {"policy_number": "K7M2-40B8"}),
        ((*BASICS, "Could you change my name to Margaret Hail?"), {"policyholder": "Margaret Hail"}),
        ((*BASICS, "Yes.", "No.", "No."), {"injuries": False, "drivable": False}),
        ((*BASICS, "Yes.", "My wife was hurt.", "Yes."), {"injuries": True, "drivable": True}),
        ((*BASICS, "Yes.", "No and yes.", "Yes.", "No.", "RB 2026 4417"), {"report_number": "RB20264417"}),
        ((*BASICS, *CLARIFIED, "No, the car is not drivable."), {"drivable": False}),
        ((*BASICS, *CLARIFIED, "Yes, and the other driver drove away."),
         {"account": "Another car hit me from behind. The other driver drove away."}),
        ((*BASICS[:2], "a home claim", *BASICS[3:], "Yes.", "Nobody was hurt, and it's not safe to stay there."),
         {"injuries": False, "safe_to_occupy": False, "drivable": None}),
    ],
)  # fmt: skip
def test_what_is_understood(turns: Sequence[str], known: dict[str, object]) -> None:
    call = Call()
    call.says(*turns)
    assert {name: call.claim[name] for name in known} == known


def test_another_kind_of_claim_is_explained_at_once_and_not_asked_about_again() -> None:
    call = Call()
    assert "what happened" in call.says(*BASICS[:2], "Something else.")
    assert "phone" in call.says("My bicycle was stolen from the garage.")
    text = call.says(*BASICS[3:], "Yes.", "No.", "No and no.")
    assert text.endswith("would you like to add something?")
    assert call.claim["account"] == "My bicycle was stolen from the garage."


def test_policy_number_of_the_wrong_length_is_asked_for_twice_more_then_left_open() -> None:
    call = Call()
    call.says("Margaret Hale")
    assert "six characters" in call.says("K7M240")
    assert "seven characters" in call.says("K7M240B")
    assert "car, your home" in call.says("K7M24")
    assert call.claim["policy_number"] is None


def test_what_the_caller_cannot_tell_is_left_open_and_submitted_as_null() -> None:
    call = Call()
    call.says("Margaret Hale", "I don't know my policy number.", "auto", "I don't know.", "I don't remember.")
    assert "still open" in call.text
    call.says("Yes.", "I'm not sure, and I don't know.", "No and no.", "I can't say.", "Yes.")
    assert call.tools[0].arguments["reason"] == "completed"
    claim = call.claim
    assert claim["policyholder"] == "Margaret Hale"
    assert [claim[name] for name in ("policy_number", "phone", "incident_at", "injuries", "drivable", "account")] == [
        None
    ] * 6


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Am I covered for that?", "adjuster"),
        ("Should I get a lawyer?", "legal advice"),
        ("Are you a robot?", "automated assistant"),
        ("I want to talk to a real person.", "a person will"),
        ("I have two accidents to report.", "its own claim"),
        ("Where do I find that?", "insurance card"),
        ("Can you repeat that?", "policy number"),
    ],
)
def test_asides_are_answered_and_the_question_comes_back(said: str, answer: str) -> None:
    call = Call()
    call.says("Margaret Hale")
    text = call.says(said)
    assert answer in text
    assert call.question.endswith("policy number?")
    assert call.says("K7M2 40B9").startswith("Policy number K7M2-40B9")


def test_someone_hurt_and_someone_upset_are_met_with_words() -> None:
    call = Call()
    call.says(*BASICS, "Yes.")
    text = call.says("Yes, my son is hurt, and the car was towed. It was terrible.")
    assert "stressful" in text
    assert "sorry that someone was hurt" in text
    assert "911" in text


def test_goodbye_in_the_middle_ends_the_call_and_keeps_the_claim() -> None:
    call = Call()
    text = call.says("Margaret Hale", "Sorry, I have to go now. Goodbye.")
    assert "call us again" in text
    assert call.tools[0].arguments["reason"] == "caller_request"
    assert call.claim["policyholder"] == "Margaret Hale"
    call.says("Bye.")
    call.silent()
    assert len(call.tools) == 1


def test_silence_is_asked_about_then_ends_the_call() -> None:
    call = Call()
    assert "still there" in call.silent()
    assert call.text.endswith("full legal name?")
    call.silent()
    assert not call.tools
    call.silent()
    assert call.tools[0].arguments["reason"] == "no_input"


def test_who_asks_for_a_moment_gets_more_time() -> None:
    call = Call()
    assert "Take your time" in call.says("Hold on, please.")
    for _ in range(4):
        call.silent()
    assert not call.tools
    call.silent()
    assert call.tools


def test_read_back_denied_for_ever_ends() -> None:
    call = Call()
    call.says(*BASICS)
    for _ in range(40):
        call.says("No.")
    assert len(call.tools) == 1


def test_no_question_is_longer_than_twenty_words() -> None:
    call = Call()
    for turn in (*BASICS, *CLARIFIED[:2], "There was a police report, and no witnesses.", "4417", "He hit me."):
        assert len(call.question.split()) <= 20, call.question
        call.says(turn)


def test_agent_promises_nothing() -> None:
    call = Call()
    call.says(*BASICS, *CLARIFIED, "Will you pay for everything?", "Yes.")
    spoken = " ".join(reply.text.lower() for reply in call.replies)
    for word in ("guarantee", "promise", "approve", "will pay", "covered", "compensat"):
        assert word not in spoken
