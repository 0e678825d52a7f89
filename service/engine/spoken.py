"""Text as it is to be read aloud: identifiers and telephone numbers character by character, in groups."""

# ruff: noqa: RUF001, SIM905  phonemes and typographic punctuation are meant; a row of words reads better than a list

from __future__ import annotations

import re
import unicodedata

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LETTERS = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            "ˈA bˈi sˈi dˈi ˈi ˈɛf ʤˈi ˈAʧ ˈI ʤˈA kˈA ˈɛl ˈɛm ˈɛn ˈO pˈi kjˈu ˈɑɹ ˈɛs tˈi jˈu vˈi dˈʌbᵊlju ˈɛks wˈI zˈi"
        ).split(),
        strict=True,
    )
)
"""Phonemes (misaki's alphabet) of the letters' names: written alone, A would be read as the article."""

_IDENTIFIER = re.compile(r"(?<![\w$€£.])(?=[A-Z\d-]*\d)(?=[A-Z\d-]*[A-Z])[A-Z\d]+(?:-[A-Z\d]+)*(?![\w%]|[.,]\d)")
_CLOCK = re.compile(r"\d{1,2}(?:AM|PM)")
_PHONE = re.compile(r"(?<![\w$€£.,+(-])(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])?\d{3}[ .-]\d{4}(?![\w%-]|[.,]\d)")
_LONG_NUMBER = re.compile(r"(?<![\w$€£.,-])\+?\d{5,}(?![\w%-]|[.,]\d)")
_LONE_LETTER = re.compile(r"(?<![\w'.])[A-Z](?=[,;])|(?<=[,;] )[A-Z](?=[.?!]*$)")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’)\]]*\s+(?=[^\s\da-z])")
_ABBREVIATED = re.compile(r"(?:^|\s)(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|Ft|Lt|Sgt|Capt|Rev|Hon|No|[A-Z])\.$")
_PUNCTUATION = frozenset(" .,;:!?'\"’‘“”()/-–—…@#$%&*+=~€£¥¢°")
_LONGEST_SENTENCE = 240
"""Characters that the voice is given at once."""
_SHORTEST_WORD = 4
"""Letters in a row that are read as a word within an identifier: CLAIM-12, but C L M-12."""


def sentences(text: str) -> list[str]:
    """Sentences (at most 240 characters each) as the voice is to be given them; none where nothing can be spoken."""
    text = " ".join(_readable(text.replace("\u2044", "/")).split())
    out: list[str] = []
    begin = 0
    for match in _SENTENCE_END.finditer(text):
        if not _ABBREVIATED.search(text[begin : match.start()]):
            out.extend(_cut(text[begin : match.start()]))
            begin = match.end()
    out.extend(_cut(text[begin:]))
    return [spelled_out(sentence) for sentence in out if any(character.isalnum() for character in sentence)]


def spelled_out(text: str) -> str:
    """The sentence with its identifiers, telephone and other long numbers as names of characters.

    Commas stand between characters and semicolons, which the voice reads as longer pauses, between groups.
    """
    text = _IDENTIFIER.sub(_identifier, text)
    text = _PHONE.sub(lambda match: _groups(re.findall(r"\d+", match[0])), text)
    text = _LONG_NUMBER.sub(lambda match: _groups(_in_threes(match[0].lstrip("+"))), text)
    return _LONE_LETTER.sub(lambda match: _name(match[0]), text)


def _identifier(match: re.Match[str]) -> str:
    if _CLOCK.fullmatch(match[0]):
        return match[0]
    return _groups(match[0].split("-"))


def _groups(groups: list[str]) -> str:
    return "; ".join(_group(group) for group in groups)


def _group(characters: str) -> str:
    if characters.isalpha() and len(characters) >= _SHORTEST_WORD:
        return characters.capitalize()
    return ", ".join(_name(character) for character in characters)


def _name(character: str) -> str:
    if character.isdigit():
        return _DIGITS[int(character)]
    return f"[{character}](/{_LETTERS[character]}/)"


def _in_threes(digits: str) -> list[str]:
    """Groups of three, none of a single digit; five and fewer stand together."""
    if len(digits) <= 5:
        return [digits]
    starts = range(0, len(digits) - 1, 3)
    return [digits[start : start + 3] for start in starts[:-1]] + [digits[starts[-1] :]]


def _readable(text: str) -> str:
    """Letters, decimal digits and the punctuation that means something when read; the rest is blank."""
    return "".join(_readable_character(character) for character in unicodedata.normalize("NFKC", text))


def _readable_character(character: str) -> str:
    if character in _PUNCTUATION or (character.isascii() and character.isalnum()):
        return character
    match unicodedata.category(character):
        case "Nd":
            return str(unicodedata.decimal(character))
        case "Ll" | "Lu" | "Lt" | "Lo" | "Lm" | "Mn" | "Mc":
            return character
    # Also brackets, which the phonemiser takes for its own markup, and dingbat digits, which it fails on.
    return " "


def _cut(sentence: str) -> list[str]:
    """The sentence in pieces the voice can hold, cut behind a comma or a word."""
    out = []
    while len(sentence) > _LONGEST_SENTENCE:
        head = sentence[:_LONGEST_SENTENCE]
        end = max(head.rfind(mark) for mark in (", ", "; ", ": ", "— "))
        end = end + 1 if end > _LONGEST_SENTENCE // 3 else head.rfind(" ")
        end = end if end > 0 else _LONGEST_SENTENCE
        out.append(sentence[:end].strip())
        sentence = sentence[end:].strip()
    return [*out, sentence]
