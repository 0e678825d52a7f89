"""Names, kinds of claim, yes and no, and what callers say beside the answer."""

from __future__ import annotations

import pytest

from service.engine.dialogue.asides import Aside, hear_asides
from service.engine.dialogue.claim import Field
from service.engine.dialogue.kinds import hear_kind
from service.engine.dialogue.names import hear_name
from service.engine.dialogue.polarity import Polarity, hear_facts, hear_polarity

YES, NO, UNSURE = Polarity.YES, Polarity.NO, Polarity.UNSURE
PEOPLE = (Field.INJURIES, Field.DRIVABLE)
EVIDENCE = (Field.REPORT_FILED, Field.WITNESSES)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("My name is Margaret Hale.", "Margaret Hale"),
        ("Margaret Hale", "Margaret Hale"),
        ("Yes, it's Margaret Hale.", "Margaret Hale"),
        ("Hi, this is Margaret Hale.", "Margaret Hale"),
        ("My full legal name is Minhajul Hoque, and my policy number is K7M2 40B9.", "Minhajul Hoque"),
        ("Yeah, my full legal name is Minhajul Haque.", "Minhajul Haque"),
        ("margaret hale", "Margaret Hale"),
        ("Mrs. Margaret Hale, please", "Margaret Hale"),
        ("Sean O'Brien-Smith.", "Sean O'Brien-Smith"),
        ("Ludwig van Beethoven", "Ludwig van Beethoven"),
        ("Margaret Hale, H A L E.", "Margaret Hale"),
        ("Margaret Hail, that's H-A-L-E.", "Margaret Hale"),
        ("M-A-R-G-A-R-E-T H-A-L-E", "Margaret Hale"),
        ("M A R G A R E T, H A L E", "Margaret Hale"),
        ("It's Margaret, M-A-R-G-A-R-E-T, Hale, H-A-L-E.", "Margaret Hale"),
    ],
)
def test_name(said: str, name: str) -> None:
    assert hear_name(said, expected=True) == name


def test_letters_spelled_with_pauses_are_divided_like_the_name_heard_before() -> None:
    assert hear_name("M-I-N-H A-J-U-L H-O-Q-U-E", expected=True, known="Minhajul Haque") == "Minhajul Hoque"


@pytest.mark.parametrize(
    "said", ["I don't know", "Yes.", "What do you need?", "I had an accident", "K7M2 40B9", "Hello.", "Never mind that"]
)
def test_no_name_in_it(said: str) -> None:
    assert hear_name(said, expected=True) is None


def test_a_name_nobody_asked_for_needs_to_be_called_one() -> None:
    assert hear_name("Oh, Margaret Hale.", expected=False) is None
    assert hear_name("By the way, my name is Margaret Hale.", expected=False) == "Margaret Hale"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("It's an auto claim.", "auto"),
        ("It's about my car.", "auto"),
        ("Otto.", "auto"),
        ("I had otoo accident", "auto"),
        ("My house.", "home"),
        ("It's a home claim, a pipe burst.", "home"),
        ("Something else.", "other"),
        ("Neither, it's my bicycle.", "other"),
        ("I was driving home in my car.", "auto"),
        ("a car hit my house", None),
        ("I don't know", None),
    ],
)
def test_kind(said: str, kind: str | None) -> None:
    assert hear_kind(said, expected=True) == kind


@pytest.mark.parametrize(
    ("said", "polarity"),
    [
        ("Yep.", YES),
        ("That's right.", YES),
        ("I think so.", YES),
        ("Yes, all correct, thank you.", YES),
        ("No, that's all.", YES),
        ("Mm-hmm.", YES),
        ("Nope", NO),
        ("I don't think so.", NO),
        ("That's not right.", NO),
        ("Not yet.", NO),
        ("I don't know.", UNSURE),
        ("I'm not sure, maybe.", UNSURE),
        ("I don't have it with me.", UNSURE),
        ("The weather is nice.", None),
    ],
)
def test_yes_and_no(said: str, polarity: Polarity | None) -> None:
    assert hear_polarity(said) is polarity


@pytest.mark.parametrize(
    ("said", "asked", "facts"),
    [
        ("No one was hurt, but the car can't be driven.", PEOPLE, (NO, NO)),
        ("No, nobody was hurt, and yes, the car still drives.", PEOPLE, (NO, YES)),
        ("No and no.", PEOPLE, (NO, NO)),
        ("No and yes.", PEOPLE, (NO, YES)),
        ("No.", PEOPLE, (NO, None)),
        ("No, the car can't be driven.", PEOPLE, (None, NO)),
        ("My wife hurt her arm, and the car was towed.", PEOPLE, (YES, NO)),
        ("Everyone is fine, and the car is drivable.", PEOPLE, (NO, YES)),
        ("Nobody was hurt. I don't know if the car is drivable.", PEOPLE, (NO, UNSURE)),
        ("Yes, there is a police report, but there were no witnesses.", EVIDENCE, (YES, NO)),
        ("The police came, and two people saw it.", EVIDENCE, (YES, YES)),
        ("Neither.", EVIDENCE, (NO, NO)),
        ("Yes to both.", EVIDENCE, (YES, YES)),
        ("No report, but there was a witness.", EVIDENCE, (NO, YES)),
        ("I haven't filed a report yet. Nobody saw it.", EVIDENCE, (NO, NO)),
        ("I'm not sure, and no witnesses.", EVIDENCE, (UNSURE, NO)),
    ],
)
def test_two_questions_answered_at_once(
    said: str, asked: tuple[Field, Field], facts: tuple[Polarity | None, Polarity | None]
) -> None:
    heard = hear_facts(said, asked)
    assert (heard.get(asked[0]), heard.get(asked[1])) == facts


@pytest.mark.parametrize(
    ("said", "aside"),
    [
        ("Can you repeat that?", Aside.REPEAT),
        ("Sorry?", Aside.REPEAT),
        ("Hold on.", Aside.HOLD),
        ("Just a second, let me check.", Aside.HOLD),
        ("I have to go now. Goodbye.", Aside.GOODBYE),
        ("Can I speak to a real person?", Aside.PERSON),
        ("Are you a robot?", Aside.ROBOT),
        ("Where do I find that?", Aside.MEANING),
        ("Should I get a lawyer?", Aside.LEGAL),
        ("I have two accidents to report.", Aside.MULTIPLE),
        ("How much will you pay me?", Aside.QUESTION),
    ],
)
def test_asides(said: str, aside: Aside) -> None:
    assert aside in hear_asides(said)


@pytest.mark.parametrize(
    "said",
    ["K7M2 40B9", "No, I said X007 PX75", "I stopped at a red light and another car hit me from behind.", "Yes."],
)
def test_no_asides(said: str) -> None:
    assert not hear_asides(said)
