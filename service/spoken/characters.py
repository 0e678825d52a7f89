"""How letters and digits are spoken, one by one: each word of a transcript as characters, or as what lies between."""

# ruff: noqa: SIM905  a row of words reads better than a list

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from service.spoken.tokens import Token

_UNITS = {
    "zero": "0", "nought": "0", "naught": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "niner": "9",
}  # fmt: skip
_TEENS = {
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15",
    "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19",
}  # fmt: skip
_TENS = {
    "twenty": "2", "thirty": "3", "forty": "4", "fourty": "4", "fifty": "5", "sixty": "6", "seventy": "7",
    "eighty": "8", "ninety": "9",
}  # fmt: skip
_ZEROS = {"hundred": "00", "thousand": "000"}
_REPEATS = {"double": 2, "triple": 3}

# ICAO alphabet, with the spellings recognisers prefer.
_SPELLING_ALPHABET = {
    word: word[0].upper()
    for word in (
        "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike november oscar "
        "papa quebec romeo sierra tango uniform victor whiskey whisky xray yankee zulu"
    ).split()
}
_LETTER_NAMES = {
    "bee": "B", "cee": "C", "dee": "D", "ef": "F", "eff": "F", "gee": "G", "aitch": "H", "haitch": "H", "jay": "J",
    "kay": "K", "el": "L", "ell": "L", "em": "M", "en": "N", "pee": "P", "cue": "Q", "queue": "Q", "ess": "S",
    "tee": "T", "vee": "V", "ex": "X", "zee": "Z", "zed": "Z",
}  # fmt: skip
# Common words that sound like a character: one only between characters, or where a length fits no other way.
_HOMOPHONES = {
    "to": "2", "too": "2", "for": "4", "fore": "4", "ate": "8", "won": "1", "oh": "O", "be": "B", "see": "C",
    "sea": "C", "are": "R", "you": "U", "why": "Y", "eye": "I", "tea": "T", "a": "A", "i": "I",
}  # fmt: skip
_SURE = _UNITS | _TEENS | _SPELLING_ALPHABET | _LETTER_NAMES
_BETWEEN = frozenset(
    "dash hyphen minus and then uh um er erm space slash capital upper lower case letter number digit followed by plus "
    "comma - , ( ) / + : ' \" #".split()
)
_SENTENCE_ENDS = frozenset(".!?;")
_LONGEST_LETTERS = 4
"""Capitals in a row that are read as letters; more are a word."""
_NOT_LETTERS = frozenset({"OK", "AM", "PM", "ID", "US", "USA", "TV", "SUV", "NO", "YES", "HI"})
_AFTER_DIGITS = frozenset({"st", "nd", "rd", "th", "am", "pm", "s"})
LETTER_O = "\0"
"""Stands for an O that the caller called a letter."""


class Mark(Enum):
    """What stands between characters."""

    BETWEEN = auto()
    SENTENCE_END = auto()
    BREAK = auto()
    NOT = auto()


@dataclass(frozen=True, slots=True)
class Chunk:
    """One or more characters; ``doubtful`` where they are rather a word that sounds like one."""

    chars: str
    doubtful: bool


def pieces(tokens: list[Token]) -> list[tuple[Chunk | Mark, int, int]]:
    """The tokens as chunks and marks, each with its first token's position and that after its last."""
    words = [token.text for token in tokens if token.text.isalpha()]
    shouted = all(map(str.isupper, words)) and any(len(word) > _LONGEST_LETTERS for word in words)
    found: list[tuple[Chunk | Mark, int, int]] = []
    i = 0
    while i < len(tokens):
        piece, length = _piece(tokens, i, shouted=shouted)
        found.append((piece, i, i + length))
        i += length
    return found


def _piece(tokens: list[Token], i: int, *, shouted: bool) -> tuple[Chunk | Mark, int]:
    compound = _repeated(tokens, i, shouted=shouted) or _tens(tokens, i) or _named_letter(tokens, i)
    if compound is not None:
        return compound
    chunk = _characters(tokens, i, shouted=shouted)
    if chunk is not None:
        return chunk, 1 + _explanation(tokens, i + 1, chunk.chars)
    return _mark(tokens[i].lower), 1


def _repeated(tokens: list[Token], i: int, *, shouted: bool) -> tuple[Chunk | Mark, int] | None:
    """ "double four", "triple five", and the letter W."""
    times = _REPEATS.get(tokens[i].lower)
    if times is None or i + 1 == len(tokens):
        return None
    if times == 2 and tokens[i + 1].lower in {"u", "you"}:
        return Chunk("W", doubtful=False), 2
    chunk = _characters(tokens, i + 1, shouted=shouted)
    return None if chunk is None or len(chunk.chars) != 1 else (Chunk(chunk.chars * times, doubtful=False), 2)


def _tens(tokens: list[Token], i: int) -> tuple[Chunk | Mark, int] | None:
    """ "forty", "forty two", "forty-two"."""
    tens = _TENS.get(tokens[i].lower)
    if tens is None:
        return None
    dash = int(_lower(tokens, i + 1) == "-")
    unit = _UNITS.get(_lower(tokens, i + 1 + dash), "0")
    return Chunk(tens + unit, doubtful=False), 1 if unit == "0" else 2 + dash


def _named_letter(tokens: list[Token], i: int) -> tuple[Chunk | Mark, int] | None:
    """ "letter O" and "x-ray"."""
    if _lower(tokens, i) == "letter" and _lower(tokens, i + 1) in {"o", "oh"}:
        return Chunk(LETTER_O, doubtful=False), 2
    if [_lower(tokens, j) for j in range(i, i + 3)] == ["x", "-", "ray"]:
        return Chunk("X", doubtful=False), 3
    return None


def _lower(tokens: list[Token], i: int) -> str:
    return tokens[i].lower if i < len(tokens) else ""


def _mark(word: str) -> Mark:
    if word == "not":
        return Mark.NOT
    if word in _SENTENCE_ENDS:
        return Mark.SENTENCE_END
    return Mark.BETWEEN if word in _BETWEEN else Mark.BREAK


def _characters(tokens: list[Token], i: int, *, shouted: bool) -> Chunk | None:
    token, word = tokens[i], tokens[i].lower
    if token.text.isascii() and token.text.isdigit():
        return Chunk(token.text, doubtful=False)
    spoken = _SURE.get(word)
    if spoken is None and word in _ZEROS and i and (tokens[i - 1].lower in _UNITS or tokens[i - 1].text.isdigit()):
        spoken = _ZEROS[word]
    if spoken is None and _are_letters(tokens, i, shouted=shouted):
        spoken = token.text.upper()
    if spoken is not None:
        return Chunk(spoken, doubtful=False)
    return Chunk(_HOMOPHONES[word], doubtful=True) if word in _HOMOPHONES else None


def _are_letters(tokens: list[Token], i: int, *, shouted: bool) -> bool:
    """Whether a token is meant as its letters: beside a digit without space, alone, or in capitals."""
    token = tokens[i]
    if not (token.text.isascii() and token.text.isalpha()):
        return False
    after_digit = token.glued and i > 0 and tokens[i - 1].text.isdigit()
    before_digit = i + 1 < len(tokens) and tokens[i + 1].glued and tokens[i + 1].text.isdigit()
    if after_digit and not before_digit and token.lower in _AFTER_DIGITS:
        return False
    if (after_digit or before_digit) and len(token.text) <= 3:
        return True
    if token.lower in _HOMOPHONES:
        return False
    capitals = token.text.isupper() and len(token.text) <= _LONGEST_LETTERS and token.text not in _NOT_LETTERS
    return len(token.text) == 1 or (capitals and not shouted)


def _explanation(tokens: list[Token], i: int, chars: str) -> int:
    """Tokens to skip in "B as in boy", "M for Mike": the word after the letter that only explains it."""
    skip = i
    if [token.lower for token in tokens[i : i + 2]] == ["as", "in"]:
        skip += 2
    elif i < len(tokens) and tokens[i].lower in {"for", "like"}:
        skip += 1
    else:
        return 0
    if skip < len(tokens) and len(tokens[skip].text) > 1 and tokens[skip].lower.startswith(chars[-1].lower()):
        return skip + 1 - i
    return 0
