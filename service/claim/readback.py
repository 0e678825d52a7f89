"""What the agent read back against what the transcripts say.

The model that talks to the caller hears the audio; the transcripts are a second hearing of it. Where the agent states a
code, a number or a spelled name that no caller turn holds, one of the two heard wrong: a conflict on that field, until
the agent has read back what the caller said and the caller has agreed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from service.claim.claim import Claim, Conflict, FieldState
from service.claim.extraction import Said
from service.spoken.codes import code_tokens

NOT_IN_TRANSCRIPT = "not_in_transcript"
"""Problem of a code of which no caller turn holds the characters."""
CODES = ("policy_number", "phone", "report_number")
READ_BACK = (*CODES, "policyholder")
MIN_CHARS = 4
"""Shorter runs are counts, times, or "911"."""
LIKENESS = 0.6
"""From here on a code that is stated without a word for what it is is taken for a reading of the value it resembles."""

_TOPIC = re.compile(
    r"\b(?:(?P<policy_number>policy)|(?P<phone>phone|telephone|reach you|call you|follow[ -]?up)"
    r"|(?P<report_number>report|case number)|(?P<policyholder>name|spell(?:ed|ing)?)"
    r"|(?P<other>incident|accident|happened|date|time|born|birth|address|reference"
    r"|january|february|march|april|may|june|july|august|september|october|november|december))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Statement:
    """A code in an agent line, with the field it is said to be; None where nothing says so."""

    code: str
    topic: str | None


@dataclass(slots=True)
class _Doubt:
    """A field whose reading back was wrong; `mended`: it was read back right since; `agreed`: a turn followed that."""

    code: str
    mended: bool = False
    agreed: bool = False


class Readback:
    """Compares one call's two sides. Keeps what it has read in each line, since it is asked again after every turn."""

    def __init__(self) -> None:
        self._stated: dict[str, tuple[_Statement, ...]] = {}
        self._letters: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        self._alike: dict[tuple[str, str], float] = {}

    def reviewed(self, claims: Sequence[Claim], talk: Sequence[Said]) -> tuple[Claim, ...]:
        """The claims, each field with the conflict that the talk (oldest first) leaves it in, or without one."""
        said = [one.text for one in talk if one.speaker == "caller"]
        earlier = (
            _plain(state.value) for one in claims for state in one.fields.values() if state.source == "earlier_call"
        )
        heard = "\n".join((*map(self._letters_in, said), "".join(map(self._codes_in, said)), *earlier))
        references = {_plain(claim.reference) for claim in claims}
        doubts: dict[tuple[int, str], _Doubt] = {}
        for line in talk:
            if line.speaker == "caller":
                for doubt in doubts.values():
                    doubt.agreed = doubt.agreed or doubt.mended
                continue
            for statement in self._statements(line.text):
                supported = statement.code in heard
                if (supported and not doubts) or any(statement.code in one for one in references):
                    continue
                about = self._about(statement, claims)
                if about is None:
                    continue
                if not supported:
                    doubts[about] = _Doubt(statement.code)
                elif about in doubts and statement.code in _plain(claims[about[0]].value(about[1])):
                    doubts[about].mended = True
        return tuple(
            claim.with_fields(
                {
                    name: self._judged(name, state, doubts.get((position, name)), heard, said)
                    for name, state in claim.fields.items()
                    if name in READ_BACK
                }
            )
            for position, claim in enumerate(claims)
        )

    def _judged(self, name: str, state: FieldState, doubt: _Doubt | None, heard: str, said: list[str]) -> FieldState:
        value = str(state.value or "")
        in_transcript = _plain(value) in heard
        rules = tuple(one for one in state.problems if one != NOT_IN_TRANSCRIPT)
        if name in CODES and value and state.source == "transcript" and not in_transcript:
            rules += (NOT_IN_TRANSCRIPT,)
        conflict = None
        if doubt is not None and not (state.confirmed and doubt.agreed):
            caller = value if in_transcript else self._nearest(doubt.code, said)
            conflict = Conflict(doubt.code, caller, state.turns)
        return replace(state, problems=rules, conflict=conflict)

    def _nearest(self, code: str, said: list[str]) -> str:
        """The code of the caller that is most like this one; empty where there is none."""
        codes = [one for one in map(self._codes_in, said) if len(one) >= MIN_CHARS]
        return max(codes, key=lambda one: self._likeness(code, one), default="")

    def _about(self, statement: _Statement, claims: Sequence[Claim]) -> tuple[int, str] | None:
        """Which claim's field a statement is about: of those that have a value from the caller the most alike."""
        names = [statement.topic] if statement.topic is not None and _fits(statement) else list(READ_BACK)
        floor = 0.0 if len(names) == 1 else LIKENESS
        best: tuple[float, int, str] | None = None
        for position, claim in enumerate(claims):
            for name in names:
                value = claim.value(name)
                likeness = self._likeness_to_value(statement.code, name, str(value)) if value is not None else -1.0
                if likeness >= floor and (best is None or likeness >= best[0]):
                    best = (likeness, position, name)
        return best[1:] if best is not None else None

    def _likeness_to_value(self, code: str, name: str, value: str) -> float:
        words = (value, *value.split()) if name == "policyholder" else (value,)
        return max(self._likeness(code, _plain(word)) for word in words)

    def _likeness(self, one: str, other: str) -> float:
        if (one, other) not in self._alike:
            self._alike[one, other] = SequenceMatcher(None, one, other, autojunk=False).ratio()
        return self._alike[one, other]

    def _statements(self, text: str) -> tuple[_Statement, ...]:
        if text not in self._stated:
            self._stated[text] = tuple(_statements(text))
        return self._stated[text]

    def _letters_in(self, text: str) -> str:
        if text not in self._letters:
            self._letters[text] = _plain(text)
        return self._letters[text]

    def _codes_in(self, text: str) -> str:
        if text not in self._codes:
            self._codes[text] = _plain("".join(code_tokens(text)))
        return self._codes[text]


def _statements(text: str) -> Iterator[_Statement]:
    """The codes of a line, each under the last word before it that says what is talked of."""
    topics = list(_TOPIC.finditer(text))
    starts = [0, *(match.end() for match in topics)]
    ends = [*(match.start() for match in topics), len(text)]
    for position, (start, end) in enumerate(zip(starts, ends, strict=True)):
        topic = topics[position - 1].lastgroup if position else None
        for token in code_tokens(text[start:end]):
            code = _plain(token)
            # "XXXX-XXXX" shows the form of a policy number, and is none.
            if len(code) >= MIN_CHARS and len(set(code)) > 1:
                yield _Statement(code, topic if topic in READ_BACK else None)


def _fits(statement: _Statement) -> bool:
    match statement.topic:
        case "policyholder":
            return not any(char.isdigit() for char in statement.code.replace("0", ""))
        case "phone":
            return statement.code.isdigit()
    return True


def _plain(value: object) -> str:
    """Letters and digits only, upper case; the letter O is a zero, since the two are not told apart by ear."""
    return "".join(char for char in str(value or "").upper() if char.isalnum()).replace("O", "0")
