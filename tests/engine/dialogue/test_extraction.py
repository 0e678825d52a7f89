"""Filling a claim from the lines of a call: values, turns, what was confirmed, and what cannot be told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.demo.script import EXPECTED_CLAIM, ScriptedCaller
from service.engine.dialogue import Dialogue
from service.engine.dialogue.extraction import note_claim

TODAY = date(2026, 11, 21)
Fields = dict[str, dict[str, Any]]
Call = list[tuple[str, str]]
"""Who spoke, and the words that were heard."""


def request(lines: Sequence[str], standing: Mapping[str, Any]) -> str:
    claim = {"today": "2026-11-21", "claims": [{"fields": dict(standing)}]}
    return "\n".join([*lines, json.dumps(claim)])


def numbered(call: Call) -> list[str]:
    turn, lines = 0, []
    for speaker, text in call:
        turn += speaker == "caller"
        lines.append(f"caller {turn}: {text}" if speaker == "caller" else f"agent: {text}")
    return lines


def fields_of(lines: Sequence[str], standing: Mapping[str, Any] = {}) -> Fields:
    [claim] = note_claim(request(lines, standing), TODAY)["claims"]
    return dict(claim["fields"])


def turn_by_turn(lines: Sequence[str], last: int) -> Fields:
    """Asked after every caller turn, with the last lines only, each answer laid over what stands."""
    standing: Fields = {}
    for end, line in enumerate(lines, 1):
        if line.startswith("caller"):
            standing |= fields_of(lines[max(0, end - last) : end], standing)
    return standing


def demo_call() -> Call:
    """The demo's caller and the engine's agent; of a line that she cuts short, what she let it say."""
    dialogue, caller = Dialogue(today=TODAY), ScriptedCaller()
    call: Call = []
    reply = dialogue.greet()
    while reply.tool is None:
        words, line = reply.text.split(), None
        for count in range(1, len(words) + 1):
            heard = " ".join(words[:count])
            line = caller.interrupt_when(heard)
            if line is not None:
                dialogue.interrupted(heard)
                break
        line = line or caller.next_line(reply.text)
        call += [("agent", heard), ("caller", line.text)]
        reply = dialogue.hear(line.text)
    return [*call, ("agent", reply.text)]


def intake(*turns: str | tuple[str, str]) -> list[str]:
    """A call with the engine's agent; a pair is a caller who cuts in behind those words."""
    dialogue = Dialogue(today=TODAY)
    call: Call = [("agent", dialogue.greet().text)]
    for turn in turns:
        behind, text = turn if isinstance(turn, tuple) else ("", turn)
        if behind:
            said = call[-1][1]
            heard = said[: said.index(behind) + len(behind)]
            dialogue.interrupted(heard)
            call[-1] = ("agent", heard)
        call += [("caller", text), ("agent", dialogue.hear(text).text)]
    return numbered(call)


def told() -> dict[str, Any]:
    return {name: value for name, value in EXPECTED_CLAIM.items() if value is not None}


def test_the_demo_call_yields_every_field_right_and_confirmed() -> None:
    fields = fields_of(numbered(demo_call()))
    assert {name: field["value"] for name, field in fields.items()} == told()
    assert [name for name, field in fields.items() if not field["confirmed"]] == []
    assert fields["policyholder"]["turns"][0] == 1
    # Told, then corrected: the turn of the wrong number is not where the right one is from.
    numbers = [turn for turn in fields["phone"]["turns"] if "seven seven" in numbered(demo_call())[turn * 2 - 1]]
    assert numbers == []


@pytest.mark.parametrize("last", [4, 7, 12, 100])
def test_asked_after_every_turn_with_the_last_lines_only_the_claim_comes_out_the_same(last: int) -> None:
    lines = numbered(demo_call())
    fields = turn_by_turn(lines, last)
    assert {name: field["value"] for name, field in fields.items()} == told()
    if last > 4:
        assert [name for name, field in fields.items() if not field["confirmed"]] == []


def test_what_stands_already_is_not_given_again() -> None:
    lines = numbered(demo_call())
    standing = fields_of(lines)
    assert fields_of(lines, standing) == {}
    del standing["phone"]
    standing["account"]["confirmed"] = False
    assert set(fields_of(lines, standing)) == {"phone", "account"}


BASICS = ("Margaret Hale", "K7M2 40B9", "It's an auto claim.", "555-014-2277", "November 14th at 5:30 PM")


def test_nothing_is_confirmed_before_it_was_read_back_and_agreed_to() -> None:
    fields = fields_of(intake(*BASICS))
    assert [name for name, field in fields.items() if field["confirmed"]] == []
    fields = fields_of(intake(*BASICS, "Yes, that's right."))
    assert [name for name, field in fields.items() if not field["confirmed"]] == []
    assert fields["phone"]["turns"] == [4, 6]


def test_a_yes_within_the_read_back_confirms_nothing() -> None:
    fields = fields_of(intake(*BASICS, ("Policy number K7M2-40B9.", "Mm-hmm.")))
    assert [name for name, field in fields.items() if field["confirmed"]] == []


def test_a_corrected_value_is_confirmed_anew() -> None:
    turns = (*BASICS, "No, the phone number is 555-014-2278.")
    fields = fields_of(intake(*turns))
    assert (fields["phone"]["value"], fields["phone"]["confirmed"]) == ("5550142278", False)
    assert fields["phone"]["turns"] == [6]
    assert fields_of(intake(*turns, "Yes."))["phone"] == {
        "value": "5550142278",
        "turns": [6, 7],
        "confirmed": True,
        "unknown": False,
    }


def test_what_is_called_wrong_after_it_was_confirmed_is_not_confirmed_any_more() -> None:
    confirmed = intake(*BASICS, "Yes.")
    standing = fields_of(confirmed)
    changed = fields_of(intake(*BASICS, "Yes.", "Sorry, you got my name wrong."), standing)
    assert (changed["policyholder"]["value"], changed["policyholder"]["confirmed"]) == ("Margaret Hale", False)


def test_a_value_that_the_agent_got_wrong_is_not_confirmed_by_a_yes() -> None:
    lines = intake(*BASICS, "Yes.")
    lines[-3] = lines[-3].replace("Policy number K7M2-40B9", "Policy number EG07-40B9")
    fields = fields_of(lines)
    assert [name for name, field in fields.items() if not field["confirmed"]] == ["policy_number"]


def test_a_value_that_changes_after_it_was_confirmed_is_not_confirmed_any_more() -> None:
    lines = intake(*BASICS, "Yes.", "Sorry, my phone number is 555-014-2278.")
    assert fields_of(lines)["phone"] == {"value": "5550142278", "turns": [7], "confirmed": False, "unknown": False}


def test_what_stands_from_lines_that_are_given_is_read_from_them_anew() -> None:
    standing = {"injuries": {"value": True, "turns": [7], "confirmed": True, "unknown": False}}
    assert fields_of(intake(*BASICS, "Yes.", "No."), standing)["injuries"]["value"] is False


def test_a_misheard_policy_number_and_a_spelled_name() -> None:
    lines = intake(
        "My full legal name is Minhajul Haque.",
        "Sure, my policy number is AG007-PX75.",
        "No, I said X007-PX75.",
        "It's an auto one, but I think you got my name wrong. Can you ask my name again?",
        "M-I-N-H A-J-U-L H-O-Q-U-E",
    )
    assert fields_of(lines[:4])["policy_number"]["value"] == "AG007PX75", "as it was said, though it is none"
    fields = fields_of(lines)
    assert fields["policy_number"]["value"] == "X007-PX75"
    assert (fields["policyholder"]["value"], fields["policyholder"]["turns"]) == ("Minhajul Hoque", [5])
    assert fields["kind"]["value"] == "auto"


def test_yes_and_no_to_a_question_stand_by_themselves() -> None:
    fields = fields_of(intake(*BASICS, "Yes.", "No.", "Yes.", "No and no."))
    assert {
        name: (fields[name]["value"], fields[name]["confirmed"]) for name in ("injuries", "drivable", "witnesses")
    } == {
        "injuries": (False, True),
        "drivable": (True, True),
        "witnesses": (False, True),
    }


def test_a_goodbye_is_no_correction_of_the_name_in_the_agents() -> None:
    lines = [
        "agent: May I have your full legal name, please?",
        "caller 1: Margaret Hale.",
        "agent: Is everything correct?",
    ]
    lines += ["caller 2: Yes.", "agent: Your claim is submitted. Thank you, Margaret Hale, and goodbye."]
    assert fields_of([*lines, "caller 3: Thank you, bye."])["policyholder"]["value"] == "Margaret Hale"


def test_what_the_caller_cannot_tell_is_unknown() -> None:
    fields = fields_of(intake("Margaret Hale", "I don't know my policy number.", "auto"))
    assert fields["policy_number"] == {"value": None, "turns": [2], "confirmed": False, "unknown": True}


def test_an_address_is_noted_where_it_was_asked_for() -> None:
    lines = [
        "agent: So that we can find your policy without its number: what is your address?",
        "caller 9: It's 12 High Street, Springfield.",
        "agent: Address 12 High Street, Springfield. Is everything correct now?",
        "caller 10: Yes.",
    ]
    assert fields_of(lines)["address"] == {
        "value": "12 High Street, Springfield",
        "turns": [9, 10],
        "confirmed": True,
        "unknown": False,
    }


def test_what_another_claim_is_about_is_told_in_the_callers_words() -> None:
    fields = fields_of(intake(*BASICS[:2], "Something else.", "My bicycle was stolen from the garage. It was new."))
    assert fields["kind"]["value"] == "other"
    assert fields["kind_detail"]["value"] == "My bicycle was stolen from the garage."


def test_pressed_keys_answer_without_a_turn() -> None:
    lines = [*intake(*BASICS[:3]), "caller keys: 555 014 2277"]
    assert fields_of(lines)["phone"]["value"] == "5550142277"
    assert fields_of(lines)["phone"]["turns"] == []


def test_an_addition_is_not_added_twice_when_its_line_is_read_again() -> None:
    clarified = ("Yes.", "No one was hurt, and the car is drivable.", "No report, and no witnesses.", "He hit me.")
    lines = intake(*BASICS, *clarified, "Yes, and the other driver drove away.", "Yes.")
    standing = fields_of(lines)
    assert standing["account"]["value"] == "He hit me. The other driver drove away."
    assert "account" not in fields_of(lines[-5:], standing)


junk = st.one_of(
    st.text(max_size=80),
    st.builds(
        lambda who, text: f"{who}: {text}",
        st.sampled_from(["agent", "caller 1", "caller 999999", "caller keys"]),
        st.text(),
    ),
    st.sampled_from(
        ["{", '{"claims": [[]]}', '{"claims": [{"fields": {"phone": {"turns": "x"}, "kind": {"value": 7}}}]}']
    ),
)


@given(st.lists(junk, max_size=6), st.sampled_from([note_claim]))
def test_no_text_breaks_it(rows: list[str], fill: Callable[[str, date], dict[str, Any]]) -> None:
    json.dumps(fill("\n".join(rows), TODAY))
