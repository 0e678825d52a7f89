"""Number words as figures."""

# ruff: noqa: SIM905  a row of words reads better than a list

from __future__ import annotations

import re

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_CARDINAL = {word: number for number, word in enumerate(_UNITS)} | _TENS
_TENS_WORD = "|".join(_TENS)
_NUMBER_WORD = re.compile(
    rf"\b(?:(?P<tens>{_TENS_WORD})[ -])?(?P<unit>{'|'.join(sorted([*_UNITS, *_ORDINALS], key=len, reverse=True))})\b"
    rf"|\b(?P<round>{_TENS_WORD})\b"
)


def with_digits(text: str) -> str:
    """ "half past five on the fourteenth" becomes "half past 5 on the 14th". Lower case in, lower case out."""

    def figure(match: re.Match[str]) -> str:
        if match["round"]:
            return str(_TENS[match["round"]])
        tens = _TENS.get(match["tens"] or "", 0)
        unit = match["unit"]
        if unit in _ORDINALS:
            number = _ORDINALS[unit]
            return f"{tens + number}th" if not tens or number < 10 else f"{tens} {number}th"
        number = _CARDINAL[unit]
        return str(tens + number) if not tens or 0 < number < 10 else f"{tens} {number}"

    return re.sub(r"\boh (?=\d\b)", "0", _NUMBER_WORD.sub(figure, text))
