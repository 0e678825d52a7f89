"""The terminal's table fits, says everything, and lets no word of a caller reach the terminal as an order."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from service.compare.table import MAX_LINES, WIDTH, table
from tests.compare.samples import SAMPLE, outcome

SHOWN = table(SAMPLE)


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


def test_no_line_is_wider_than_the_terminal() -> None:
    assert max(columns(line) for line in SHOWN.splitlines()) <= WIDTH


def test_long_transcripts_are_cut_and_say_so() -> None:
    assert SHOWN.count("side street") <= MAX_LINES
    assert SHOWN.count(" …") == 3
    assert max(line.count("K") for line in SHOWN.splitlines()) > 30


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert all(char.isprintable() for line in SHOWN.split("\n") for char in line)
    assert "red [31m alert and backwards" in SHOWN


def test_every_figure_of_a_turn_stands_in_its_row() -> None:
    rows = [line.split() for line in SHOWN.splitlines()]
    assert ["turn", "520", "86%", "9", "0.001234", "0.46", "s", "100%"] in [row[:8] for row in rows]
    assert ["built-in", "3", "s", "–", "–", "0.000225", "0.20", "s"] in [row[:8] for row in rows]  # noqa: RUF001


def test_a_refusal_stands_in_its_cell_and_an_unknown_cost_is_no_zero() -> None:
    full, three, _ = [line for line in SHOWN.splitlines() if line.startswith(("full", "3 turns"))][1::3]
    assert "[unsupported <conversation>]" in full
    assert "0.00" not in full
    assert "unknown" in three
    sums = SHOWN[SHOWN.index("In all") :]
    assert next(line for line in sums.splitlines() if line.startswith("3 turns")).split()[6:8] == ["unknown"] * 2


def test_what_is_missing_is_said() -> None:
    assert "Not all: 1 of 4 turns were not reached." in SHOWN
    assert "2/3" in SHOWN
    assert "gpt-realtime-2.1; built-in: gpt-transcribe. Prices as of 2026-11-21." in SHOWN
    assert "another 0.012300 USD" in SHOWN
    assert table(replace(SAMPLE, turns=())) == "No turn was compared.\n"


def test_word_errors_are_shown_only_where_there_is_something_to_compare_with() -> None:
    assert "word errors" in SHOWN
    bare = replace(SAMPLE, turns=tuple(replace(turn, reference=None) for turn in SAMPLE.turns))
    assert "errors" not in table(bare)
    assert "said" not in table(bare)


def test_silence_is_told_from_a_missing_transcript() -> None:
    quiet = replace(SAMPLE.turns[0], outcomes=(outcome(""),) * 4)
    assert table(replace(SAMPLE, turns=(quiet,))).count("[no words]") == 4
