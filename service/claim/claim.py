"""The claim as a value: what is known of each field, from where, and what is still missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from service.claim.fields import BY_NAME, FIELDS, Value

State = Literal["open", "paused", "submitted"]
Source = Literal["transcript", "agent", "earlier_call"]

ALWAYS_NEEDED = (
    "policyholder",
    "policy_number",
    "kind",
    "phone",
    "incident_at",
    "injuries",
    "report_filed",
    "witnesses",
    "account",
)
IDENTIFYING = ("address", "date_of_birth")
"""One of them identifies the policyholder who does not know the policy number."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The agent stated `agent` for a field of which the caller said `caller`, in these turns."""

    agent: str
    caller: str
    turns: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """For webhooks and records."""
        return {"agent": self.agent, "caller": self.caller, "turns": list(self.turns)}


@dataclass(frozen=True, slots=True)
class FieldState:
    """What is known of one field."""

    value: Value | None = None
    turns: tuple[int, ...] = ()
    """Numbers of the caller turns that it is from, ascending."""
    confirmed: bool = False
    unknown: bool = False
    """The caller said that they do not know it; then there is no value."""
    problems: tuple[str, ...] = ()
    conflict: Conflict | None = None
    source: Source = "transcript"

    @property
    def settled(self) -> bool:
        """Whether nothing is left to ask: declared unknown, or confirmed and not in conflict."""
        return self.unknown or (self.value is not None and self.confirmed and self.conflict is None)

    def as_noted(self) -> dict[str, Any]:
        """As `note_claim` has it."""
        return {
            "value": self.value,
            "turns": list(self.turns),
            "confirmed": self.confirmed,
            "unknown": self.unknown,
        }

    def as_json(self) -> dict[str, Any]:
        """For webhooks, records and the table of kept claims."""
        return {
            **self.as_noted(),
            "problems": list(self.problems),
            "conflict": self.conflict.as_json() if self.conflict else None,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """One incident. `fields` holds only names of `service.claim.fields`, and only those of which something is known."""

    reference: str
    state: State = "open"
    fields: Mapping[str, FieldState] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return not self.fields

    def settled(self, name: str) -> bool:
        """Whether nothing is left to ask about a field."""
        return self._known(name).settled

    def value(self, name: str) -> Value | None:
        """The value of a field, confirmed or not."""
        known = self.fields.get(name)
        return known.value if known is not None else None

    def values(self) -> dict[str, Value]:
        """Field by field what is known, without its evidence."""
        return {name: state.value for name, state in self.fields.items() if state.value is not None}

    def with_fields(self, changes: Mapping[str, FieldState]) -> Claim:
        """The claim with these fields in place of its own; the order of `fields` is always that of `FIELDS`."""
        known = {**self.fields, **changes}
        ordered = {one.name: known[one.name] for one in FIELDS if one.name in known}
        return replace(self, fields=MappingProxyType(ordered))

    def needed(self) -> list[str]:
        """Names of the fields that this claim needs, as far as it is known."""
        names = [*ALWAYS_NEEDED]
        match self.value("kind"):
            case "auto":
                names.append("drivable")
            case "home":
                names.append("safe_to_occupy")
            case "other":
                names.append("kind_detail")
        if self.value("report_filed") is True:
            names.append("report_number")
        if self._known("policy_number").unknown:
            names += self._identifying()
        return names

    def missing(self) -> list[str]:
        """Names of needed fields that are not settled, in the order of asking."""
        return [name for name in self.needed() if not self.settled(name)]

    def as_json(self) -> dict[str, Any]:
        """For webhooks, records and the table of kept claims."""
        return {
            "reference": self.reference,
            "state": self.state,
            "fields": {name: state.as_json() for name, state in self.fields.items()},
            "missing": self.missing(),
        }

    def _identifying(self) -> list[str]:
        """What stands for the policy number: the field that was given, else the first that is not declared unknown."""
        given = [name for name in IDENTIFYING if self.value(name) is not None]
        open_ = [name for name in IDENTIFYING if not self._known(name).unknown]
        return (given or open_)[:1]

    def _known(self, name: str) -> FieldState:
        return self.fields.get(name, NOTHING_KNOWN)


NOTHING_KNOWN = FieldState()


def from_earlier_call(kept: Mapping[str, Any]) -> Claim:
    """A claim that was kept as its `as_json`, to be gone on with. Turns of that call mean nothing in this one."""
    fields = kept.get("fields")
    known = {
        name: FieldState(
            value=state.get("value"),
            confirmed=bool(state.get("confirmed")),
            unknown=bool(state.get("unknown")),
            problems=tuple(state.get("problems", ())),
            source="earlier_call",
        )
        for name, state in (fields.items() if isinstance(fields, Mapping) else ())
        if name in BY_NAME
    }
    state: State = "submitted" if kept.get("state") == "submitted" else "open"
    return Claim(str(kept.get("reference", "")), state).with_fields(known)
