"""JSON Schemas (draft 2020-12) of the webhook messages, one file for each type."""

from __future__ import annotations

from importlib.resources import files

TYPES = ("call.started", "turn.transcribed", "claim.updated", "claim.submitted", "call.ended")


def schema_json(type_: str) -> bytes | None:
    """The schema of a webhook type as JSON text; None when there is no such type."""
    if type_ not in TYPES:
        return None
    return files(__name__).joinpath(f"{type_}.json").read_bytes()
