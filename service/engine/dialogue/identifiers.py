"""Policy, phone and report numbers in a turn: which run of characters is which, whole or in part."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from service.engine.dialogue.claim import Field
from service.engine.dialogue.context import Context
from service.spoken.codes import Run, digits, runs
from service.spoken.tokens import Token, tokenise

POLICY_CHARS = 8
PHONE_DIGITS = 10
LONGEST_PHONE_DIGITS = 15
"""ITU-T E.164."""
SHORTEST_CODE_CHARS = 3
LONGEST_REPORT_CHARS = 20
CODES = (Field.POLICY_NUMBER, Field.PHONE, Field.REPORT_NUMBER)

_TAIL = re.compile(
    r"\b(?:last|final)(?: \w+)? (?:digits?|numbers?|characters?|letters?|part|group)\b|\blast (?:two|three|"
    r"four|five) (?:is|are|should)\b|\bend(?:s|ing)? (?:in|with)\b|\bat the end\b",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"\bfirst(?: \w+)? (?:digits?|numbers?|characters?|letters?|part|group)\b|\b(?:starts|begins|starting|"
    r"beginning) with\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Numbers in a turn."""

    whole: dict[Field, str] = field(default_factory=dict)
    fragment: tuple[Field, str] | None = None
    """The last one of the wrong length, and its characters."""


def hear_identifiers(text: str, context: Context, *, correcting: bool) -> Identifiers:
    """Finds the numbers in a tidied transcript. ``correcting``: the turn mends something, so a bare part may count."""
    tokens = tokenise(text)
    grouped: dict[Field, list[Run]] = {}
    for run in runs(tokens):
        if not run.negated:
            target = _labelled(tokens, run) or _expected(run, text, context, correcting=correcting)
            if target is not None:
                grouped.setdefault(target, []).append(run)
    whole: dict[Field, str] = {}
    fragment = None
    for target, found in grouped.items():
        number = _amended(text, target, found, context) or _READERS[target](found, context)
        part = "".join(run.chars for run in found)
        if number is not None:
            whole[target] = number
        elif target is not Field.REPORT_NUMBER and len(part) >= SHORTEST_CODE_CHARS:
            fragment = (target, part)
    return Identifiers(whole, fragment)


def _labelled(tokens: list[Token], run: Run) -> Field | None:
    """The field named before the run, or after it in "... is my policy number"."""
    before = range(run.start - 1, -1, -1)
    is_named_after = run.end < len(tokens) and tokens[run.end].lower == "is"
    after = range(run.end, min(run.end + 6, len(tokens))) if is_named_after else range(0)
    for position in (*before, *after):
        named = _label(tokens, position)
        if named is not None:
            return named
    return None


def _expected(run: Run, text: str, context: Context, *, correcting: bool) -> Field | None:
    """The field that a run without a name belongs to: the one asked for, else the one its shape tells."""
    for asked in CODES:
        if asked in context.asked and len(run.chars) >= SHORTEST_CODE_CHARS:
            return asked
    focus = context.focus if correcting and context.focus in CODES else None
    if focus is not None and (_TAIL.search(text) or _HEAD.search(text)):
        return focus
    policy = run.fitted(POLICY_CHARS)
    if policy is not None and not policy.isdigit() and not policy.isalpha():
        return Field.POLICY_NUMBER
    number = digits(run.chars)
    if number is not None and PHONE_DIGITS <= len(number) <= PHONE_DIGITS + 1:
        return Field.PHONE
    return focus if len(run.chars) > SHORTEST_CODE_CHARS else None


def _amended(text: str, target: Field, found: list[Run], context: Context) -> str | None:
    """ "The last four digits are 2278", "it ends in 78": the known number with that part replaced."""
    known = context.claim.get(target) or context.doubted.get(target)
    at_the_end, at_the_start = _TAIL.search(text), _HEAD.search(text)
    if not isinstance(known, str) or not (at_the_end or at_the_start):
        return None
    plain = known.replace("-", "")
    part = found[-1].chars if target is not Field.PHONE else digits(found[-1].chars) or ""
    if not 0 < len(part) < len(plain):
        return None
    amended = plain[: -len(part)] + part if at_the_end else part + plain[len(part) :]
    return _policy_form(amended) if target is Field.POLICY_NUMBER else amended


def _policy(found: list[Run], context: Context) -> str | None:
    whole = next((fit for run in found if (fit := run.fitted(POLICY_CHARS))), None)
    together = "".join(run.chars for run in found)
    earlier = context.fragments.get(Field.POLICY_NUMBER, "")
    for reading in (whole or "", together, earlier + together):
        if len(reading) == POLICY_CHARS:
            return _policy_form(reading)
    return None


def _policy_form(characters: str) -> str:
    return f"{characters[:4]}-{characters[4:]}"


def _phone(found: list[Run], context: Context) -> str | None:
    whole = next((number for run in found if (number := digits(run.fitted(PHONE_DIGITS) or "")) is not None), None)
    together = "".join(number for run in found if (number := digits(run.chars)) is not None)
    earlier = context.fragments.get(Field.PHONE, "")
    for reading in (whole or "", together, earlier + together):
        subscriber = _subscriber(reading)
        if subscriber is not None:
            return subscriber
    return together if PHONE_DIGITS + 1 < len(together) <= LONGEST_PHONE_DIGITS else None


def _report(found: list[Run], context: Context) -> str | None:
    del context
    # "is for four one seven": no word fits between "is" and a digit, so this "for" is a four.
    longest = max((run.before + run.chars if run.before.isdigit() else run.chars for run in found), key=len)
    fits = SHORTEST_CODE_CHARS <= len(longest) <= LONGEST_REPORT_CHARS and any(char.isdigit() for char in longest)
    return longest if fits else None


_READERS = {Field.POLICY_NUMBER: _policy, Field.PHONE: _phone, Field.REPORT_NUMBER: _report}


def _label(tokens: list[Token], position: int) -> Field | None:
    word = tokens[position].lower
    following = [token.lower for token in tokens[position + 1 : position + 4]]
    if word == "policy":
        return Field.POLICY_NUMBER
    if word in {"phone", "telephone", "cell", "cellphone", "mobile", "callback"}:
        return Field.PHONE
    if word in {"reach", "call"} and following[:1] == ["me"]:
        return Field.PHONE
    if word in {"report", "case", "reference", "report's"} and {"number", "is", "#", ":"} & set(following):
        return Field.REPORT_NUMBER
    return None


def _subscriber(number: str) -> str | None:
    """Ten digits; North America's country code is dropped."""
    if len(number) == PHONE_DIGITS:
        return number
    return number[1:] if len(number) == PHONE_DIGITS + 1 and number[0] == "1" else None
