"""Contexts are read from the command line, and wrong ones told."""

from __future__ import annotations

import pytest

from service.compare.methods import Method, parse_contexts


def test_contexts_keep_their_order() -> None:
    methods = parse_contexts("full, 3,turn")
    assert methods == (Method("full"), Method(3), Method("turn"))
    assert [method.label for method in methods] == ["full", "3 turns", "turn"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("turn,all", "'all' is no context"),
        ("0", "'0' is no context"),
        ("-1", "'-1' is no context"),
        ("", "'' is no context"),
        ("²", "is no context"),
        ("9" * 5000, "is no context"),
        ("3,turn,3", "names a context twice"),
        ("1,2,3,4,5,6", "names 6 contexts; at most 5"),
    ],
)
def test_wrong_contexts_are_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_contexts(text)
