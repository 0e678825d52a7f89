"""How sure a recogniser was of its words, where the server tells."""

from __future__ import annotations

import math
from typing import Any

LEAST = -1000.0
"""Its probability is 0."""


def mean_probability(logprobs: Any) -> float | None:
    """Mean probability, 0 to 1, of the tokens in `logprobs` of a transcription event; None where there are none.

    Takes whatever a server puts there; what is no log probability is passed over.
    """
    if not isinstance(logprobs, list):
        return None
    found = [token.get("logprob") for token in logprobs if isinstance(token, dict)]
    numbers = [one for one in found if isinstance(one, int) or (isinstance(one, float) and not math.isnan(one))]
    # A whole number may be too large for a float.
    probabilities = [math.exp(max(LEAST, min(0.0, one))) for one in numbers]
    return sum(probabilities) / len(probabilities) if probabilities else None
