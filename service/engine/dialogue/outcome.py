"""What the output of `submit_claim` or `pause_claim` says: a reference, or what stands in the way of one.

The output is written for a language model: `Submitted. Its reference is C7K-4QX-92M. ...`, or field by field what is
open, as `phone: "5550142277" is not confirmed. ...` and `policy_number: not known yet. ...`. JSON with the same words
as its keys is read as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.engine.dialogue.claim import Field

_REFERENCE = re.compile(r"\breference\b[\"']?(?: is|:)? *[\"']?(?P<reference>[A-Z0-9]{2,}(?:-[A-Z0-9]+)*)\b")
_NAMED = re.compile(rf"\b(?P<field>{'|'.join(Field)})\b[\"']?:")
_UNCONFIRMED = "not confirmed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`open` has to be asked, `unconfirmed` to be read back."""

    reference: str | None = None
    open: tuple[Field, ...] = ()
    unconfirmed: tuple[Field, ...] = ()


def read_outcome(output: str) -> Outcome:
    """Never raises, whatever the output holds."""
    reference = _REFERENCE.search(output)
    if reference is not None:
        return Outcome(reference["reference"])
    places = list(_NAMED.finditer(output))
    ends = [place.start() for place in places[1:]] + [len(output)]
    told = {Field(place["field"]): output[place.end() : end] for place, end in zip(places, ends, strict=False)}
    return Outcome(
        open=tuple(field for field, words in told.items() if _UNCONFIRMED not in words),
        unconfirmed=tuple(field for field, words in told.items() if _UNCONFIRMED in words),
    )
