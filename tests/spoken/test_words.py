"""Words of two writings of the same speech, and how many edits lie between two rows of words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.spoken.codes import code_tokens
from service.spoken.figures import with_figures
from service.spoken.words import edit_distance, spoken_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's K-seven, twenty-five!", "its k 7 2 5"),
        ("I was on my way to see you", "i was on my way to see you"),
        ("Minhaj ul Haq.", "minhaj ul haq"),
        ("مينهاجو حق.", "مينهاجو حق"),
        ("…", ""),
    ],
)
def test_words_are_lower_case_digits_and_letters_single(text: str, words: str) -> None:
    assert spoken_words(text) == words.split()


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("three hundred and fifty", "350"),
        ("Twelve hundred", "1200"),
        ("two thousand twenty-six", "2026"),
        ("one thousand two hundred and five", "1205"),
        ("eight hundred one two three", "800 1 2 3"),
        ("ninety-nine", "99"),
        ("half past five", "5:30"),
        ("a quarter to one", "a 12:45"),
        ("on the fourteenth", "on the 14th"),
        ("nothing to see", "nothing to see"),
    ],
)
def test_numbers_become_figures(text: str, figures: str) -> None:
    assert with_figures(text) == figures


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("my number is X double oh seven", ["X007"]),
        ("EG07-1234", ["EG071234"]),
        ("E G zero zero seven", ["EG007"]),
        ("K7M2 and then my phone is 555 014 2278.", ["K7M2", "5550142278"]),
        ("it is my car", []),
    ],
)
def test_spelled_characters_are_read_as_codes(text: str, codes: list[str]) -> None:
    assert code_tokens(text) == codes


ROWS = st.lists(st.sampled_from("abcd"), max_size=9)


@given(ROWS, ROWS)
def test_the_distance_is_levenshteins(wanted: list[str], found: list[str]) -> None:
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(found, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    assert edit_distance(wanted, found) == row[-1]
