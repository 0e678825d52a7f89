"""The fields of a claim: what each holds, and which of them a claim needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Value = str | bool


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `max_chars` bounds text; a choice is one of `choices`."""

    name: str
    type: Literal["text", "yes_no", "choice"]
    description: str
    max_chars: int = 120
    choices: tuple[str, ...] = ()

    def value_schema(self) -> dict[str, Any]:
        """JSON Schema of the value; null stands for none."""
        match self.type:
            case "text":
                return {"type": ["string", "null"], "description": self.description}
            case "yes_no":
                return {"type": ["boolean", "null"], "description": self.description}
            case "choice":
                return {"type": ["string", "null"], "enum": [*self.choices, None], "description": self.description}


FIELDS: tuple[Field, ...] = (
    Field("policyholder", "text", "full legal name of the policyholder, as the caller spelled it last"),
    Field("policy_number", "text", "in the form XXXX-XXXX, if eight characters were said; otherwise what was said", 40),
    Field("kind", "choice", "kind of claim", choices=("auto", "home", "other")),
    Field("kind_detail", "text", "of kind other: what it is, in a few words"),
    Field("phone", "text", "preferred number for follow-up, digits only, a leading + kept", 40),
    Field(
        "incident_at",
        "text",
        "date and time of the incident: local time as YYYY-MM-DDTHH:MM, or a date as YYYY-MM-DD, where the day is"
        " certain; otherwise the caller's words",
    ),
    Field("injuries", "yes_no", "whether anyone was injured"),
    Field("drivable", "yes_no", "auto only: whether the vehicle can still be driven"),
    Field("safe_to_occupy", "yes_no", "home only: whether the property is safe to stay in"),
    Field("report_filed", "yes_no", "whether a police or other official report was filed"),
    Field("report_number", "text", "number of that report, without separators", 60),
    Field("witnesses", "yes_no", "whether anyone saw it"),
    Field("account", "text", "what happened, in the caller's words", 2000),
    Field("address", "text", "the policyholder's address, where the policy number is not known", 300),
    Field("date_of_birth", "text", "the policyholder's, as YYYY-MM-DD, where the policy number is not known", 40),
)
BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}
