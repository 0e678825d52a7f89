"""The claim: what the caller has told so far."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Literal

from service.engine.dialogue.moments import Moment

Kind = Literal["auto", "home", "other"]
Value = str | bool | Moment


class Field(StrEnum):
    """Names of the claim's fields, as ``end_call`` carries them."""

    POLICYHOLDER = "policyholder"
    POLICY_NUMBER = "policy_number"
    KIND = "kind"
    PHONE = "phone"
    INCIDENT_AT = "incident_at"
    INJURIES = "injuries"
    DRIVABLE = "drivable"
    SAFE_TO_OCCUPY = "safe_to_occupy"
    REPORT_FILED = "report_filed"
    REPORT_NUMBER = "report_number"
    WITNESSES = "witnesses"
    ADDRESS = "address"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Claim:
    """One incident; None means not known.

    ``policy_number`` is ``XXXX-XXXX``, ``phone`` and ``report_number`` carry no separators.
    """

    policyholder: str | None = None
    policy_number: str | None = None
    kind: Kind | None = None
    phone: str | None = None
    incident_at: Moment | None = None
    injuries: bool | None = None
    drivable: bool | None = None
    safe_to_occupy: bool | None = None
    report_filed: bool | None = None
    report_number: str | None = None
    witnesses: bool | None = None
    account: str | None = None
    address: str | None = None
    """Asked for only where it has to stand for the policy number."""

    def get(self, field: Field) -> Value | None:
        """Value of one field."""
        value: Value | None = getattr(self, field.value)
        return value

    def noting(self, field: Field, value: Value | None) -> Claim:
        """This claim with one value changed, and without what no longer applies then."""
        changes: dict[str, object] = {field.value: value}
        if field is Field.KIND and value is not None:
            changes |= {} if value == "auto" else {"drivable": None}
            changes |= {} if value == "home" else {"safe_to_occupy": None}
        if field is Field.REPORT_FILED and value is False:
            changes["report_number"] = None
        return replace(self, **changes)  # type: ignore[arg-type]

    def as_arguments(self) -> dict[str, object]:
        """JSON-ready fields, every name present but an ``address`` that was not told.

        ``incident_at`` is ISO 8601 local time, or a date.
        """
        values: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        values["incident_at"] = self.incident_at.isoformat() if self.incident_at else None
        if self.address is None:
            del values["address"]
        return values
