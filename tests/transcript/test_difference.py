"""Two transcripts of one turn: what counts as different, and what only looks so."""

from __future__ import annotations

import time

import pytest

from service.transcript.difference import difference


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("My policy number is X007-PX75.", "my policy number is x double oh seven, P X seventy-five"),
        ("Five five five, zero one four, two two seven eight.", "555-014-2278"),
        ("It happened on November fourteenth, twenty twenty-six.", "It happened on November 14th, 2026"),
        ("At half past five.", "At 5:30."),
        ("Three hundred and fifty dollars", "350 dollars"),
        ("Two thousand twenty-six", "2026"),
        ("M-A-R-I-A", "M A R I A"),
        ("", "  "),
    ],
)
def test_how_it_is_written_makes_no_difference(ours: str, theirs: str) -> None:
    found = difference(ours, theirs)
    assert (found.word_error_rate, found.differs) == (0.0, ())


@pytest.mark.parametrize(
    ("ours", "theirs", "differs"),
    [
        # The turns of the published runs in which the two transcripts disagree.
        ("My policy number is X007-PX75.", "Sure, my policy number is AG007-PX75.", ("policy_number",)),
        ("My full legal name would be M-I-N-H, H-O-Q-U-E.", "My full name would be Minhajul Hoque.", ("spelled_name",)),
        ("My full legal name is M-I-N-H A-J-U-L H-O-Q-U-E", "My full legal name is Minhajul Hoque.", ()),
        ("My name is Minhajul Hoque.", "My name is Minhaj ul Haq.", ()),
        ("No, can you ask me my name again, this is important.", "No, can you ask me by name again?", ()),
        ("My policy number is P-0-0-2-X-0-7-5.", "My policy number is P002X075.", ()),
        ("Minhajul Hoque.", "مينهاجو حق.", ()),
        # What a claim depends on.
        ("My number is 555 014 2277", "My number is 555 014 2278", ("number",)),
        ("At 5 PM, policy K7M2-40B9", "At 6 PM. Policy K7M2-40B8", ("number", "policy_number")),
        ("No one was hurt.", "Nobody was hurt.", ()),
        ("K7M2-40B9", "", ("policy_number",)),
    ],
)  # fmt: skip
def test_what_a_claim_depends_on_is_named(ours: str, theirs: str, differs: tuple[str, ...]) -> None:
    assert difference(ours, theirs).differs == differs


@pytest.mark.parametrize(
    ("ours", "theirs", "rate"),
    [
        ("one two three four", "one two three four five", 0.25),
        ("Hello. How can I help you today?", "Hello", 6 / 7),
        ("", "hello there", 1.0),
        ("hello there", "", 1.0),
        ("yes", "I had an accident", 4.0),
    ],
)
def test_the_rate_counts_edits_per_word_of_the_transcript(ours: str, theirs: str, rate: float) -> None:
    assert difference(ours, theirs).word_error_rate == pytest.approx(rate)


def test_the_longest_turns_are_compared_between_two_frames() -> None:
    ours, theirs = "seven apples and a B " * 400, "eight pears or the C " * 400
    begun_s = time.perf_counter()
    difference(ours, theirs)
    assert time.perf_counter() - begun_s < 0.2
