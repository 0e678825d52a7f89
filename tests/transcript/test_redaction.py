"""Card numbers and the operator's patterns leave no transcript; phone and policy numbers stay."""

from __future__ import annotations

import random

import pytest

from service.transcript.redaction import CARD_NUMBER, Redaction

CARDS = Redaction({}, card_numbers=True)


@pytest.mark.parametrize(
    "written",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\u20111111\u20111111\u20111111",
        "4111, 1111, 1111, 1111",
        "4111. 1111. 1111. 1111",
        "\uff14\uff11\uff11\uff11 1111 1111 1111",
        "four one one one, one one one one, one one one one, one one one one",
        "four triple one, one one one one, uh, one one one one, and then one one one one",
        "forty-one eleven, eleven eleven, eleven eleven, eleven eleven",
        "378282246310005",
        "3782 822463 10005",
        "five five five five, five five five five, five five five five, four four four four",
        "3530 1113 3330 0000",
        "four two two two two two two two two two two two two",
        "six oh one one, oh double nine oh, one three nine four, two four",
    ],
)
def test_a_card_number_written_or_spoken(written: str) -> None:
    assert CARDS(f"My card is {written}.") == f"My card is {CARD_NUMBER}."


@pytest.mark.parametrize(
    "text",
    [
        "You can reach me at five five five, zero one four, two two seven seven.",
        "My phone number is 555-014-2278 and my policy number is K7M2-40B9.",
        "K seven M two, four zero B nine. 555 014 2278",
        "Policy X007-PX75, report four four one seven.",
        "+44 20 7946 0958 1234",
        "4111 1111 1111 1112",
        "It was at half past five on November fourteenth, twenty twenty-six.",
        "1111111111111117",
        "",
    ],
)
def test_what_is_no_card_number_stays(text: str) -> None:
    assert CARDS(text) == text


def test_only_the_card_is_taken_out_of_a_row_of_numbers() -> None:
    assert CARDS("It's 4111 1111 1111 1111, 12 26, and call 555 014 2277") == (
        f"It's {CARD_NUMBER}, 12 26, and call 555 014 2277"
    )
    assert CARDS("555 014 2277 4111 1111 1111 1111") == f"555 014 2277 {CARD_NUMBER}"
    assert CARDS("4111111111111111 5555555555554444") == f"{CARD_NUMBER} {CARD_NUMBER}"


def test_keys_pressed_in_a_row_are_looked_through() -> None:
    assert CARDS("14111111111111111#") == f"1{CARD_NUMBER}#"


def test_any_card_number_is_found_however_it_is_grouped() -> None:
    chance = random.Random(7)
    for _ in range(200):
        digits = chance.choice("3456") + "".join(chance.choice("0123456789") for _ in range(14))
        check = next(one for one in "0123456789" if _luhn(digits + one))
        groups = "".join(one + chance.choice(["", "", " ", "-"]) for one in digits + check).strip(" -")
        assert CARDS(f"so {groups} please") == f"so {CARD_NUMBER} please", groups


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def test_patterns_are_replaced_by_their_names() -> None:
    redaction = Redaction({"ssn": r"\b\d{3}-\d{2}-\d{4}\b", r"a\1": "Hale"}, card_numbers=False)
    assert redaction("I'm Hale, 078-05-1120, card 4111111111111111") == r"I'm [a\1], [ssn], card 4111111111111111"


def test_nothing_to_look_for_changes_nothing() -> None:
    off = Redaction({}, card_numbers=False)
    assert not off.active
    assert off("4111111111111111") == "4111111111111111"
