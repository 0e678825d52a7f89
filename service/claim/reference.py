"""Claim references: what a caller writes down and says again in another call."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import islice
from unicodedata import combining, normalize

ALPHABET = "2346789CFHJKMQRWXY"
"""Neither looks (0 O, 1 I L, 5 S) nor sounds (5 and 9, F and S, M and N, the letters in "ee") like another of them: of
each such group at most one."""
GROUPS, GROUP_CHARS = 3, 3
"""18^9 possibilities: two hundred thousand million."""
NAME_LIKENESS = 0.85
"""Of two spellings of a name that count as one: recognisers differ in a letter or two, and the secret is the
reference."""


def new_reference(choice: Callable[[str], str]) -> str:
    """A reference such as `C7K-4QX-92M`. `choice` picks a character of a string; pass `secrets.choice`."""
    return "-".join("".join(choice(ALPHABET) for _ in range(GROUP_CHARS)) for _ in range(GROUPS))


def parsed(text: object) -> str | None:
    """A reference as it was said or typed, in its own form; None where it cannot be one."""
    if not isinstance(text, str):
        return None
    characters = [char for char in text[:100].upper() if char in ALPHABET]
    if len(characters) != GROUPS * GROUP_CHARS:
        return None
    rest = iter(characters)
    return "-".join("".join(islice(rest, GROUP_CHARS)) for _ in range(GROUPS))


def same_person(one: object, other: object) -> bool:
    """Whether two full names are the same but for a letter or two."""
    first, second = _letters(one), _letters(other)
    if not first or not second:
        return False
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= NAME_LIKENESS


def _letters(name: object) -> str:
    if not isinstance(name, str):
        return ""
    plain = normalize("NFKD", name[:200].casefold())
    return "".join(char for char in plain if char.isalpha() and not combining(char))
