"""What the agent read back against what the transcripts say."""

from __future__ import annotations

import pytest

from service.claim.claim import Claim, Conflict, FieldState
from service.claim.extraction import Said
from service.claim.readback import NOT_IN_TRANSCRIPT, Readback

POLICY = "My policy number is X007-PX75."
WRONG = "Just to confirm, I heard your policy number as E G 0 0 7 - P X 7 5. Is that correct?"
RIGHT = "Your policy number is X 0 0 7, P X 7 5. Is that correct?"


def talk(*lines: str) -> list[Said]:
    """Lines that begin with "> " are the caller's."""
    said: list[Said] = []
    for line in lines:
        turn = sum(one.turn is not None for one in said) + 1
        said.append(Said("caller", line[2:], turn) if line.startswith("> ") else Said("agent", line))
    return said


def claim(*, confirmed: bool = False, **values: str) -> Claim:
    return Claim("C7K-4QX-92M").with_fields({name: FieldState(one, (1,), confirmed) for name, one in values.items()})


def conflict(known: Claim, *lines: str, name: str = "policy_number") -> Conflict | None:
    (after,) = Readback().reviewed((known,), talk(*lines))
    return after.fields[name].conflict


def test_a_code_that_no_caller_turn_holds_is_a_conflict() -> None:
    found = conflict(claim(policy_number="X007-PX75"), f"> {POLICY}", WRONG)
    assert found == Conflict("EG007PX75", "X007-PX75", (1,))


def test_it_stays_while_the_agent_repeats_itself_whatever_is_confirmed() -> None:
    repeated = (f"> {POLICY}", WRONG, "> No, I said X007-PX75.", WRONG, "> It's an auto.")
    assert conflict(claim(policy_number="X007-PX75", confirmed=True), *repeated) is not None


def test_it_goes_when_the_agent_has_it_right_and_the_caller_has_agreed() -> None:
    mended = (f"> {POLICY}", WRONG, "> No, I said X007-PX75.", RIGHT)
    known, agreed = claim(policy_number="X007-PX75"), claim(policy_number="X007-PX75", confirmed=True)
    assert conflict(agreed, *mended) is not None
    assert conflict(known, *mended, "> Hm.") is not None
    assert conflict(agreed, *mended, "> Yes.") is None
    assert conflict(agreed, *mended, "> Yes.", WRONG) is not None


@pytest.mark.parametrize(
    "line",
    [
        RIGHT,
        "I have X, zero, zero, seven, P, X, seven, five. Right?",
        "Your policy number is X 0 0 7",
        "Next, your policy number. It's usually in a format like XXXX-XXXX.",
        "Thank you. Your policy number has two groups of four characters.",
        "Your policy is noted, and the incident was on November 14, 2026, at 5:30 PM.",
        "Call 911 if anyone is hurt.",
        "Your claim's reference is C 7 K, 4 Q X, 9 2 M.",
        "It's auto. And your phone number?",
    ],
)
def test_what_the_caller_said_and_what_is_no_code_is_no_conflict(line: str) -> None:
    assert conflict(claim(policy_number="X007-PX75"), f"> {POLICY}", line) is None


@pytest.mark.parametrize(
    "said", ["ex double oh seven, P X 7 5", "X zero zero seven PX seventy-five", "X-0-0-7. P, X, 7, 5."]
)
def test_a_code_may_be_spoken_in_many_ways(said: str) -> None:
    found = conflict(claim(policy_number="X007-PX75"), f"> It is {said}", RIGHT)
    assert found is None


def test_a_code_that_was_given_in_two_turns_is_one_code() -> None:
    assert conflict(claim(policy_number="X007-PX75"), "> It's X007.", "And then?", "> P X 7 5.", RIGHT) is None


def test_pressed_keys_count_as_said() -> None:
    keys = [Said("caller", "[keys pressed: 5 5 5 0 1 4 2 2 7 8]")]
    said = [*keys, Said("agent", "Your phone number is 5 5 5, 0 1 4, 2 2 7 8.")]
    (after,) = Readback().reviewed((claim(phone="5550142278"),), said)
    assert after.fields["phone"].conflict is None


def test_a_misheard_code_is_found_without_a_word_for_what_it_is() -> None:
    found = conflict(claim(policy_number="X007-PX75"), f"> {POLICY}", "So that's E G 0 0 7 P X 7 5, right?")
    assert found is not None
    assert found.agent == "EG007PX75"


def test_each_code_of_a_summary_is_held_against_its_own_field() -> None:
    known = claim(policy_number="X007-PX75", phone="5550142278", policyholder="Maria Lopez")
    lines = (
        f"> I'm Maria Lopez. {POLICY} My phone is 555 014 2278.",
        "Your name is M-A-R-I-A L-O-P-E-S, your policy number is X007-PX75, and I'll call you at 5 5 5 0 1 4 2 2 7 9.",
    )
    (after,) = Readback().reviewed((known,), talk(*lines))
    found = {name: state.conflict.agent for name, state in after.fields.items() if state.conflict}
    assert found == {"policyholder": "MARIAL0PES", "phone": "5550142279"}


def test_a_spelled_name_is_compared_and_one_that_is_only_said_is_not() -> None:
    known = claim(policyholder="Minhajul Hoque")
    spelled = "> My name is M-I-N-H-A-J-U-L H-O-Q-U-E."
    assert conflict(known, spelled, "Thank you, Minhajul Haque.", name="policyholder") is None
    right = "Your name is spelled M-I-N-H-A-J-U-L, and the last name H-O-Q-U-E?"
    assert conflict(known, spelled, right, name="policyholder") is None
    wrong = "And the last name is H-A-Q-U-E?"
    assert conflict(known, spelled, wrong, name="policyholder") is not None


def test_nothing_is_in_conflict_before_the_caller_has_said_anything_of_it() -> None:
    (after,) = Readback().reviewed((claim(policyholder="Maria Lopez"),), talk("> Maria Lopez.", WRONG))
    assert [state.conflict for state in after.fields.values()] == [None]


def test_of_two_claims_the_one_is_meant_whose_value_it_resembles() -> None:
    claims = (claim(policy_number="X007-PX75"), claim(policy_number="K7M2-40B9"))
    lines = talk(f"> {POLICY} The other is K7M2-40B9.", "The policy number is K 7 N 2 4 0 B 9?")
    first, second = Readback().reviewed(claims, lines)
    assert first.fields["policy_number"].conflict is None
    assert second.fields["policy_number"].conflict is not None


def test_a_code_taken_from_the_agents_words_is_marked() -> None:
    """The model that fills the claim reads both sides."""
    (after,) = Readback().reviewed((claim(policy_number="EG00-7PX7"),), talk(f"> {POLICY}", WRONG, "> Yes."))
    state = after.fields["policy_number"]
    assert state.problems == (NOT_IN_TRANSCRIPT,)
    assert state.conflict is not None
    assert state.conflict.caller == "X007PX75"


def test_what_an_earlier_call_knew_may_be_read_back() -> None:
    known = Claim("C7K-4QX-92M").with_fields({"policy_number": FieldState("X007-PX75", source="earlier_call")})
    (after,) = Readback().reviewed((known,), talk("> I called yesterday.", RIGHT, "> Yes."))
    assert after == known
    (misread,) = Readback().reviewed((known,), talk("> I called yesterday.", WRONG))
    assert misread.fields["policy_number"].conflict is not None


def test_looking_again_changes_nothing() -> None:
    readback, lines = Readback(), talk(f"> {POLICY}", WRONG)
    once = readback.reviewed((claim(policy_number="X007-PX75"),), lines)
    assert readback.reviewed(once, lines) == once
