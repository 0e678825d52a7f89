"""The agent's sentences. Pure text in English, written to be spoken: short, and each question with its purpose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time

from service.engine.dialogue.claim import Claim, Field, Value
from service.engine.dialogue.moments import Moment
from service.engine.dialogue.table import Act, Question

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_KINDS = {"auto": "an auto claim", "home": "a home claim", "other": "another kind of claim"}
_TWENTY = 20


def welcome(company: str) -> str:
    """First words."""
    return f"Thank you for calling {company}."


def notice(agent_name: str, *, recorded: bool) -> str:
    """Tells the caller that no human is speaking, and what is kept of the call."""
    return f"I'm {agent_name}, an automated assistant, and this call is {_kept(recorded=recorded)}."


def late_notice(*, recorded: bool) -> str:
    """For a caller who did not hear the first one."""
    return f"Just so you know, I'm an automated assistant, and this call is {_kept(recorded=recorded)}."


def _kept(*, recorded: bool) -> str:
    return "recorded and transcribed" if recorded else "transcribed"


READ_BACK = "Let me read that back."
BASICS_QUESTION = "Is that correct?"
BASICS_QUESTION_AGAIN = "Is everything else correct?"
RECAP_OPENING = "To review your claim."
RECAP_QUESTION = "Is everything correct, or would you like to add something?"
RECAP_QUESTION_AGAIN = "Is everything correct now?"
WHICH = "I'm sorry about that. Which part should I change?"
GO_ON = "I understand."
SORRY = "I'm sorry, I didn't quite get that."
SORRY_WRONG = "I'm sorry about that. Let's put it right."
THANKS = "Thank you."
UNKNOWN = "That's all right, we can add it later."
GIVE_UP = (
    "I'm having trouble understanding you, so I'll stop here. Please call us again, or visit our website. Goodbye."
)
GOODBYE = "Goodbye."
EMPATHY = "I understand this is stressful. I'm here to make it as easy as possible."
AMENDED = "I've added that."
NO_ONE_THERE = "I can't hear you, so I'll end the call now. Please call us again when it suits you. Goodbye."


SUBMITTING = "Thank you. I'm submitting your claim now; one moment, please."
PAUSING = "Of course. One moment, please: I'm keeping what you told me."
ONE_MOMENT = "One moment, please."
STILL_NEEDED = "Before I can submit it, I need one more thing."
NOT_SUBMITTED = (
    "I couldn't submit your claim yet, but I've kept what you told me. Our team will call you about what is still "
    "open. Thank you, and goodbye."
)


def farewell(claim: Claim, reference: str | None = None) -> str:
    """The caller wants to go before the claim is complete; ``reference`` is what it is kept under."""
    if reference is not None:
        return (
            f"I've kept your claim. Its reference is {reference}. Just call us again with it to go on. "
            "Thank you, and goodbye."
        )
    kept = "I've kept what you told me" if any(v is not None for v in claim.as_arguments().values()) else "That's fine"
    return f"Of course. {kept}; just call us again to go on with your claim. Thank you, and goodbye."


def submitted(claim: Claim, reference: str | None = None) -> str:
    """The claim is complete; with a ``reference`` it has been taken."""
    reach = "call you" if claim.phone else "get in touch"
    name = f", {claim.policyholder}" if claim.policyholder else ""
    begun = "I'm submitting your claim now."
    if reference is not None:
        begun = f"Your claim is submitted. Its reference is {reference}."
    return f"{begun} Our team will review it and {reach}. Thank you{name}, and goodbye."


def prompt(silences: int) -> str:
    """Before the question is asked again after a silence."""
    return "Are you still there?" if silences < 2 else "I still can't hear you."


WAIT = "Take your time. I'm still here."

_ASIDES: Mapping[Act, str] = {
    Act.QUESTION: "That's a good question, and an adjuster can answer it once your claim is submitted.",
    Act.LEGAL: "I can't give legal advice, but an adjuster can talk it over with you later.",
    Act.ROBOT: "I'm an automated assistant, and a person will review your claim.",
    Act.MULTIPLE: "Each incident needs its own claim. Let's finish this one, and then please call again.",
    Act.PERSON: "I can't transfer you from here, but a person will review your claim and can call you back.",
}


def aside(act: Act) -> str:
    """Answer to what lies outside the script."""
    return _ASIDES.get(act, _ASIDES[Act.QUESTION])


_EXPLANATIONS: Mapping[Question, str] = {
    Question.NAME: "I need the name that is on the policy, so that we find the right one.",
    Question.POLICY: "It's on your insurance card: two groups of four letters or digits.",
    Question.KIND: "Each kind of claim goes to its own team.",
    Question.PHONE: "We only use it to call you about this claim.",
    Question.WHEN: "The adjuster needs the day and the time; your best guess is fine.",
    Question.REPORT_NUMBER: "It's on the paper or card the officer gave you.",
}


def explanation(question: Question) -> str:
    """Why something is asked, or where to find it."""
    return _EXPLANATIONS.get(question, "It helps the adjuster to understand what happened.")


def question(asked: Question, fields: tuple[Field, ...], claim: Claim, *, attempt: int, doubted: bool) -> str:
    """The question for its open fields. ``attempt`` counts from 0; ``doubted``: the answer was wrong before."""
    if asked is Question.NAME:
        return _ask_name(claim, attempt, doubted=doubted)
    if asked is Question.WHEN:
        return _ask_when(claim.incident_at or Moment(), attempt)
    if asked is Question.PEOPLE:
        return _ask_people(fields, attempt)
    if asked is Question.EVIDENCE:
        return _ask_evidence(fields, attempt)
    first, again = _QUESTIONS[asked]
    if asked is Question.ACCOUNT and claim.kind == "other" and attempt == 0:
        return "Could you tell me briefly what happened, and what was damaged?"
    return again if attempt or doubted else first


_QUESTIONS: Mapping[Question, tuple[str, str]] = {
    Question.POLICY: (
        "To link your claim to it, what is your policy number?",
        "Could you say all eight characters of your policy number, one by one?",
    ),
    Question.ADDRESS: (
        "So that we can find your policy without its number: what is your address?",
        "Could you tell me the address that is on your policy?",
    ),
    Question.KIND: (
        "So that the right team gets it: is this about a car, your home, or something else?",
        "Is it an auto claim, a home claim, or something else?",
    ),
    Question.PHONE: (
        "In case we need to reach you, what is the best phone number?",
        "Could you say your phone number, with the area code?",
    ),
    Question.REPORT_NUMBER: (
        "So that we can find the report: what is its number, if you have it?",
        "Could you say the report number once more, if you have it?",
    ),
    Question.ACCOUNT: (
        "For the adjuster, in your own words: what happened?",
        "Could you tell me briefly what happened?",
    ),
    Question.CHANGE: (WHICH, "Is it the name, the policy number, the phone number, the date, or something else?"),
}


def _ask_name(claim: Claim, attempt: int, *, doubted: bool) -> str:
    if claim.policyholder:
        return "And what is your last name, as it stands on the policy?"
    if doubted or attempt > 1:
        return "Could you spell your full name for me, letter by letter?"
    if attempt:
        return "Could you say your first and last name?"
    return "So that I can find your policy, may I have your full legal name?"


def _ask_when(known: Moment, attempt: int) -> str:
    if known.half_missing:
        return "Was that in the morning or in the evening?"
    if known.day is not None:
        return "And at about what time?" if not attempt else "About what time of day was it?"
    if known.hour is not None:
        return "And on which day was that?"
    return (
        "For the record, on which day did it happen, and at about what time?"
        if not attempt
        else "On which day did it happen?"
    )


def _ask_people(fields: tuple[Field, ...], attempt: int) -> str:
    parts = {
        Field.INJURIES: "was anyone injured",
        Field.DRIVABLE: "can the car still be driven",
        Field.SAFE_TO_OCCUPY: "is your home safe to stay in",
    }
    asked = ", and ".join(parts[field] for field in fields)
    if not attempt and Field.INJURIES in fields:
        return f"So that we know what is urgent: {asked}?"
    return f"{'And ' + asked if not attempt else asked.capitalize()}?"


def _ask_evidence(fields: tuple[Field, ...], attempt: int) -> str:
    parts = {
        Field.REPORT_FILED: "was a police or other report filed",
        Field.WITNESSES: "were there any witnesses",
    }
    asked = ", and ".join(parts[field] for field in fields)
    if not attempt and Field.REPORT_FILED in fields:
        return f"For the file: {asked}?"
    return f"{'And ' + asked if not attempt else asked.capitalize()}?"


def incomplete(field: Field, heard: str) -> str:
    """A code of the wrong length, as heard, and what to do about it; or a day still to come."""
    if field is Field.POLICY_NUMBER:
        count = len(heard)
        much = f"{_count(count)} character{'s' if count != 1 else ''}, and a policy number has eight"
        ask = "Could you say the rest, or all of it again?" if count < 8 else "Could you say it again, one by one?"
        return f"I heard {spelled(heard)}. That is {much}. {ask}"
    if field is Field.PHONE:
        ask = (
            "Could you say the rest, or all of it with the area code?" if len(heard) < 10 else "Could you say it again?"
        )
        return f"I heard {spelled(heard)}. {ask}"
    return "That day is still to come. On which day did it happen?"


def acknowledged(field: Field, value: Value | None, *, changed: bool, letters: bool) -> str:
    """One value said back to the caller."""
    if value is None:
        return UNKNOWN
    if field is Field.POLICYHOLDER:
        name = str(value)
        if letters:
            return f"Thank you. I have {name}, spelled {', '.join(spelled(part) for part in name.split())}."
        return f"I've changed the name to {name}." if changed else f"Thank you, {name}."
    if field is Field.ACCOUNT:
        return AMENDED if changed else "Thank you, I've written that down."
    if changed:
        return f"Thank you. I've changed it: {fact(field, value)}."
    return _ACKNOWLEDGED.get((field, value), f"{_upper_first(fact(field, value))}.")


_ACKNOWLEDGED: Mapping[tuple[Field, Value], str] = {
    (Field.INJURIES, False): "I'm glad no one was injured.",
    (Field.INJURIES, True): "I'm so sorry that someone was hurt. If anyone needs help now, please dial 911 first.",
    (Field.KIND, "auto"): "An auto claim, thank you.",
    (Field.KIND, "home"): "A home claim, thank you.",
    (Field.KIND, "other"): "Another kind of claim, thank you.",
    (Field.DRIVABLE, False): "I've noted that the car can't be driven.",
    (Field.SAFE_TO_OCCUPY, False): "I'm sorry that your home isn't safe to stay in.",
}


def fact(field: Field, value: Value) -> str:
    """One value in words, without a full stop."""
    match value:
        case Moment():
            return f"it happened {moment(value)}"
        case bool():
            return _FACTS[field, value]
        case str() if field is Field.PHONE:
            return f"phone number {phone(value)}"
        case str() if field is Field.REPORT_NUMBER:
            return f"report number {spelled(value)}"
        case str():
            return _TEXTS[field].format(_KINDS.get(value, value))


_TEXTS: Mapping[Field, str] = {
    Field.POLICYHOLDER: "your name is {}",
    Field.POLICY_NUMBER: "policy number {}",
    Field.KIND: "{}",
    Field.ADDRESS: "address {}",
    Field.ACCOUNT: "your description: {}",
}
_FACTS: Mapping[tuple[Field, bool], str] = {
    (Field.INJURIES, True): "someone was hurt",
    (Field.INJURIES, False): "no one was injured",
    (Field.DRIVABLE, True): "the car can still be driven",
    (Field.DRIVABLE, False): "the car can't be driven",
    (Field.SAFE_TO_OCCUPY, True): "your home is safe to stay in",
    (Field.SAFE_TO_OCCUPY, False): "your home isn't safe to stay in",
    (Field.REPORT_FILED, True): "a report was filed",
    (Field.REPORT_FILED, False): "no report was filed",
    (Field.WITNESSES, True): "there were witnesses",
    (Field.WITNESSES, False): "there were no witnesses",
}


def read_back(field: Field, value: Value | None) -> str:
    """One line of a read-back; an unknown value is named as such."""
    if value is None:
        return f"The {_LABELS[field]} is still open."
    return f"{_upper_first(fact(field, value))}."


_LABELS: Mapping[Field, str] = {
    Field.POLICYHOLDER: "name",
    Field.POLICY_NUMBER: "policy number",
    Field.KIND: "kind of claim",
    Field.PHONE: "phone number",
    Field.INCIDENT_AT: "date",
}


def phone(number: str) -> str:
    """Digits in groups: ``555 014 2277``."""
    if len(number) == 10:
        return f"{number[:3]} {number[3:6]} {number[6:]}"
    return " ".join(number[i : i + 3] for i in range(0, len(number), 3))


def spelled(characters: str) -> str:
    """Characters one by one, for the voice: ``K, seven, M, two``."""
    return ", ".join(_DIGITS[int(char)] if char in "0123456789" else char.upper() for char in characters)


def moment(when: Moment) -> str:
    """A day and a time: ``on Saturday, November 14th, at 5:30 PM``."""
    day = f"on {_spoken_day(when.day)}" if when.day else "on a day still open"
    return f"{day}, at {_spoken_time(when.at)}" if when.at else day


def _spoken_day(day: date) -> str:
    suffix = "th" if 10 < day.day < _TWENTY else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return f"{day:%A, %B} {day.day}{suffix}"


def _spoken_time(at: time) -> str:
    if (at.hour, at.minute) in {(0, 0), (12, 0)}:
        return "noon" if at.hour else "midnight"
    hour, half = at.hour % 12 or 12, "AM" if at.hour < 12 else "PM"
    return f"{hour}:{at.minute:02d} {half}" if at.minute else f"{hour} {half}"


def _count(number: int) -> str:
    names = (*_DIGITS, "ten", "eleven", "twelve")
    return names[number] if number < len(names) else str(number)


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]
