"""One line of a talk as text: `agent: ...`, `caller 3: ...`, `caller: ...` or `caller keys: ...`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"(?:(?P<agent>agent)|caller(?: (?:(?P<turn>\d{1,6})|keys))?): ?(?P<text>.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """What one side said; `turn` is the number of a caller turn, None where it has none."""

    by_agent: bool
    text: str
    turn: int | None = None


def read_line(row: str) -> Line | None:
    """None for a row that is nobody's."""
    found = _LINE.fullmatch(row)
    if found is None:
        return None
    return Line(found["agent"] is not None, found["text"], int(found["turn"]) if found["turn"] else None)
