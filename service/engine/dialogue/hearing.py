"""One caller turn understood: its facts and what it is, given what was asked and read back last."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from service.engine.dialogue.asides import Aside, hear_asides, sounds_upset
from service.engine.dialogue.claim import Field, Value
from service.engine.dialogue.complaints import hear_complaint
from service.engine.dialogue.context import Context, Heard
from service.engine.dialogue.identifiers import CODES, hear_identifiers
from service.engine.dialogue.kinds import hear_kind
from service.engine.dialogue.moments import Moment, hear_moment
from service.engine.dialogue.names import hear_name, is_spelled
from service.engine.dialogue.polarity import Polarity, hear_facts, hear_polarity
from service.engine.dialogue.table import Act, Question
from service.spoken.tokens import tidy

_WRONG_ANYHOW = re.compile(r"\b(?:wrong|incorrect|mistake|misheard|not what i said|not right|not correct)\b")
_LEAD_NO = re.compile(
    r"^\W*(?:(?:oh|um|uh|sorry|wait|yes|but|well|hold on|hang on|excuse me|actually|i said|i mean)\W+)*(?:no|"
    r"nope|not|actually|sorry|wait|i said|i mean|it's)\b|\b(?:i said|i meant|actually|instead|rather|should "
    r"be)\b"
)
_CORRECTING = frozenset({Question.BASICS, Question.RECAP, Question.CHANGE})
_CALENDAR = re.compile(
    r"\b(?:january|february|march|april|june|july|august|september|october|november|december|(?:mon|tues|"
    r"wednes|thurs|fri|satur|sun)day|"
    r"yesterday|today|tonight|o'?clock|noon|midnight|half past|quarter|morning|afternoon|evening|night|ago|"
    r"[ap]\.?m\b|\d{1,2}(?:st|nd|rd|th))\b",
    re.IGNORECASE,
)
_HAPPENED = re.compile(r"\b(?:happened|occurred|accident|crash|collision|incident|date|time)\b", re.IGNORECASE)
_ADDING = re.compile(
    r"\b(?:also|add|one more thing|another thing|by the way|forgot to (?:say|mention)|should mention|just "
    r"that)\b(?!\w| (?:claim|accident))",
    re.IGNORECASE,
)
_PLEADING = re.compile(
    r"\b(?:can|could|would|will) you (?:please )?(?:change|correct|fix|update|make|put|use|ask|note|write|take)\b",
    re.IGNORECASE,
)
_HURT = re.compile(r"\b(?:hurt|injur)")
_COURTESIES = re.compile(
    r"^(?:(?:yes|yeah|yep|yup|no|correct|right|exactly|perfect|great|okay|ok|sure|well|and|but|also|"
    r"(?:that|it|everything|all|this)(?:'s| is)? ?(?:is |all )?(?:right|correct|fine|good|it|set|perfect)|"
    r"that's all|thank you(?: very much| so much)?(?: for [\w ]+)?|thanks(?: a lot)?|please|bye|good ?bye)\b"
    r"[\s,.!;-]*)+",
    re.IGNORECASE,
)
_ADDRESS_LEAD = re.compile(
    r"^(?:(?:um|uh|well|so|sure|it's|it is|my address is|the address is|the address|i live (?:at|in)|at)\b[\s,]*)+",
    re.IGNORECASE,
)
_SHORTEST_ADDITION_WORDS = 4
_ACCOUNT_MAX_ASIDE_WORDS = 8

_ASIDE_ACTS = (
    (Aside.PERSON, Act.PERSON),
    (Aside.ROBOT, Act.ROBOT),
    (Aside.LEGAL, Act.LEGAL),
    (Aside.MULTIPLE, Act.MULTIPLE),
    (Aside.REPEAT, Act.REPEAT),
    (Aside.HOLD, Act.HOLD),
    (Aside.MEANING, Act.MEANING),
)
_STRONGER_THAN_FACTS = frozenset({Act.PERSON, Act.ROBOT, Act.LEGAL, Act.MULTIPLE})


def listen(transcript: str, context: Context) -> Heard:
    """Understands one turn. Never raises, whatever the transcript holds."""
    text = tidy(transcript)
    if not any(char.isalnum() for char in text):
        return Heard(Act.NOTHING)
    return _Turn(text, context).understood()


class _Turn:
    """One turn on its way to being understood."""

    def __init__(self, text: str, context: Context) -> None:
        self.text = text
        self.lower = text.lower()
        self.context = context
        self.polarity = hear_polarity(text)
        self.correcting = (
            context.question in _CORRECTING or not context.question_heard or bool(_LEAD_NO.search(self.lower))
        )
        self.asides = hear_asides(text)
        if context.question is Question.ACCOUNT and len(text.split()) > _ACCOUNT_MAX_ASIDE_WORDS:
            self.asides -= {Aside.REPEAT, Aside.HOLD, Aside.GOODBYE, Aside.MEANING, Aside.QUESTION, Aside.MULTIPLE}
        self.facts: dict[Field, Value | None] = {}
        self.fragment: tuple[Field, str] | None = None

    def understood(self) -> Heard:
        context = self.context
        naming = context.question is Question.CHANGE or (
            context.question in _CORRECTING and self.polarity is Polarity.NO
        )
        wrong = hear_complaint(self.text, naming=naming)
        identifiers = hear_identifiers(self.text, context, correcting=self.correcting)
        self.facts.update(identifiers.whole)
        self.fragment = identifiers.fragment
        if Field.REPORT_NUMBER in self.facts:
            self.facts[Field.REPORT_FILED] = True
        self._hear_kind()
        self._hear_moment()
        self._hear_yes_and_no()
        self._hear_name(wrong)
        self._hear_account(wrong)
        self._hear_address()
        self._hear_unsure()
        if wrong in self.facts or (self.fragment and self.fragment[0] is wrong):
            wrong = None
        if self.polarity is Polarity.YES:
            self.facts = {
                field: value
                for field, value in self.facts.items()
                if value != context.claim.get(field) or field in context.asked
            }
        return Heard(self._act(wrong), self.facts, wrong, self.fragment, is_spelled(self.text), sounds_upset(self.text))

    def _act(self, wrong: Field | None) -> Act:
        content = Act.FACT if self.facts else None
        if wrong is not None:
            content = Act.WRONG
        elif self.fragment is not None:
            content = Act.FRAGMENT
        asides = [act for aside, act in _ASIDE_ACTS if aside in self.asides]
        if Aside.GOODBYE in self.asides and not self._satisfied():
            return Act.GOODBYE
        if content is not None:
            return next((act for act in asides if act in _STRONGER_THAN_FACTS and content is Act.FACT), content)
        if asides:
            return asides[0]
        if self.polarity is Polarity.YES and not self.correcting and Aside.QUESTION in self.asides:
            return Act.QUESTION
        if Aside.QUESTION in self.asides and not self._satisfied() and not _PLEADING.search(self.text):
            return Act.QUESTION
        return self._plain_act()

    def _plain_act(self) -> Act:
        if self.polarity is Polarity.UNSURE:
            return Act.UNSURE
        if self.context.question in _CORRECTING and _WRONG_ANYHOW.search(self.lower):
            return Act.NO
        if self.polarity is Polarity.YES:
            return Act.YES
        if self.polarity is Polarity.NO:
            return Act.NO
        return Act.STATEMENT if len(self.text.split()) >= 3 else Act.NOTHING

    def _satisfied(self) -> bool:
        """ "Yes, all correct, bye" ends the summary, not the claim."""
        return self.context.question in _CORRECTING and self.polarity is Polarity.YES

    def _hear_name(self, wrong: Field | None) -> None:
        context = self.context
        known = context.claim.policyholder
        doubted = context.doubted.get(Field.POLICYHOLDER)
        hint = known or (doubted if isinstance(doubted, str) else None)
        asked = Field.POLICYHOLDER in context.asked
        doubtful = context.focus is Field.POLICYHOLDER or (
            context.question in _CORRECTING and context.focus is None and self.polarity is Polarity.NO
        )
        corrected = self.correcting and doubtful and not self.facts
        if self.polarity is Polarity.UNSURE or wrong is Field.POLICYHOLDER or context.question is Question.ACCOUNT:
            return
        name = hear_name(self.text, expected=(asked or corrected), known=hint)
        if name is None:
            return
        if " " not in name and known is not None:
            name = _combined(name, known, asking=asked)
        self.facts[Field.POLICYHOLDER] = name

    def _hear_kind(self) -> None:
        context = self.context
        if context.question is Question.ACCOUNT:
            return
        correcting = self.correcting and (context.focus is Field.KIND or context.question is Question.CHANGE)
        expected = Field.KIND in context.asked or (correcting and not self.facts)
        if not expected and context.claim.kind is not None and not self.correcting:
            return
        kind = hear_kind(self.text, expected=expected)
        if kind is not None:
            self.facts[Field.KIND] = kind

    def _hear_moment(self) -> None:
        context = self.context
        asked = Field.INCIDENT_AT in context.asked
        if context.question is Question.ACCOUNT:
            return
        if context.question is Question.ADDRESS:
            return
        if not asked:
            if not _CALENDAR.search(self.text) or any(code in self.facts for code in CODES):
                labelled = _CALENDAR.search(self.text) and _HAPPENED.search(self.text)
                if not labelled:
                    return
            if not (self.correcting or context.claim.incident_at is None):
                return
        heard = hear_moment(self.text, context.today)
        if heard.future and asked:
            self.fragment = (Field.INCIDENT_AT, "")
        if heard.moment is not None:
            known = context.claim.incident_at or Moment()
            doubted = context.doubted.get(Field.INCIDENT_AT)
            if isinstance(doubted, Moment) and (heard.moment.day is None) != (heard.moment.hour is None):
                known = doubted
            merged = known.merged(heard.moment)
            if asked or merged != known:
                self.facts[Field.INCIDENT_AT] = merged

    def _hear_yes_and_no(self) -> None:
        context = self.context
        if context.question is Question.ACCOUNT:
            return
        clarifying = context.question in {Question.PEOPLE, Question.EVIDENCE, Question.REPORT_NUMBER}
        asked = context.asked if clarifying and context.question_heard else ()
        asked = tuple(f for f in asked if f is not Field.REPORT_NUMBER)
        for found, polarity in hear_facts(self.text, asked).items():
            known = context.claim.get(found)
            urgent = found is Field.INJURIES and _HURT.search(self.lower)
            # What follows a "yes" to the summary is an addition to the account.
            mends = self.correcting and (context.question is not Question.RECAP or _LEAD_NO.search(self.lower))
            relevant = clarifying or urgent or (mends and known is not None)
            if not relevant or found in self.facts:
                continue
            if found is Field.REPORT_FILED and context.question is Question.REPORT_NUMBER:
                # "I don't have the report number" does not say that no report was filed.
                continue
            if polarity is Polarity.UNSURE:
                if found in asked:
                    self.facts[found] = None
            else:
                self.facts[found] = polarity is Polarity.YES

    def _hear_account(self, wrong: Field | None) -> None:
        context = self.context
        if wrong is not None or self.fragment is not None:
            return
        words = len(self.text.split())
        if context.question is Question.ACCOUNT and context.question_heard:
            trivial = words <= 3 and (self.polarity is not None or bool(self.asides))
            if not self.facts and not trivial and not (self.asides and words <= _ACCOUNT_MAX_ASIDE_WORDS):
                unsure = self.polarity is Polarity.UNSURE and words <= 6
                self.facts[Field.ACCOUNT] = None if unsure else self.text
        elif context.question is Question.RECAP and context.claim.account is not None and not self.facts:
            addition = _COURTESIES.sub("", self.text)
            told = hear_polarity(addition) is None and not self.asides
            if len(addition.split()) >= _SHORTEST_ADDITION_WORDS and (told or _ADDING.search(addition)):
                self.facts[Field.ACCOUNT] = f"{context.claim.account} {addition[:1].upper()}{addition[1:]}"

    def _hear_address(self) -> None:
        """Whatever answers the question for it, but a bare yes, no, or don't know."""
        asked = self.context.question is Question.ADDRESS and self.context.question_heard
        address = _ADDRESS_LEAD.sub("", self.text).rstrip(" .,;!")
        if asked and self.polarity is None and not self.asides and address:
            self.facts = {Field.ADDRESS: address}
            self.fragment = None

    def _hear_unsure(self) -> None:
        context = self.context
        if self.polarity is not Polarity.UNSURE or not context.question_heard or context.question is Question.NAME:
            return
        if self.facts:
            for asked in context.asked:
                if asked not in self.facts and context.question not in {Question.PEOPLE, Question.EVIDENCE}:
                    self.facts[asked] = None


def _combined(part: str, known: str, *, asking: bool) -> str:
    """One more name for a name known in part, or a better spelling of one of its parts."""
    names = known.split()
    if asking and len(names) == 1:
        return known if names[0].lower() == part.lower() else f"{known} {part}"
    scores = [SequenceMatcher(None, part.lower(), name.lower(), autojunk=False).ratio() for name in names]
    best = max(range(len(names)), key=scores.__getitem__)
    if scores[best] < 0.4:
        return part
    return " ".join([*names[:best], part, *names[best + 1 :]])
