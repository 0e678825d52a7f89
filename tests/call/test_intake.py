"""A call's claims in memory, the clock wound by hand: what is asked for, what the agent is told, what is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from service.call.actions import Action, ClaimChanged, ClaimSubmitted, FindClaim, Send
from service.call.intake import DECISION_LIMIT_S, MAX_LOOKUPS, ClaimIntake
from service.call.lines import Lines
from service.claim import answers
from service.claim.asking import Mode
from service.claim.claim import Claim
from service.claim.desk import Change
from service.realtime.commands import ResponseCreate
from service.realtime.events import Item, Response

TIMEOUT_S = 10.0
WHOLE: dict[str, object] = {
    "policyholder": "Maria Lopez",
    "policy_number": "X007-PX75",
    "kind": "home",
    "phone": "5550142278",
    "incident_at": "2026-11-20",
    "injuries": False,
    "safe_to_occupy": True,
    "report_filed": False,
    "witnesses": False,
    "account": "A tree fell on the roof.",
}
SAID = "I'm Maria Lopez, X007-PX75, 555 014 2278. A tree fell on the roof."


class Intake:
    """One call's claims, with its lines."""

    def __init__(self, extract: Mode = "turn") -> None:
        self.now_s = 100.0
        self.lines = Lines()
        references = iter(f"{letter * 3}-222-222" for letter in "CFHJKM")
        self.claims = ClaimIntake(
            extract=extract,
            timeout_s=TIMEOUT_S,
            instructions="Note it.",
            today=lambda: date(2026, 11, 21),
            new_reference=lambda: next(references),
        )
        self.turn = 0
        self.actions: list[Action] = []

    def proceed(self, *, turns_open: bool = False, agent_speaks: bool = False) -> list[Action]:
        actions = self.claims.proceed(self.now_s, self.lines, turns_open=turns_open, agent_speaks=agent_speaks)
        self.actions += actions
        return actions

    def agent(self, text: str) -> list[Action]:
        self.lines.agent_says(f"a{len(self.lines.item_ids())}", text, self.now_s)
        self.claims.agent_said()
        return self.proceed()

    def caller(self, text: str, *, turns_open: bool = False) -> list[Action]:
        self.turn += 1
        self.lines.caller_said(f"u{self.turn}", text, self.now_s)
        self.claims.turn_transcribed(self.turn, f"u{self.turn}", text)
        return self.proceed(turns_open=turns_open)

    def notes(self, *fields: Mapping[str, object], confirmed: bool = True, number: int | None = None) -> list[Action]:
        entries = [
            {"fields": {name: {"value": v, "turns": [self.turn], "confirmed": confirmed, "unknown": v is None}
                        for name, v in one.items()}}
            for one in fields
        ]  # fmt: skip
        item = Item(id="i", type="function_call", name="note_claim", arguments=json.dumps({"claims": entries}))
        metadata = {"purpose": "claim", "number": str(number or len(self.asked))}
        self.claims.response_done(Response(id="r", status="completed", output=[item], metadata=metadata))
        return self.proceed()

    def calls(self, tool: str, arguments: dict[str, Any] | None = None, **state: bool) -> list[str]:
        """The answers that are there at once."""
        found = self.claims.tool_called(tool, arguments or {}, "c1", self.now_s)
        assert found is not None
        self.actions += found
        self.proceed(**state)
        return self.answers()

    def answers(self) -> list[str]:
        return [output for _, output in self.claims.take_answers()]

    @property
    def asked(self) -> list[ResponseCreate]:
        sent = [one.event for one in self.actions if isinstance(one, Send)]
        return [one for one in sent if isinstance(one, ResponseCreate)]

    @property
    def changes(self) -> list[Change]:
        return [one.change for one in self.actions if isinstance(one, ClaimChanged)]

    @property
    def submitted(self) -> list[Claim]:
        return [one.change.claim for one in self.actions if isinstance(one, ClaimSubmitted)]


@pytest.fixture
def intake() -> Intake:
    return Intake()


def texts(request: ResponseCreate) -> list[str]:
    assert request.response is not None
    return [part["text"] for part in request.response["input"][0]["content"]]


def test_the_model_is_given_the_lines_and_the_claim_as_it_stands(intake: Intake) -> None:
    intake.agent("Your name, please?")
    intake.caller("Maria Lopez.")
    intake.notes({"policyholder": "Maria Lopez"})
    intake.agent("Thank you. And the policy number?")
    intake.caller("X007-PX75.")
    lines, standing = texts(intake.asked[1])
    assert lines.splitlines() == [
        "agent: Your name, please?",
        "caller 1: Maria Lopez.",
        "agent: Thank you. And the policy number?",
        "caller 2: X007-PX75.",
    ]
    known = {"value": "Maria Lopez", "turns": [1], "confirmed": True, "unknown": False}
    assert json.loads(standing) == {"today": "2026-11-21", "claims": [{"fields": {"policyholder": known}}]}


def test_what_has_changed_is_told_once(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes({"policyholder": "Maria Lopez"})
    (told,) = intake.changes
    assert (told.number, told.claim.values()) == (1, {"policyholder": "Maria Lopez"})
    intake.caller("Hm.")
    intake.notes({})
    intake.proceed()
    assert len(intake.changes) == 1


def test_a_turn_without_words_asks_for_nothing(intake: Intake) -> None:
    intake.caller("")
    assert intake.asked == []


def test_a_late_answer_to_a_request_that_was_given_up_is_not_taken(intake: Intake) -> None:
    intake.caller("Maria Lopez.")
    intake.now_s += TIMEOUT_S
    intake.proceed()
    intake.caller("X007-PX75.")
    intake.notes({"policyholder": "Nobody"}, number=1)
    assert intake.changes == []
    intake.notes({"policyholder": "Maria Lopez"}, number=2)
    assert [one.claim.values() for one in intake.changes] == [{"policyholder": "Maria Lopez"}]


def test_a_refused_request_is_known_by_its_event_id(intake: Intake) -> None:
    intake.caller("Maria Lopez.")
    assert intake.claims.request_failed(intake.asked[0].event_id or "")
    assert not intake.claims.request_failed("oob_u1")
    intake.caller("Maria Lopez.")
    assert len(intake.asked) == 2


def test_what_the_agent_says_is_judged_when_it_is_whole_and_every_turn_before_is_known(intake: Intake) -> None:
    intake.caller("X007-PX75.")
    intake.notes({"policy_number": "X007-PX75"}, confirmed=False)
    intake.lines.agent_says("a", "Your policy number is E G 0 0 7 P X 7 5?", intake.now_s)
    intake.claims.agent_said()
    intake.proceed(agent_speaks=True)
    assert [change.new_conflicts() for change in intake.changes] == [[]]
    intake.claims.agent_said()
    intake.proceed(turns_open=True)
    assert len(intake.changes) == 1
    intake.claims.agent_said()
    intake.proceed()
    assert [change.new_conflicts() for change in intake.changes] == [[], ["policy_number"]]


# -- submitting --------------------------------------------------------------------------------------------------------


def test_a_whole_claim_is_submitted_and_its_reference_told(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes(WHOLE)
    assert intake.calls("submit_claim") == [answers.submitted(intake.submitted[0])]
    assert "CCC-222-222" in answers.submitted(intake.submitted[0])
    assert intake.submitted[0].state == "submitted"
    # Asked again it is the same claim, and no second message.
    assert intake.calls("submit_claim") == [answers.submitted(intake.submitted[0])]
    assert len(intake.submitted) == 1


def test_what_is_declared_unknown_is_no_obstacle(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes({**WHOLE, "phone": None, "witnesses": None})
    intake.calls("submit_claim")
    assert len(intake.submitted) == 1


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_what_is_missing_is_named(intake: Intake, name: str) -> None:
    intake.caller(SAID)
    intake.notes({one: value for one, value in WHOLE.items() if one != name})
    (answer,) = intake.calls("submit_claim")
    assert f"{name}: not asked yet" in answer
    assert intake.submitted == []


def test_what_is_not_confirmed_is_named(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes(WHOLE)
    intake.caller("The phone is 555 014 2279.")
    intake.notes({"phone": "5550142279"}, confirmed=False)
    (answer,) = intake.calls("submit_claim")
    assert 'phone: "5550142279" is not confirmed' in answer
    assert intake.submitted == []


def test_a_conflict_is_in_the_way_until_it_is_mended(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes(WHOLE)
    intake.agent("Your policy number is E G 0 0 7 P X 7 5.")
    (answer,) = intake.calls("submit_claim")
    assert "you read back EG007PX75" in answer
    assert "X007-PX75" in answer
    intake.agent("I have X 0 0 7 P X 7 5. Is that right?")
    intake.caller("Yes.")
    intake.notes({})
    intake.calls("submit_claim")
    assert len(intake.submitted) == 1


def test_a_submission_waits_for_the_turn_in_which_the_caller_agrees(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes(WHOLE, confirmed=False)
    assert intake.calls("submit_claim", turns_open=True) == []
    intake.caller("Yes, all of it is right.")
    assert intake.answers() == []
    assert intake.claims.waiting
    intake.notes(WHOLE)
    assert intake.answers() == [answers.submitted(intake.submitted[0])]
    assert not intake.claims.waiting


def test_a_submission_is_decided_on_what_is_known_when_no_answer_comes(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes(WHOLE)
    intake.caller("Yes.")
    assert intake.calls("submit_claim") == []
    intake.now_s += DECISION_LIMIT_S
    intake.proceed()
    assert len(intake.submitted) == 1


def test_at_the_end_means_before_a_submission_too() -> None:
    intake = Intake("end")
    intake.caller(SAID)
    assert intake.asked == []
    assert intake.calls("submit_claim") == []
    intake.notes(WHOLE)
    assert len(intake.submitted) == 1


def test_each_incident_is_submitted_by_its_number(intake: Intake) -> None:
    intake.caller(SAID)
    second = {**WHOLE, "kind": "auto", "drivable": False}
    intake.notes(WHOLE, second)
    intake.calls("submit_claim", {"claim": 2})
    intake.calls("submit_claim")
    assert [(claim.reference, claim.value("kind")) for claim in intake.submitted] == [
        ("FFF-222-222", "auto"),
        ("CCC-222-222", "home"),
    ]


# -- the end of the call -----------------------------------------------------------------------------------------------


def test_the_last_turns_of_a_call_are_asked_for_once(intake: Intake) -> None:
    intake.caller("Maria Lopez.")
    intake.claims.closing()
    intake.notes({"policyholder": "Maria Lopez"})
    intake.caller("X007-PX75.", turns_open=True)
    assert len(intake.asked) == 1
    intake.caller("Bye.")
    assert len(intake.asked) == 2
    assert not intake.claims.settled
    intake.notes({"policy_number": "X007-PX75"})
    assert intake.claims.settled


def test_a_caller_who_hangs_up_after_agreeing_has_submitted(intake: Intake) -> None:
    intake.caller(SAID)
    intake.notes(WHOLE)
    assert intake.calls("submit_claim", turns_open=True) == []
    intake.actions += intake.claims.finish(intake.lines)
    assert len(intake.submitted) == 1


def test_what_only_the_agent_noted_is_marked(intake: Intake) -> None:
    intake.caller("Maria Lopez.")
    intake.notes({"policyholder": "Maria Lopez"})
    intake.claims.noted_by_agent({"policyholder": "Mario Lopes", "injuries": False})
    intake.actions += intake.claims.finish(intake.lines)
    fields = intake.changes[-1].claim.fields
    assert {name: (state.value, state.source) for name, state in fields.items()} == {
        "policyholder": ("Maria Lopez", "transcript"),
        "injuries": (False, "agent"),
    }


def test_off_means_nothing_at_all() -> None:
    intake = Intake("off")
    intake.caller(SAID)
    intake.claims.noted_by_agent({"policyholder": "Maria Lopez"})
    assert intake.claims.tool_called("submit_claim", {}, "c", 0.0) is None
    assert intake.claims.finish(intake.lines) == []
    assert intake.actions == []
    assert intake.claims.settled


def test_a_session_that_breaks_loses_no_turn_and_no_answer(intake: Intake) -> None:
    intake.caller(SAID)
    intake.calls("submit_claim")
    intake.claims.session_lost()
    intake.proceed()
    assert len(intake.asked) == 1
    intake.claims.resumed()
    intake.proceed()
    assert len(intake.asked) == 2
    intake.notes(WHOLE)
    # The new session does not know the tool call: it is told in its own words.
    assert [call_id for call_id, _ in intake.claims.take_answers()] == [""]
    assert len(intake.submitted) == 1


# -- another call ------------------------------------------------------------------------------------------------------


def kept(intake: Intake) -> dict[str, Any]:
    """What the store has after `intake` has told of its first claim."""
    claims = [one.change.claim for one in intake.actions if isinstance(one, ClaimChanged | ClaimSubmitted)]
    data: dict[str, Any] = json.loads(json.dumps(claims[-1].as_json()))
    return data


@pytest.fixture
def earlier() -> dict[str, Any]:
    before = Intake()
    before.caller(SAID)
    before.notes({name: WHOLE[name] for name in ("policyholder", "policy_number", "kind")})
    (answer,) = before.calls("pause_claim")
    assert "CCC-222-222" in answer
    before.proceed()
    assert kept(before)["state"] == "paused"
    return kept(before) | {"reference": "RRR-222-222"}


WITH_NAME = {"reference": "rrr 222 222", "policyholder": "Maria Lopes"}


def test_a_claim_is_gone_on_with_in_another_call(earlier: dict[str, Any]) -> None:
    intake = Intake()
    intake.caller("I'm Maria Lopes. I called yesterday.")
    intake.notes({"policyholder": "Maria Lopes"}, confirmed=False)
    assert intake.calls("resume_claim", WITH_NAME) == []
    assert [one.reference for one in intake.actions if isinstance(one, FindClaim)] == ["RRR-222-222"]
    intake.claims.found("RRR-222-222", earlier)
    (answer,) = intake.answers()
    assert '"policy_number": "X007-PX75"' in answer
    assert "phone: not asked yet" in answer
    intake.proceed()
    claim = intake.changes[-1].claim
    assert (claim.reference, claim.state) == ("RRR-222-222", "open")
    # What was confirmed then stands; what is said now goes on from it.
    assert claim.value("policyholder") == "Maria Lopez"
    intake.caller("555 014 2278")
    intake.notes({name: value for name, value in WHOLE.items() if name not in earlier["fields"]})
    intake.calls("submit_claim")
    assert [claim.reference for claim in intake.submitted] == ["RRR-222-222"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"reference": "RRR-222-222", "policyholder": "Somebody Else"}, True),
        ({"reference": "RRR-222-222"}, True),
        (WITH_NAME, False),
    ],
)
def test_who_does_not_know_the_name_learns_nothing(
    intake: Intake, earlier: dict[str, Any], arguments: dict[str, Any], found: bool
) -> None:
    intake.calls("resume_claim", arguments)
    intake.claims.found("RRR-222-222", earlier if found else None)
    assert intake.answers() == [answers.NOTHING_FOUND]
    intake.proceed()
    assert intake.changes == []


def test_references_cannot_be_tried_without_end(intake: Intake) -> None:
    for _ in range(MAX_LOOKUPS):
        intake.calls("resume_claim", WITH_NAME)
        intake.claims.found("RRR-222-222", None)
        intake.answers()
    assert intake.calls("resume_claim", WITH_NAME) == [answers.TOO_MANY_TRIES]


def test_a_store_that_does_not_answer_is_not_waited_for(intake: Intake) -> None:
    intake.calls("resume_claim", WITH_NAME)
    intake.now_s += DECISION_LIMIT_S
    intake.proceed()
    assert intake.answers() == [answers.NOT_NOW]


def test_a_claim_of_its_own_is_not_overwritten_by_an_earlier_one(intake: Intake, earlier: dict[str, Any]) -> None:
    intake.caller("Another thing first: my car was hit.")
    intake.notes({"policyholder": "Maria Lopez", "kind": "auto"})
    intake.calls("resume_claim", {**WITH_NAME, "reference": "JJJ-222-222"})
    intake.claims.found("JJJ-222-222", {**earlier, "reference": "JJJ-222-222"})
    intake.proceed()
    assert [(one.number, one.claim.value("kind")) for one in intake.changes] == [(1, "auto"), (2, "home")]
