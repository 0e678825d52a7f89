"""Arguments of the function `note_claim`: the lines of a call and the claim as it stands in, what has changed out.

The request is text: a row for each line of the talk, as in `talk_line`, and one row of JSON,
`{"today": "YYYY-MM-DD", "claims": [{"fields": {name: {value, turns, confirmed, unknown}}}]}`. The arguments have the
form of the JSON's `claims`. This engine takes one claim a call: it speaks of the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, get_args

from service.engine.dialogue.claim import Field, Kind, Value
from service.engine.dialogue.minutes import Minutes, Note
from service.engine.dialogue.moments import Moment
from service.engine.dialogue.talk_line import Line, read_line

NOTE_CLAIM = "note_claim"
KIND_DETAIL = "kind_detail"
_DETAIL_CHARS = 120

_KINDS = get_args(Kind)
_YES_NO = frozenset({Field.INJURIES, Field.DRIVABLE, Field.SAFE_TO_OCCUPY, Field.REPORT_FILED, Field.WITNESSES})


@dataclass(frozen=True, slots=True)
class Request:
    """What `note_claim` is to be filled from."""

    lines: tuple[Line, ...]
    standing: Mapping[Field, Note]
    today: date | None


def note_claim(text: str, today: date) -> dict[str, Any]:
    """The arguments for a request, which names its own day or means `today`. Never raises, whatever the text holds."""
    request = read_request(text)
    minutes = Minutes(request.today or today, _before(request))
    for line in request.lines:
        minutes.follow(line)
    notes = minutes.notes()
    fields = {
        field.value: _written(note) for field, note in notes.items() if _differs(note, request.standing.get(field))
    }
    if minutes.claim.kind == "other" and Field.ACCOUNT.value in fields:
        fields[KIND_DETAIL] = _detail(notes[Field.ACCOUNT])
    return {"claims": [{"fields": fields}]}


def read_request(text: str) -> Request:
    """The lines and the claim in a request; what is neither is passed over."""
    lines: list[Line] = []
    given: dict[str, Any] = {}
    for row in text.splitlines():
        line = read_line(row)
        if line is not None:
            lines.append(line)
        elif row.startswith("{"):
            given = _json_object(row)
    return Request(tuple(lines), _standing(given), _day(given.get("today")))


def _before(request: Request) -> dict[Field, Note]:
    """What stands from turns before the first line: the rest is read once more, from the lines themselves."""
    first = min((line.turn for line in request.lines if line.turn is not None), default=None)
    return {
        field: note
        for field, note in request.standing.items()
        if first is None or not note.turns or min(note.turns) < first
    }


def _differs(note: Note, standing: Note | None) -> bool:
    """Whether it says something new; more turns for the same are none."""
    if standing is None:
        return True
    # As JSON: one moment has several forms.
    return {**_written(note), "turns": ()} != {**_written(standing), "turns": ()}


def _written(note: Note) -> dict[str, Any]:
    return {
        "value": note.value.isoformat() if isinstance(note.value, Moment) else note.value,
        "turns": list(note.turns),
        "confirmed": note.confirmed,
        "unknown": note.unknown,
    }


def _detail(account: Note) -> dict[str, Any]:
    """What the claim is about, where it is neither car nor home: the beginning of the account."""
    detail = re.split(r"(?<=[.?!])\s", str(account.value or ""))[0][:_DETAIL_CHARS]
    return _written(replace(account, value=detail or None))


def _standing(given: Mapping[str, Any]) -> dict[Field, Note]:
    claims = given.get("claims")
    first = claims[0] if isinstance(claims, list) and claims else None
    fields = first.get("fields") if isinstance(first, dict) else None
    if not isinstance(fields, dict):
        return {}
    return {field: _note(field, fields[field.value]) for field in Field if isinstance(fields.get(field.value), dict)}


def _note(field: Field, given: Mapping[str, Any]) -> Note:
    turns = given.get("turns")
    numbers = tuple(turn for turn in turns if type(turn) is int) if isinstance(turns, list) else ()
    value = value_of(field, given.get("value"))
    return Note(value, numbers, given.get("confirmed") is True, value is None and given.get("unknown") is True)


def value_of(field: Field, given: object) -> Value | None:
    """A field's value from JSON; None where it is none of its kind."""
    if field in _YES_NO:
        return given if isinstance(given, bool) else None
    if not isinstance(given, str) or not given:
        return None
    match field:
        case Field.INCIDENT_AT:
            return _moment(given)
        case Field.KIND:
            return given if given in _KINDS else None
        case _:
            return given


def _moment(given: str) -> Moment | None:
    """A day, or a day and a time of 24 hours."""
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        return None
    if "T" not in given:
        return Moment(at.date())
    return Moment(at.date(), at.hour, at.minute, "am" if at.hour < 12 else "pm")


def _day(given: Any) -> date | None:
    try:
        return date.fromisoformat(given)
    except (TypeError, ValueError):
        return None


def _json_object(row: str) -> dict[str, Any]:
    try:
        value = json.loads(row)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
