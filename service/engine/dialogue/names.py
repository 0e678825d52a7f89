"""The policyholder's name: said, spelled, or both."""

# ruff: noqa: SIM905  a row of words reads better than a list

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import combinations, pairwise

MAX_WORDS = 5
_SHORTEST_SPELLING = 3
_PARTICLES = frozenset("de del della da di du la le van von der den ten ter bin ibn al el st san mac y e of".split())
_TITLE = re.compile(r"\b(?:mr|mrs|ms|miss|dr|doctor|mister|missus)\b\.?", re.IGNORECASE)
# Words that begin or fill a sentence, and are in nobody's name.
_WORDS = frozenset(
    """
    a about actually after again agent ah all alright an and another answer any are ask at auto automated back
    be because been but by call can can't car claim claims come correct could course did didn't do does doesn't
    don't either er exactly excuse file fine first for forget from full get give go good goodbye got great had
    has have hello help here hey hi him his hold home hour how i i'd i'll i'm i've if in insurance into is isn't
    it it's its just know last later legal let like listen look maybe me mean minute moment my name names need
    never new no nobody nope not nothing number of off oh ok okay on one or other our out pardon perfect phone
    please police policy problem question ready really report right robot said say second see she should so some
    something sorry spell spelled sure tell thank thanks that that's the their then there they thing this time
    to today uh um uncertain us wait want was wasn't way we we're well were what what's when where which who why
    will with won't wonderful would wrong yeah yep yes yesterday yet you you're your yours yup zero
    """.split()
)

_SAID = re.compile(
    r"\b(?:my|the|full|legal|first|last|middle|family|sur|policyholder'?s?|his|her)[ -]?(?:full |legal |real |"
    r"last |first |middle |complete )*"
    r"name(?:'s| is| was| would be| should be| to)?(?: actually| really| in fact)?[ ,:]*(?:it's |is )?(?P<name>.*)",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"^(?:(?:yes|yeah|yep|no|nope|hi|hello|hey|good (?:morning|afternoon|evening)|ok|okay|sure|of course|certainly|"
    r"well|so|oh|um|uh|sorry|actually|wait|please|right|thanks|thank you)\b[ ,.!-]*)*"
    r"(?:(?:it's|it is|that's|that is|this is|i'm|i am|i said|it should be|should be|call me|the name is|name's|"
    r"make that|you're speaking with|you are speaking with|speaking with)\b[ ,:]*)*",
    re.IGNORECASE,
)
_STOP = re.compile(
    r"[.;?!:]|,? (?:and|but|with|from|because|for|or)\b|,? ?\b(?:my|policy|phone|that's|that is|which is|please|"
    r"thanks?|spelled|spelt|i|it|is|as|not)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*\.?")
_SPELLED = re.compile(
    r"(?<![\w'])(?:[^\W\d_](?:\s*[-.,]\s*|\s+))(?:(?:[^\W\d_](?![\w'])|space|hyphen|last name)(?:\s*[-.,]\s*|"
    r"\s+|$))*[^\W\d_](?![\w'])",
    re.IGNORECASE,
)


def hear_name(text: str, *, expected: bool, known: str | None = None) -> str | None:
    """The name in a tidied transcript, or None.

    Unless ``expected``, only a phrase such as "my name is" counts. ``known`` is the name as understood so far: letters
    spelled without pauses between the names are divided the way it is.
    """
    said = _SAID.search(text)
    if said is None and not expected:
        return None
    scope = said["name"] if said else _LEAD_IN.sub("", text, count=1)
    words = _words(_LEAD_IN.sub("", scope, count=1) if said else scope)
    groups = _spelled_groups(scope)
    if groups:
        return _spelled(words, groups, known)
    return " ".join(words) if words else None


def is_spelled(text: str) -> bool:
    """Whether the caller spelled something letter by letter."""
    return bool(_spelled_groups(text))


def _words(scope: str) -> list[str]:
    scope = _SPELLED.sub(
        lambda match: " " if len(_letters(match.group())) >= _SHORTEST_SPELLING else match.group(), scope
    )
    scope = _TITLE.sub("", scope)
    stop = _STOP.search(scope)
    scope = scope[: stop.start()] if stop else scope
    words: list[str] = []
    for match in _WORD.finditer(scope.replace(",", " ")):
        word = match.group().rstrip(".")
        if word.lower() in _WORDS or len(words) == MAX_WORDS:
            return []
        words.append(word)
    if re.search(r"\d", scope):
        return []
    shown = scope.lower() != scope
    if shown and any(not word[0].isupper() and word.lower() not in _PARTICLES for word in words):
        return []
    return [word if shown and not word.isupper() else word.capitalize() for word in words]


def _spelled_groups(scope: str) -> list[str]:
    groups: list[str] = []
    for match in _SPELLED.finditer(scope):
        letters = re.sub(r"\b(?:space|last name)\b", ".", match.group(), flags=re.IGNORECASE)
        if len(_letters(letters)) < _SHORTEST_SPELLING:
            continue
        parts = [_letters(part) for part in re.split(r"[\s,.]+" if "-" in letters else r"[,.]+", letters)]
        parts = [part for part in parts if part]
        # A mark after every letter divides nothing.
        groups += parts if sum(map(len, parts)) >= 2 * len(parts) else ["".join(parts)]
    return groups


def _letters(text: str) -> str:
    return "".join(re.findall(r"[^\W\d_]", text)).lower()


def _spelled(words: list[str], groups: list[str], known: str | None) -> str:
    letters = "".join(groups)
    for model in (words, (known or "").split()):
        if model and _alike(letters, "".join(model)) >= 0.6:
            return " ".join(part.capitalize() for part in _divided(letters, groups, model))
    named = list(words or (known or "").split())
    replaced = False
    for group in groups:
        best = max(range(len(named)), key=lambda i: _alike(group, named[i]), default=None)
        if best is not None and _alike(group, named[best]) >= 0.5:
            named[best] = group.capitalize()
            replaced = True
    if replaced:
        return " ".join(named)
    return " ".join([*words, *(group.capitalize() for group in groups)])


def _divided(letters: str, groups: list[str], model: list[str]) -> list[str]:
    """The letters in as many parts as the model has, each as like its model as can be."""
    if len(groups) == len(model):
        return groups
    if len(letters) > 40 or len(model) > MAX_WORDS:
        return [letters]
    cuts = max(
        combinations(range(1, len(letters)), len(model) - 1),
        key=lambda cut: sum(map(_alike, _cut(letters, cut), model)),
        default=(),
    )
    return _cut(letters, cuts)


def _cut(letters: str, cuts: tuple[int, ...]) -> list[str]:
    edges = (0, *cuts, len(letters))
    return [letters[a:b] for a, b in pairwise(edges)]


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower(), autojunk=False).ratio()
