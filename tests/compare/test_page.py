"""The page is one file that needs nothing else; no word from outside becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

from service.compare.chart import Series, line_chart
from service.compare.page import page
from tests.compare.samples import ARABIC, SAMPLE, SCRIPT, outcome

PAGE = page(SAMPLE)


class Reader(HTMLParser):
    """Elements with their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


READ = Reader(PAGE)


def test_a_script_in_a_callers_words_stays_text() -> None:
    assert {tag for tag, _ in READ.elements} & {"script", "b", "i", "iframe", "img"} == set()
    assert SCRIPT in READ.texts
    assert ARABIC in READ.texts
    assert '=1+1"><i>.wav' in READ.texts
    assert "unsupported <conversation>" in READ.texts
    assert "\x1b" not in PAGE


def test_the_page_loads_nothing_and_may_run_nothing() -> None:
    attributes = [name for _, attrs in READ.elements for name in attrs]
    assert {"src", "href", "srcset", "xlink:href"} & set(attributes) == set()
    assert [name for name in attributes if name.startswith("on")] == []
    assert re.findall(r"url\(|@import|https?:", PAGE) == []
    (policy,) = [attrs["content"] for _, attrs in READ.elements if attrs.get("http-equiv")]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_it_follows_the_readers_choice_of_light_and_dark() -> None:
    assert "color-scheme: light dark" in PAGE
    assert "prefers-color-scheme: dark" in PAGE
    names = set(re.findall(r"--(\w+)", PAGE.split("@media")[0]))
    dark = PAGE.split("@media")[1].split("body {")[0]
    assert names == set(re.findall(r"--(\w+)", dark)), "every colour has its counterpart"


def drawings() -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", PAGE, re.DOTALL)]  # noqa: S314 -- our own


def test_costs_are_drawn_by_turn_and_summed_up() -> None:
    each, so_far = drawings()
    assert [len(drawing.findall(".//circle")) for drawing in (each, so_far)] == [3 + 3 + 2 + 2, 3 + 3 + 2 + 3]
    last = [title.text for title in so_far.iter("title") if "turn 3" in str(title.text)]
    assert last == ["built-in, turn 3: $0.000675", "turn, turn 3: $0.003704", "full, turn 3: $0.003234"]


def test_lines_rise_with_cost_and_break_where_it_is_unknown() -> None:
    usd = (Decimal(1), Decimal(2), None, Decimal(4))
    drawing = ET.fromstring(line_chart("Costs", [Series("full", 0, usd)]))  # noqa: S314 -- our own
    path = drawing.find(".//path")
    assert path is not None
    assert re.sub(r"[^ML]", "", path.attrib["d"]) == "MLM"
    heights = [float(circle.attrib["cy"]) for circle in drawing.iter("circle")]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[1] == (heights[1] - heights[2]) / 2


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    series = [Series(str(style), style, (Decimal("0.001"),)) for style in range(6)]
    drawing = ET.fromstring(line_chart("Costs", series))  # noqa: S314 -- our own
    heights = sorted(float(text.attrib["y"]) for text in drawing.iter("text") if "name" in text.attrib["class"])
    assert min(b - a for a, b in pairwise(heights)) >= 12


def test_where_no_cost_is_known_a_sentence_stands_for_the_drawing() -> None:
    unpriced = replace(SAMPLE.turns[0], outcomes=(outcome("x", None),) * 4)
    html = page(replace(SAMPLE, turns=(unpriced,)))
    assert "<svg" not in html
    assert html.count("no cost is known") == 2
    assert html.count("unknown") >= 8


def test_nothing_compared_is_still_a_page() -> None:
    assert "0 caller turns" in page(replace(SAMPLE, turns=()))
