"""However a recogniser writes a spoken code, the same characters come out."""

from __future__ import annotations

import pytest

from service.spoken.codes import runs
from service.spoken.tokens import tidy, tokenise


def read(text: str, length: int) -> str | None:
    return next((fit for run in runs(tokenise(tidy(text))) if (fit := run.fitted(length))), None)


@pytest.mark.parametrize(
    "heard",
    [
        "My policy number is K7M2 40B9.",
        "K7M2-40B9",
        "K7m2 40b9",
        "It's K seven M two, four zero B nine.",
        "K 7 M 2 dash 4 0 B 9",
        "K-7-M-2-4-0-B-9.",
        "Kay seven em two, forty bee nine",
        "kilo seven mike two four zero bravo nine",
        "K as in kilo, seven, M for mother, two, four zero, B as in boy, nine.",
        "K seven M two. Four oh B nine.",
        "K7M to 40B9",
        "K7M2 for 0B9",
        "capital K 7 M 2, then 4 0 B 9, thank you",
        "Um, K 7, uh, M 2, 4 0, B 9 I think",
        "K7M2 40B9, K7M2 40B9.",
        "It is K7M2 40B9. Eight characters.",
    ],
)
def test_policy_number_in_every_spelling(heard: str) -> None:
    assert read(heard, 8) == "K7M240B9"


@pytest.mark.parametrize(
    ("heard", "characters"),
    [
        ("X007-PX75", "X007PX75"),
        ("X double O seven P X seventy-five", "X007PX75"),
        ("x-ray zero zero seven papa x-ray seven five", "X007PX75"),
        ("letter O one two three four five six seven", "O1234567"),
        ("double u one two three, triple four, nine", "W1234449"),
        ("A B 1 2 C D 3 4", "AB12CD34"),
        ("eight hundred one two three Z Q", "800123ZQ"),
    ],
)
def test_characters_that_sound_like_something_else(heard: str, characters: str) -> None:
    assert read(heard, 8) == characters


@pytest.mark.parametrize(
    "heard",
    [
        "555-014-2277",
        "(555) 014 2277",
        "555.014.2277",
        "five five five, zero one four, two two seven seven",
        "five, five, five, zero, one, four, two, two, seven, seven.",
        "triple five oh one four double two double seven",
        "5 5 5, 0 1 4, 2 2 7 7",
        "five five five oh fourteen twenty-two seventy-seven",
    ],
)
def test_phone_number_in_every_spelling(heard: str) -> None:
    assert read(heard, 10) == "5550142277"


def test_a_value_after_not_is_marked() -> None:
    first, second = runs(tokenise("It's 40B9, not 40B8"))
    assert (first.chars, first.negated) == ("40B9", False)
    assert (second.chars, second.negated) == ("40B8", True)


@pytest.mark.parametrize(
    "heard", ["I was on my way to see you", "You are too late for that", "", "OK, at 5 PM on the 14th"]
)
def test_prose_holds_no_code(heard: str) -> None:
    assert all(len(run.chars) < 3 for run in runs(tokenise(heard)))
