"""What the model noted becomes part of the claims. All of it is untrusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from service.claim.claim import NOTHING_KNOWN, Claim, FieldState
from service.claim.extraction import MAX_CLAIMS
from service.claim.fields import BY_NAME, Field
from service.claim.rules import clean, problems

MAX_TURNS = 50
"""Noted for one field; the latest are kept."""


def merged(
    claims: Sequence[Claim], arguments: str | None, *, turns: int, today: date, new_reference: Callable[[], str]
) -> tuple[Claim, ...] | None:
    """The claims with the arguments of `note_claim` taken in, entry by entry; None where these are not readable.

    `turns`: how many caller turns there are; numbers beyond are dropped. A null that is not declared unknown changes
    nothing, so that a value once given is only ever replaced. An entry beyond the claims begins another claim.
    """
    noted = _noted(arguments)
    if noted is None:
        return None
    result = list(claims)
    for position, fields in enumerate(noted):
        known = result[position].fields if position < len(result) else {}
        changes = {
            name: state
            for name, entry in fields.items()
            if name in BY_NAME and isinstance(entry, dict)
            for state in [_taken_in(BY_NAME[name], known.get(name, NOTHING_KNOWN), entry, turns, today)]
            if state is not None
        }
        if position < len(result):
            result[position] = result[position].with_fields(changes)
        elif changes:
            result.append(Claim(new_reference()).with_fields(changes))
    return tuple(result)


def filled_up(claim: Claim, noted: Mapping[str, object], today: date) -> Claim:
    """The claim, where a field is not known, with what the agent noted when it ended the call."""
    added: dict[str, FieldState] = {}
    for name, given in noted.items():
        field = BY_NAME.get(name)
        value = clean(field, given) if field is not None and name not in claim.fields else None
        if value is not None:
            added[name] = FieldState(value=value, problems=problems(name, value, today), source="agent")
    return claim.with_fields(added)


def _noted(arguments: str | None) -> list[dict[str, Any]] | None:
    try:
        decoded = msgspec.json.decode(arguments or "")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    entries = decoded.get("claims") if isinstance(decoded, dict) else None
    if not isinstance(entries, list):
        return None
    noted = [entry.get("fields") if isinstance(entry, dict) else None for entry in entries[:MAX_CLAIMS]]
    return [fields if isinstance(fields, dict) else {} for fields in noted]


def _taken_in(field: Field, known: FieldState, entry: dict[str, Any], turns: int, today: date) -> FieldState | None:
    value = clean(field, entry.get("value"))
    unknown = value is None and entry.get("unknown") is True
    if value is None and not unknown:
        return None
    same = value == known.value and unknown == known.unknown
    cited = _turn_numbers(entry.get("turns"), turns)
    return FieldState(
        value=value,
        turns=cited or (known.turns if same else ()),
        confirmed=value is not None and entry.get("confirmed") is True,
        unknown=unknown,
        problems=problems(field.name, value, today),
        conflict=known.conflict,
        # What an earlier call knew, and the caller has only agreed to, is in no transcript of this one.
        source=known.source if same else "transcript",
    )


def _turn_numbers(given: object, turns: int) -> tuple[int, ...]:
    if not isinstance(given, list):
        return ()
    numbers = {one for one in given if isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= turns}
    return tuple(sorted(numbers)[-MAX_TURNS:])
