"""What came out of the demo's call: shown as tables, and judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from service.billing.meter import Meter
from service.billing.prices import PriceTable, plain
from service.demo.caller import DemoCaller
from service.demo.listening import find_faults
from service.demo.screen import Screen, shown
from service.demo.script import EXPECTED_CLAIM
from service.outbox.inbox import Received

MIN_TURNS = 6


def sum_up(screen: Screen, out: Path, caller: DemoCaller, messages: Sequence[Received]) -> int:
    """Show tables and verdicts; 0 only if all is well."""
    turns = [message.data for message in messages if message.type == "turn.transcribed"]
    ended = messages[-1].data
    said = [line.text for line in caller.said]
    screen.heading("What was said, and what the claims desk received")
    for number, (one, other) in enumerate(_side_by_side(said, [turn["transcript"] for turn in turns]), start=1):
        screen.table([(f"{number:2}", "said", one), ("", "received", other)])
    (claim,) = ended["claims"]
    screen.heading(f"The claim {claim['reference']}, as the transcripts have it")
    screen.table([_row(name, claim["fields"].get(name)) for name in EXPECTED_CLAIM])
    screen.heading(f"What this call would cost with {turns[0]['model'] if turns else 'the model'}")
    costs = [(purpose, f"${usd}") for purpose, usd in ended["cost"].items()]
    screen.table([*costs, ("total", f"${ended['cost_usd']}")])
    screen.heading("Checked")
    verdicts = _verdicts(out, caller, messages, turns, ended)
    for what, well in verdicts:
        screen.verdict(what, well=well)
    latencies = ended["quality"]["response_latency_s"]
    if latencies:
        screen.note(f"Answers began {np.median(latencies):.2f} s after the caller's speech had ended (median).")
    screen.note(f"Listen: {out}/call.wav (left the caller, right the agent)")
    screen.note(f"Read:   {out}/webhooks.jsonl, {out}/metrics.txt, {out}/events.jsonl")
    return 0 if all(well for _, well in verdicts) else 1


def _verdicts(
    out: Path,
    caller: DemoCaller,
    messages: Sequence[Received],
    turns: Sequence[Mapping[str, Any]],
    ended: Mapping[str, Any],
) -> list[tuple[str, bool]]:
    heard_by_caller = np.frombuffer(bytes(caller.right), "<i2")
    recording = find_faults(heard_by_caller)
    interruptions = ended["quality"]["interruptions"]
    in_order = [message.data["seq"] for message in messages] == list(range(1, len(messages) + 1))
    return [
        (f"{len(caller.said)} turns spoken, {len(turns)} delivered", MIN_TURNS <= len(caller.said) == len(turns)),
        ("each turn was transcribed out of band, and priced", all(_whole(turn) for turn in turns)),
        ("each message arrived once and in order", in_order),
        (f"the agent was interrupted ({interruptions}) and stopped", interruptions >= 1),
        ("the claim holds what the caller said, correction included", _claim_is_right(ended["claim"])),
        ("the claim was submitted", any(message.type == "claim.submitted" for message in messages)),
        (f"the call ended with {ended['result']} ({ended['reason']})", ended["result"] == "success"),
        ("its cost is what `claimline price` makes of its event log", _cost_agrees(out / "events.jsonl", ended)),
        (f"the recording has {recording.clicks} clicks and {recording.gaps} gaps", not recording.any),
    ]


def _row(name: str, field: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if field is None:
        return name, shown(None), ""
    turns = ", ".join(str(turn) for turn in field["turns"])
    heard = f"turn{'s' * (len(field['turns']) > 1)} {turns}"
    return name, shown(field["value"]), heard + ", confirmed" * field["confirmed"]


def _whole(turn: Mapping[str, Any]) -> bool:
    return turn["source"] == "out_of_band" and bool(turn["transcript"]) and turn["cost_usd"] is not None


def _claim_is_right(claim: Mapping[str, Any]) -> bool:
    return all(claim.get(name) == value for name, value in EXPECTED_CLAIM.items())


def _cost_agrees(event_log: Path, ended: Mapping[str, Any]) -> bool:
    meter = Meter(PriceTable.load())
    for line in event_log.read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["dir"] == "recv":
            meter.observe(entry["event"])
    cost_usd = meter.ledger.cost_usd
    return bool(ended["cost_complete"]) and cost_usd is not None and plain(cost_usd) == ended["cost_usd"]


def _side_by_side(said: Sequence[str], received: Sequence[str]) -> list[tuple[str, str]]:
    rows = max(len(said), len(received))
    left = [*said, *[""] * (rows - len(said))]
    right = [*received, *["(missing)"] * (rows - len(received))]
    return list(zip(left, right, strict=True))
