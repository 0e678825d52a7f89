"""References that callers note, say and type."""

from __future__ import annotations

import random
import re

import pytest

from service.claim.reference import ALPHABET, new_reference, parsed, same_person


def test_a_reference_is_random_and_holds_no_characters_that_look_alike() -> None:
    choice = random.Random(7).choice
    some = {new_reference(choice) for _ in range(1000)}
    assert len(some) == 1000
    assert all(re.fullmatch(r"[0-9A-Z]{3}(-[0-9A-Z]{3}){2}", one) for one in some)
    assert not set(ALPHABET) & set("0O1IL5SBZ")
    assert len(ALPHABET) ** 9 > 1e11


@pytest.mark.parametrize("said", ["C7K-4QX-92M", "c7k4qx92m", "C 7 K, 4 Q X, 9 2 M.", "c-7-k 4-q-x 9-2-m"])
def test_a_reference_is_understood_as_it_is_said(said: str) -> None:
    assert parsed(said) == "C7K-4QX-92M"


@pytest.mark.parametrize("said", ["", "C7K-4QX", "C7K-4QX-92M-7", None, 7, "' OR 1=1 --"])
def test_what_cannot_be_a_reference_is_none(said: object) -> None:
    assert parsed(said) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Minhajul Hoque", "minhajul haque", True),
        ("José Núñez", "Jose Nunez", True),
        ("Maria Lopez", "Mario Gomez", False),
        ("Maria Lopez", "Maria", False),
        ("Maria Lopez", "", False),
        ("", "", False),
        (None, "Maria Lopez", False),
    ],
)
def test_names_match_but_for_a_letter_or_two(one: object, other: object, same: bool) -> None:
    assert same_person(one, other) is same
