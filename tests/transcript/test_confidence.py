"""A server's log probabilities become one number, whatever they hold."""

from __future__ import annotations

import math
from typing import Any

import pytest

from service.transcript.confidence import mean_probability


def test_the_mean_of_the_tokens_probabilities() -> None:
    assert mean_probability([{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": math.log(0.5)}]) == 0.75


@pytest.mark.parametrize("nothing", [None, [], "x", 3, [5, None], [{}], [{"logprob": "x"}], [{"logprob": math.nan}]])
def test_what_is_none_is_none(nothing: Any) -> None:
    assert mean_probability(nothing) is None


def test_it_stays_between_nothing_and_certain() -> None:
    assert mean_probability([{"logprob": 5.0}]) == 1.0
    assert mean_probability([{"logprob": -math.inf}]) == 0.0
    assert mean_probability([{"logprob": 10**400}, {"logprob": -(10**400)}]) == 0.5
