"""What is known of a claim as one line of text, and back: it stands for older items that a client takes out.

`Policyholder: Margaret Hale; policy number: K7M2-40B9; injuries: no; account: I was hit from behind.`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal

from service.engine.dialogue.claim import Field, Value
from service.engine.dialogue.extraction import value_of
from service.engine.dialogue.minutes import Minutes, Note
from service.engine.dialogue.moments import Moment
from service.engine.dialogue.talk_line import Line, read_line

NOTHING_KNOWN = "Nothing is known of the claim yet."
_UNKNOWN = "not known to the caller"
_YES_NO = {True: "yes", False: "no"}

Role = Literal["user", "assistant", "system"]


def summarize(said: Iterable[tuple[Role, str]], today: date) -> str:
    """What the messages of a conversation say of the claim.

    A message of a user may hold the lines of a whole talk. What an earlier summary knows counts as well.
    """
    lines: list[Line] = []
    known: dict[Field, Note] = {}
    for role, text in said:
        rows = [(row, read_line(row)) for row in text.splitlines()]
        if role == "system" or any(line is not None for _, line in rows):
            known |= read("\n".join(row for row, line in rows if line is None))
            lines += [line for _, line in rows if line is not None]
        else:
            lines.append(Line(role == "assistant", text))
    minutes = Minutes(today, known)
    for line in lines:
        minutes.follow(line)
    return write(minutes.notes())


def write(notes: Mapping[Field, Note]) -> str:
    """The account stands last, since it may hold any punctuation."""
    text = "; ".join(f"{_label(field)}: {_shown(notes[field].value)}" for field in Field if field in notes)
    return text[:1].upper() + text[1:] if text else NOTHING_KNOWN


def read(text: str) -> dict[Field, Note]:
    """The fields of a summary that stands in a text; none where there is none."""
    notes: dict[Field, Note] = {}
    parts = list(_PART.finditer(text))
    for position, part in enumerate(parts):
        field = _FIELDS[part[1].lower()]
        last = field is Field.ACCOUNT or position + 1 == len(parts)
        shown = text[part.end() : None if last else parts[position + 1].start()].strip().removesuffix(";")
        value = value_of(field, {"yes": True, "no": False}.get(shown, shown))
        if shown == _UNKNOWN:
            notes[field] = Note(None, unknown=True)
        elif value is not None:
            notes[field] = Note(value)
        if field is Field.ACCOUNT:
            break
    return notes


def _label(field: Field) -> str:
    return field.value.replace("_", " ")


def _shown(value: Value | None) -> str:
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return _YES_NO[value]
    return (value.isoformat() or _UNKNOWN) if isinstance(value, Moment) else value


_FIELDS = {_label(field): field for field in Field}
_PART = re.compile(rf"(?:(?<=; )|(?<=: )|^)({'|'.join(_FIELDS)}): ", re.IGNORECASE | re.MULTILINE)
