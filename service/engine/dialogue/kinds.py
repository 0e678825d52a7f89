"""What kind of claim it is."""

from __future__ import annotations

import re
from difflib import get_close_matches

from service.engine.dialogue.claim import Kind

_AUTO = r"auto(?:mobile)?|car|vehicle|truck|van|suv|motorcycle|motorbike"
_HOME = r"home|house|apartment|flat|property|condo"
_LOSS = r"claim|accident|insurance|incident|crash|collision|damage|policy|one|break-?in|fire|burglary"

_CLEAR: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (
        re.compile(
            rf"\b(?:{_AUTO}) (?:{_LOSS})\b|\babout (?:my|the|our|a) (?:{_AUTO})\b|"
            r"\b(?:fender bender|car crash|traffic accident|rear-?ended)\b"
        ),
        "auto",
    ),
    (
        re.compile(
            rf"\b(?:{_HOME}|homeowner'?s?) (?:{_LOSS})\b|\babout (?:my|the|our) (?:{_HOME})\b|"
            r"\b(?:house fire|burst pipe|pipe burst|kitchen fire)\b"
        ),
        "home",
    ),
)
_ANSWERS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    # As recognisers spell "auto" and "an auto".
    (re.compile(rf"\b(?:{_AUTO}|otto|oto|otoo|nauto|autos|cars|driving|traffic)\b"), "auto"),
    (
        re.compile(
            r"(?<!way )(?<!driving )(?<!drove )(?<!at )(?<!going )\bhome\b|\b(?:house|apartment|flat|property|"
            r"condo|roof|kitchen|basement)\b"
        ),
        "home",
    ),
    (
        re.compile(
            r"\b(?:other|something else|neither|none of (?:these|those|them)|boat|travel|pet|bicycle|bike|"
            r"jewel(?:le)?ry|luggage|laptop)\b"
        ),
        "other",
    ),
)
_SINGLE = {"auto": "auto", "vehicle": "auto", "house": "home", "other": "other"}


def hear_kind(text: str, *, expected: bool) -> Kind | None:
    """The kind a tidied transcript names; None where it names none, or several."""
    lower = text.lower()
    for pattern, kind in _CLEAR:
        if pattern.search(lower):
            return kind
    if not expected:
        return None
    named = [kind for pattern, kind in _ANSWERS if pattern.search(lower)]
    if len(named) == 1:
        return named[0]
    words = re.findall(r"[a-z]+", lower)
    if not named and len(words) <= 4:
        close = [match for word in words for match in get_close_matches(word, _SINGLE, n=1, cutoff=0.75)]
        kinds: dict[str, Kind] = {"auto": "auto", "home": "home", "other": "other"}
        return kinds[_SINGLE[close[0]]] if len(close) == 1 else None
    return None
