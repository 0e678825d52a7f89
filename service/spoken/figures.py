"""Number words as figures."""

# ruff: noqa: SIM905  a row of words reads better than a list

from __future__ import annotations

import re

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_CARDINAL = {word: number for number, word in enumerate(_UNITS)} | _TENS
_TENS_WORD = "|".join(_TENS)
_NUMBER_WORD = re.compile(
    rf"\b(?:(?P<tens>{_TENS_WORD})[ -])?(?P<unit>{'|'.join(sorted([*_UNITS, *_ORDINALS], key=len, reverse=True))})\b"
    rf"|\b(?P<round>{_TENS_WORD})\b",
    re.IGNORECASE,
)
_OH = re.compile(r"\boh (?=\d\b)", re.IGNORECASE)
_ZERO = re.compile(r"(?<!letter )\boh?\b(?=[ ,]*\d)|(?<=\d )oh?\b", re.IGNORECASE)
# A single digit behind "hundred" or "thousand" belongs to it after "and", or where no further digit follows: what is
# dictated digit by digit goes on.
_REST = r"(?:(?: and)? (?P<many>{many})\b| and (?P<joined>\d)\b| (?P<last>\d)\b(?![ ,-]*\d))?"
_HUNDRED = re.compile(r"\b(?P<times>\d{1,2}) hundred\b" + _REST.format(many=r"[1-9]\d"), re.IGNORECASE)
_THOUSAND = re.compile(r"\b(?P<times>\d{1,3}) thousand\b" + _REST.format(many=r"[1-9]\d{1,2}"), re.IGNORECASE)
_PAST = re.compile(r"\b(?P<part>half|quarter) (?P<way>past|to) (?P<hour>\d{1,2})\b", re.IGNORECASE)


def with_digits(text: str) -> str:
    """ "half past five on the fourteenth" becomes "half past 5 on the 14th", "five oh five" becomes "5 05"."""
    return _OH.sub("0", _words_as_digits(text))


def with_figures(text: str) -> str:
    """ "three hundred and fifty" becomes "350", "half past five" "5:30", "oh seven" "0 7"."""
    text = _ZERO.sub("0", _HUNDRED.sub(lambda match: _sum(match, 100), _words_as_digits(text)))
    return _PAST.sub(_clock, _THOUSAND.sub(lambda match: _sum(match, 1000), text))


def _words_as_digits(text: str) -> str:
    def figure(match: re.Match[str]) -> str:
        if match["round"]:
            return str(_TENS[match["round"].lower()])
        tens = _TENS.get((match["tens"] or "").lower(), 0)
        unit = match["unit"].lower()
        if unit in _ORDINALS:
            number = _ORDINALS[unit]
            return f"{tens + number}th" if not tens or number < 10 else f"{tens} {number}th"
        number = _CARDINAL[unit]
        return str(tens + number) if not tens or 0 < number < 10 else f"{tens} {number}"

    return _NUMBER_WORD.sub(figure, text)


def _sum(match: re.Match[str], unit: int) -> str:
    return str(int(match["times"]) * unit + int(match["many"] or match["joined"] or match["last"] or 0))


def _clock(match: re.Match[str]) -> str:
    hour, half = int(match["hour"]), match["part"].lower() == "half"
    if match["way"].lower() == "past":
        return f"{hour}:{30 if half else 15}"
    return match[0] if half else f"{hour - 1 or 12}:45"
