"""What was on disk when workers were killed, against what the receiver got. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema

from service.schemas import TYPES, schema_json


@dataclass(slots=True)
class Kept:
    """The turns of one call that were journalled, in the order of the call."""

    turns: list[str] = field(default_factory=list)

    def add(self, turns: Sequence[str]) -> None:
        """What is on disk now; it goes on where it was, or something is wrong with the order."""
        self.turns += [turn for turn in turns if turn not in self.turns]


@dataclass(frozen=True, slots=True)
class Delivered:
    """One request at the receiver."""

    webhook_id: str
    body: bytes
    verdict: str
    """`taken`, `duplicate`, `failed`, ..."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a whole run."""

    calls: int
    interrupted: int
    not_ended_once: int
    not_numbered: int
    out_of_order: int
    turns_missing: int
    turns_twice: int
    turns_out_of_order: int
    turns_interrupted: int
    requests: int
    failed: int
    duplicates: int
    other_ids: int
    against_schema: int


def judged(kept: Mapping[str, Kept], delivered: Sequence[Delivered]) -> Verdict:
    """`delivered` in the order of arrival; `kept` by call."""
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    calls: dict[str, list[dict[str, Any]]] = {call_id: [] for call_id in kept}
    for one in delivered:
        message = json.loads(one.body)
        ids[message["data"]["call_id"], message["data"]["seq"]].add(one.webhook_id)
        if one.verdict == "taken":
            calls.setdefault(message["data"]["call_id"], []).append(message)
    ordered = {call_id: sorted(taken, key=lambda one: one["data"]["seq"]) for call_id, taken in calls.items()}
    turns = {
        call_id: [one["data"] for one in messages if one["type"] == "turn.transcribed"]
        for call_id, messages in ordered.items()
    }
    told = {call_id: [turn["item_id"] for turn in of_call] for call_id, of_call in turns.items()}
    wanted = {call_id: one.turns for call_id, one in kept.items()}
    return Verdict(
        calls=len(calls),
        interrupted=sum(_reason(messages) == "interrupted" for messages in ordered.values()),
        not_ended_once=sum(not _ended_once(messages) for messages in ordered.values()),
        not_numbered=sum(not _numbered(messages, turns[call_id]) for call_id, messages in ordered.items()),
        out_of_order=sum(messages != ordered[call_id] for call_id, messages in calls.items()),
        turns_missing=sum(len(set(items) - set(told[call_id])) for call_id, items in wanted.items()),
        turns_twice=sum(len(items) - len(set(items)) for items in told.values()),
        turns_out_of_order=sum(
            [item for item in told[call_id] if item in items] != items for call_id, items in wanted.items()
        ),
        turns_interrupted=sum(turn["source"] == "none" for of_call in turns.values() for turn in of_call),
        requests=len(delivered),
        failed=sum(one.verdict == "failed" for one in delivered),
        duplicates=sum(one.verdict == "duplicate" for one in delivered),
        other_ids=sum(len(names) - 1 for names in ids.values()),
        against_schema=sum(not _valid(message) for messages in ordered.values() for message in messages),
    )


def _reason(messages: Sequence[dict[str, Any]]) -> str | None:
    return messages[-1]["data"].get("reason") if messages else None


def _ended_once(messages: Sequence[dict[str, Any]]) -> bool:
    types = [one["type"] for one in messages]
    return types.count("call.ended") == 1 and (types[0], types[-1]) == ("call.started", "call.ended")


def _numbered(messages: Sequence[dict[str, Any]], turns: Sequence[dict[str, Any]]) -> bool:
    return (
        [one["data"]["seq"] for one in messages] == list(range(1, len(messages) + 1))
        and [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
        and bool(messages)
        and messages[-1]["data"].get("turns") == len(turns)
    )


_VALIDATORS = {type_: jsonschema.Draft202012Validator(json.loads(schema_json(type_) or b"false")) for type_ in TYPES}


def _valid(message: dict[str, Any]) -> bool:
    return bool(_VALIDATORS[message["type"]].is_valid(message))
