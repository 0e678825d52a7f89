"""The claims of one call: what becomes of them, and what was told of it. Answers are for the model that talks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from service.claim import answers
from service.claim.claim import Claim, from_earlier_call
from service.claim.extraction import MAX_CLAIMS, Said
from service.claim.merge import filled_up, merged
from service.claim.readback import Readback
from service.claim.reference import same_person

TELL_APART = frozenset({"policyholder", "policy_number", "phone", "address", "date_of_birth"})
"""Who the caller is: all that this call may know already of a claim that it goes on with."""


@dataclass(frozen=True, slots=True)
class Change:
    """A claim that is not as it was told last. `number`: of the claim on this call, from 1."""

    number: int
    claim: Claim
    before: Claim

    def new_conflicts(self) -> list[str]:
        """Names of fields that are in conflict now, and were not before."""
        before = {name for name, state in self.before.fields.items() if state.conflict is not None}
        return [name for name, state in self.claim.fields.items() if state.conflict is not None and name not in before]


class Desk:
    """Never without a claim: the first one is there, empty, when the call begins, so that it has a reference."""

    def __init__(self, today: Callable[[], date], new_reference: Callable[[], str]) -> None:
        self._today = today
        self._new_reference = new_reference
        self._readback = Readback()
        self._claims: tuple[Claim, ...] = (Claim(new_reference()),)
        self._told: dict[str, Claim] = {}

    def as_noted(self) -> list[dict[str, Any]]:
        """The claims as `note_claim` has them."""
        return [{"fields": {name: state.as_noted() for name, state in one.fields.items()}} for one in self._claims]

    def take_in(self, arguments: str | None, turns: int) -> bool:
        """Take in the arguments of `note_claim`, of a call with so many turns. Says whether they could be read."""
        claims = merged(self._claims, arguments, turns=turns, today=self._today(), new_reference=self._new_reference)
        if claims is None:
            return False
        self._claims = claims
        return True

    def review(self, talk: Sequence[Said]) -> None:
        """Hold the claims against the talk so far, oldest line first."""
        self._claims = self._readback.reviewed(self._claims, talk)

    def fill_up(self, noted: Mapping[str, object]) -> None:
        """What the agent noted stands in for what the last claim lacks, unless that was submitted."""
        last = len(self._claims) - 1
        if self._claims[last].state != "submitted":
            self._replace(last, filled_up(self._claims[last], noted, self._today()))

    def changes(self) -> list[Change]:
        """What was not told yet; counts as told now."""
        found: list[Change] = []
        for number, claim in enumerate(self._claims, 1):
            before = self._told.get(claim.reference, Claim(claim.reference))
            if claim != before:
                self._told[claim.reference] = claim
                found.append(Change(number, claim, before))
        return found

    def submit(self, number: object) -> tuple[str, Change | None]:
        """The answer to the tool, and the submission if it was accepted now; it counts as told."""
        position = self._position(number)
        before = self._claims[position]
        if before.state == "submitted":
            return answers.submitted(before), None
        if before.missing():
            return answers.not_submitted(before), None
        claim = replace(before, state="submitted")
        self._replace(position, claim)
        self._told[claim.reference] = claim
        return answers.submitted(claim), Change(position + 1, claim, before)

    def pause(self, number: object) -> str:
        """The caller has to go. Gives the answer to the tool."""
        position = self._position(number)
        if self._claims[position].state == "open":
            self._replace(position, replace(self._claims[position], state="paused"))
        return answers.paused(self._claims[position])

    def resume(self, kept: Mapping[str, Any] | None, policyholder: object) -> str:
        """Go on with a claim that was kept, for who knows the policyholder's name. Gives the answer to the tool."""
        earlier = from_earlier_call(kept) if kept is not None else None
        if earlier is None or not same_person(earlier.value("policyholder"), policyholder):
            return answers.NOTHING_FOUND
        present = next((one for one in self._claims if one.reference == earlier.reference), None)
        if present is not None:
            return answers.resumed(present)
        last = len(self._claims) - 1
        claim = self._claims[last]
        if claim.state == "open" and TELL_APART.issuperset(claim.fields):
            said_now = {name: state for name, state in claim.fields.items() if not earlier.settled(name)}
            self._replace(last, earlier.with_fields(said_now))
        elif len(self._claims) < MAX_CLAIMS:
            self._claims += (earlier,)
        else:
            return answers.NO_ROOM
        return answers.resumed(earlier)

    def _position(self, number: object) -> int:
        """Of the claim with this number; for no number, of the first that has something to submit."""
        if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= len(self._claims):
            return number - 1
        open_ = [at for at, one in enumerate(self._claims) if one.state != "submitted" and not one.empty]
        return open_[0] if open_ else len(self._claims) - 1

    def _replace(self, position: int, claim: Claim) -> None:
        self._claims = (*self._claims[:position], claim, *self._claims[position + 1 :])
