"""The CSV file is read back whole by Python's reader, and holds nothing that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io

import pytest

from service.compare.spreadsheet import COLUMNS, csv_text, harmless
from tests.compare.samples import ARABIC, JAPANESE, LONG, SAMPLE, SCRIPT

ROWS = list(csv.DictReader(io.StringIO(csv_text(SAMPLE), newline="")))


def test_there_is_a_row_for_each_turn_and_method_and_one_for_each_total() -> None:
    assert tuple(ROWS[0]) == COLUMNS
    assert [row["turn"] for row in ROWS] == [*"111122223333", *["total"] * 4]
    assert [row["method"] for row in ROWS[:4]] == ["built-in", "turn", "3 turns", "full"]


def test_texts_are_whole() -> None:
    assert [row["text"] for row in ROWS[1:3]] == [SCRIPT, ARABIC]
    assert [ROWS[5]["text"], ROWS[7]["text"]] == [LONG.strip(), JAPANESE]


def test_figures_are_exact_and_unknown_ones_empty() -> None:
    built_in, turn, _, full = ROWS[:4]
    assert (turn["cost_usd"], turn["text_cached"], turn["audio_in"]) == ("0.0012345", "448", "20")
    assert turn["cached_share"] == "0.8615"
    assert (built_in["seconds"], built_in["text_in"], built_in["cost_usd"]) == ("3", "", "0.000225")
    assert (full["problem"], full["cost_usd"], full["latency_s"]) == ("unsupported <conversation>", "", "")
    assert ROWS[10]["cost_usd"] == ""
    sums = {row["method"]: row for row in ROWS[12:]}
    assert sums["built-in"]["cost_usd"] == "0.000675"
    assert sums["built-in"]["ratio_to_built_in"] == "1.0000"
    assert sums["turn"]["ratio_to_built_in"] == "5.4867"
    assert sums["3 turns"]["cost_usd"] == sums["3 turns"]["ratio_to_built_in"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n =1", "＝1", "\x00=1"])  # noqa: RUF001
def test_a_formula_is_marked_as_text(text: str) -> None:
    assert harmless(text)[0] == "'"


def test_what_a_caller_or_a_file_is_called_cannot_compute() -> None:
    assert ROWS[4]["file"] == "'=1+1\"><i>.wav"
    assert harmless("K7M2-40B9") == "K7M2-40B9"
