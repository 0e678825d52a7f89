"""What a value must look like: tidied where its form is certain, and what is wrong with it where it is not right."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from service.claim.fields import Field, Value

_POLICY_NUMBER = re.compile(r"[A-Z0-9]{4}-[A-Z0-9]{4}")
_SEPARATORS = re.compile(r"[\s()./-]+")
PHONE_DIGITS = (7, 15)
"""From a number without area code to the most that E.164 allows."""
LONGEST_LIFE = timedelta(days=125 * 366)
TRUE, FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})


def clean(field: Field, value: object) -> Value | None:
    """An untrusted value as one of the field's; None where it cannot be one."""
    match field.type:
        case "yes_no":
            if isinstance(value, str):
                word = value.strip().lower()
                return True if word in TRUE else False if word in FALSE else None
            return value if isinstance(value, bool) else None
        case "choice":
            word = value.strip().lower() if isinstance(value, str) else ""
            return word if word in field.choices else None
        case "text":
            if not isinstance(value, str):
                return None
            text = "".join(char if char.isprintable() else " " for char in value[: 4 * field.max_chars])
            return _tidy(field.name, " ".join(text.split()))[: field.max_chars] or None


def problems(name: str, value: Value | None, today: date) -> tuple[str, ...]:
    """What is wrong with a value, in words from a closed list: `format`, `length`, `future`, `too_old`."""
    found: str | None = None
    if isinstance(value, str):
        match name:
            case "policy_number":
                found = None if _POLICY_NUMBER.fullmatch(value) else "format"
            case "phone":
                found = _phone_problem(value.removeprefix("+"))
            case "incident_at":
                # What is no date is left as it was said: "around noon, I think".
                day = _day(value)
                found = "future" if day is not None and day > today else None
            case "date_of_birth":
                found = _birth_problem(_day(value), today)
    return (found,) if found is not None else ()


def _phone_problem(digits: str) -> str | None:
    if not digits.isdigit():
        return "format"
    return None if PHONE_DIGITS[0] <= len(digits) <= PHONE_DIGITS[1] else "length"


def _birth_problem(day: date | None, today: date) -> str | None:
    if day is None:
        return "format"
    return "future" if day > today else "too_old" if today - day > LONGEST_LIFE else None


def _tidy(name: str, text: str) -> str:
    match name:
        case "policy_number":
            joined = _SEPARATORS.sub("", text).upper()
            whole = len(joined) == 8 and joined.isascii() and joined.isalnum()
            return f"{joined[:4]}-{joined[4:]}" if whole else text.upper()
        case "phone":
            joined = _SEPARATORS.sub("", text)
            return joined if joined.removeprefix("+").isdigit() else text
    return text


def _day(text: str) -> date | None:
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        return None
