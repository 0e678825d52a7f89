"""A claim in one line, and read back from it."""

from __future__ import annotations

from datetime import date

from service.engine.dialogue.summary import NOTHING_KNOWN, Role, read, summarize, write

TODAY = date(2026, 11, 21)
TALK: list[tuple[Role, str]] = [
    ("assistant", "So that I can find your policy, may I have your full legal name?"),
    ("user", "My name is Margaret Hale, and my policy number is K seven M two, four zero B nine."),
    ("assistant", "Thank you, Margaret Hale. In case we need to reach you, what is the best phone number?"),
    ("user", "I don't know."),
    ("assistant", "For the record, on which day did it happen, and at about what time?"),
    ("user", "On November 14th at half past five in the evening."),
]
SUMMARY = (
    "Policyholder: Margaret Hale; policy number: K7M2-40B9; phone: not known to the caller; "
    "incident at: 2026-11-14T17:30"
)


def test_a_conversation_is_summed_up_in_a_line() -> None:
    assert summarize(TALK, TODAY) == SUMMARY


def test_the_lines_of_a_talk_in_one_message_are_a_conversation() -> None:
    names = {"assistant": "Agent", "user": "Caller"}
    lines = "\n".join(f"{names[role]}: {text}" for role, text in TALK)
    assert summarize([("user", lines)], TODAY) == SUMMARY


def test_a_summary_of_a_summary_loses_nothing() -> None:
    account = "The light was red; I stopped: phone: in my pocket."
    earlier = f"{SUMMARY}; injuries: no; account: {account}"
    later: list[tuple[Role, str]] = [
        ("system", f"Notes on the earlier part of this call.\n{earlier}"),
        ("assistant", "So that the right team gets it: is this about a car, your home, or something else?"),
        ("user", "It's about my car."),
    ]
    expected = earlier.replace("; phone:", "; kind: auto; phone:")
    assert summarize(later, TODAY) == expected
    question = "Agent: Is this about a car, your home, or something else?"
    inline = f"Notes on what came before: {earlier}\n{question}\nCaller: my car."
    assert summarize([("user", inline)], TODAY) == expected
    assert write(read(expected)) == expected


def test_of_nothing_nothing_is_said() -> None:
    assert summarize([], TODAY) == NOTHING_KNOWN
    assert summarize([("system", "You are an agent."), ("user", "Hello?")], TODAY) == NOTHING_KNOWN
