"""What the model notes becomes part of the claim, and nothing that it invents does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.claim.claim import Claim, FieldState, from_earlier_call
from service.claim.extraction import MAX_CLAIMS, NOTE_CLAIM_TOOL
from service.claim.fields import BY_NAME
from service.claim.merge import filled_up, merged

TODAY = date(2026, 11, 21)
START = (Claim("AAA-AAA-AAA"),)


def references() -> Iterator[str]:
    return (f"R{number}" for number in count(1))


def note(*claims: dict[str, Any]) -> str:
    return json.dumps({"claims": [{"fields": fields} for fields in claims]})


def said(value: object, *turns: int, confirmed: bool = False, unknown: bool = False) -> dict[str, Any]:
    return {"value": value, "turns": list(turns), "confirmed": confirmed, "unknown": unknown}


def merge(claims: tuple[Claim, ...], arguments: str | None, turns: int = 9) -> tuple[Claim, ...]:
    numbers = references()
    result = merged(claims, arguments, turns=turns, today=TODAY, new_reference=lambda: next(numbers))
    assert result is not None
    return result


def test_a_field_has_its_value_its_turns_and_what_is_wrong_with_it() -> None:
    (claim,) = merge(START, note({"policy_number": said("x007", 3, 2, confirmed=True)}))
    assert claim.fields == {"policy_number": FieldState("X007", (2, 3), confirmed=True, problems=("format",))}
    assert claim.reference == "AAA-AAA-AAA"


def test_turns_that_were_not_spoken_are_dropped() -> None:
    (claim,) = merge(START, note({"policyholder": said("Maria Lopez", 0, -1, 2, 3, 4)}), turns=3)
    assert claim.fields["policyholder"].turns == (2, 3)


def test_a_null_changes_nothing_unless_the_caller_does_not_know() -> None:
    known = merge(START, note({"phone": said("5550142278", 2), "policy_number": said("X007-PX75", 3)}))
    (claim,) = merge(known, note({"phone": said(None), "policy_number": said(None, 5, unknown=True)}))
    assert claim.value("phone") == "5550142278"
    assert claim.fields["policy_number"] == FieldState(turns=(5,), unknown=True)


def test_a_correction_replaces_and_is_not_confirmed_until_the_caller_says_so() -> None:
    known = merge(START, note({"policyholder": said("Minhajul Hoque", 2, confirmed=True)}))
    (claim,) = merge(known, note({"policyholder": said("Minhajul Haque", 6)}))
    assert claim.fields["policyholder"] == FieldState("Minhajul Haque", (6,))


def test_a_second_incident_is_a_second_claim_with_a_reference_of_its_own() -> None:
    claims = merge(START, note({"kind": said("auto", 1)}, {"kind": said("home", 2)}, {}))
    assert [(claim.reference, claim.value("kind")) for claim in claims] == [("AAA-AAA-AAA", "auto"), ("R1", "home")]


@pytest.mark.parametrize(
    "rubbish",
    [None, "", "{", "[]", "7", "null", '{"claims": {}}', '{"claim": []}', "\ud800", "[" * 5000, '{"claims": "auto"}'],
)
def test_what_is_no_note_is_none(rubbish: str | None) -> None:
    assert merged(START, rubbish, turns=3, today=TODAY, new_reference=str) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
entries = json_values | st.fixed_dictionaries(
    {"value": json_values, "turns": json_values, "confirmed": json_values, "unknown": json_values}
)
noted_fields = json_values | st.dictionaries(st.sampled_from([*BY_NAME, "is_admin"]), entries, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(json_values | st.fixed_dictionaries({"fields": noted_fields}), max_size=8))
def test_whatever_the_model_writes_the_claims_stay_claims(noted: list[Any]) -> None:
    claims = merge(START, json.dumps({"claims": noted}), turns=3)
    assert 1 <= len(claims) <= MAX_CLAIMS
    for claim in claims:
        assert set(claim.fields) <= set(BY_NAME)
        for name, state in claim.fields.items():
            assert state.value is None or isinstance(state.value, bool if BY_NAME[name].type == "yes_no" else str)
            assert not isinstance(state.value, str) or 0 < len(state.value) <= BY_NAME[name].max_chars
            assert (state.value is None) == state.unknown
            assert set(state.turns) <= {1, 2, 3}
            assert not (state.unknown and state.confirmed)
        json.dumps(claim.as_json(), allow_nan=False)


def test_what_the_agent_noted_fills_only_the_gaps_and_says_so() -> None:
    (known,) = merge(START, note({"policyholder": said("Minhajul Haque", 6), "phone": said(None, 7, unknown=True)}))
    filled = filled_up(known, {"policyholder": "Hoque", "phone": "1", "injuries": False, "drivable": None}, TODAY)
    assert filled.values() == {"policyholder": "Minhajul Haque", "injuries": False}
    assert (filled.fields["injuries"].source, filled.fields["injuries"].confirmed) == ("agent", False)


# -- what a claim needs ------------------------------------------------------------------------------------------------


def settled(**values: object) -> Claim:
    (claim,) = merge(START, note({name: said(value, 1, confirmed=True) for name, value in values.items()}))
    return claim


BASICS = {
    "policyholder": "Maria Lopez",
    "policy_number": "X007-PX75",
    "phone": "5550142278",
    "incident_at": "2026-11-20",
    "injuries": False,
    "report_filed": False,
    "witnesses": True,
    "account": "A tree fell.",
}


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({**BASICS}, ["kind"]),
        ({**BASICS, "kind": "auto"}, ["drivable"]),
        ({**BASICS, "kind": "auto", "drivable": False}, []),
        ({**BASICS, "kind": "home"}, ["safe_to_occupy"]),
        ({**BASICS, "kind": "other"}, ["kind_detail"]),
        ({**BASICS, "kind": "auto", "drivable": True, "report_filed": True}, ["report_number"]),
    ],
)
def test_what_is_missing_depends_on_the_kind(values: dict[str, object], missing: list[str]) -> None:
    assert settled(**values).missing() == missing


def test_without_a_policy_number_the_caller_is_identified_otherwise() -> None:
    whole = settled(**BASICS, kind="auto", drivable=True)
    unknown = said(None, 4, unknown=True)
    (claim,) = merge((whole,), note({"policy_number": unknown}))
    assert claim.missing() == ["address"]
    (by_birth,) = merge((claim,), note({"date_of_birth": said("1980-02-29", 5, confirmed=True)}))
    assert by_birth.missing() == []
    (no_address,) = merge((claim,), note({"address": unknown}))
    assert no_address.missing() == ["date_of_birth"]
    (neither,) = merge((no_address,), note({"date_of_birth": unknown}))
    assert neither.missing() == []


def test_what_is_not_confirmed_is_missing() -> None:
    (claim,) = merge((settled(**BASICS, kind="auto", drivable=True),), note({"phone": said("5550142279", 4)}))
    assert claim.missing() == ["phone"]


def test_a_claim_of_an_earlier_call_says_where_its_values_are_from() -> None:
    before = settled(**BASICS)
    after = from_earlier_call(json.loads(json.dumps(before.as_json())))
    assert after.reference == before.reference
    assert after.values() == before.values()
    assert {(state.source, state.turns, state.confirmed) for state in after.fields.values()} == {
        ("earlier_call", (), True)
    }


def test_what_an_earlier_call_knew_is_still_from_there_when_the_caller_agrees_to_it() -> None:
    before = from_earlier_call(settled(**BASICS).as_json())
    (after,) = merge((before,), note({"phone": said(BASICS["phone"], 2, confirmed=True)}))
    assert after.fields["phone"].source == "earlier_call"
    (after,) = merge((before,), note({"phone": said("5550142279", 2)}))
    assert after.fields["phone"].source == "transcript"


def test_the_tools_schema_names_every_field() -> None:
    item = NOTE_CLAIM_TOOL["parameters"]["properties"]["claims"]["items"]["properties"]["fields"]
    assert set(item["properties"]) == set(BY_NAME)
