"""What a value must look like."""

from __future__ import annotations

from datetime import date

import pytest

from service.claim.fields import BY_NAME
from service.claim.rules import clean, problems

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("said", "written", "wrong"),
    [
        ("X007-PX75", "X007-PX75", ()),
        ("x007 px75", "X007-PX75", ()),
        ("X-0-0-7-P-X-7-5", "X007-PX75", ()),
        ("EG007-PX75", "EG007-PX75", ("format",)),
        ("X007", "X007", ("format",)),
        ("Ä007-PX75", "Ä007-PX75", ("format",)),
    ],
)
def test_a_policy_number_has_its_form_and_no_character_is_added_or_lost(
    said: str, written: str, wrong: tuple[str, ...]
) -> None:
    value = clean(BY_NAME["policy_number"], said)
    assert value == written
    assert problems("policy_number", value, TODAY) == wrong


@pytest.mark.parametrize(
    ("said", "written", "wrong"),
    [
        ("555 014 2278", "5550142278", ()),
        ("+1 (555) 014-2278", "+15550142278", ()),
        ("555", "555", ("length",)),
        ("1" * 16, "1" * 16, ("length",)),
        ("my wife's", "my wife's", ("format",)),
    ],
)
def test_a_phone_number_is_digits_enough_and_not_too_many(said: str, written: str, wrong: tuple[str, ...]) -> None:
    value = clean(BY_NAME["phone"], said)
    assert value == written
    assert problems("phone", value, TODAY) == wrong


@pytest.mark.parametrize(
    ("name", "said", "wrong"),
    [
        ("incident_at", "2026-11-20T17:30", ()),
        ("incident_at", "2026-11-21", ()),
        ("incident_at", "2026-11-22T00:10", ("future",)),
        ("incident_at", "around noon, I think", ()),
        ("date_of_birth", "1980-02-29", ()),
        ("date_of_birth", "2027-01-01", ("future",)),
        ("date_of_birth", "1880-01-01", ("too_old",)),
        ("date_of_birth", "in spring", ("format",)),
    ],
)
def test_dates_make_sense_or_stand_as_they_were_said(name: str, said: str, wrong: tuple[str, ...]) -> None:
    value = clean(BY_NAME[name], said)
    assert value == said
    assert problems(name, value, TODAY) == wrong


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("injuries", "No", False),
        ("injuries", "perhaps", None),
        ("injuries", 1, None),
        ("kind", "AUTO", "auto"),
        ("kind", "boat", None),
        ("policyholder", "  Maria \n\x00 Lopez ", "Maria Lopez"),
        ("policyholder", "", None),
        ("policyholder", ["Maria"], None),
        ("policyholder", "x" * 10_000, "x" * 120),
    ],
)
def test_what_cannot_be_a_value_is_none(name: str, given: object, taken: object) -> None:
    assert clean(BY_NAME[name], given) == taken
