"""`claimline demo` as a stranger runs it, and what it leaves behind."""

from __future__ import annotations

import json
import re
import wave
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from service.demo.listening import find_faults
from tests.acceptance.product import DemoRun, schema_of

pytestmark = [pytest.mark.alone, pytest.mark.real, pytest.mark.speech]

LIMIT_S = 200.0
"""From now on; it may be over already."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of a demo that is over."""

    exit_code: int
    screen: str
    out: Path


@pytest.fixture(scope="module")
def evidence(demo: DemoRun | None) -> Evidence:
    """The demo's exit code and what was on the screen, once it is over."""
    assert demo is not None
    code = demo.process.wait(LIMIT_S)
    return Evidence(code, demo.screen.read_text(), demo.out)


def test_it_succeeds_and_shows_the_turns_the_interruption_the_claim_and_the_cost(evidence: Evidence) -> None:
    assert evidence.exit_code == 0, evidence.screen
    assert shown_turns(evidence) == list(range(1, len(shown_turns(evidence)) + 1))
    assert len(shown_turns(evidence)) >= 6
    assert "the agent was interrupted (1)" in evidence.screen
    for field, value in (("policyholder", "Margaret Hale"), ("policy_number", "K7M2-40B9"), ("kind", "auto")):
        assert re.search(rf"^ +{field} +{value} +turns? [\d, ]+, confirmed$", evidence.screen, re.MULTILINE)
    for purpose in ("agent", "transcription", "claim", "total"):
        assert re.search(rf"^ +{purpose} +\$0\.\d+$", evidence.screen, re.MULTILINE)


def test_its_recording_has_both_sides_and_no_faults(evidence: Evidence) -> None:
    for side in both_sides(evidence.out / "call.wav"):
        assert not find_faults(side).any
        assert np.count_nonzero(np.abs(side.astype(int)) > 1000) > 8000, "a side of the recording is silent"


def test_it_leaves_what_was_delivered_and_measured(evidence: Evidence) -> None:
    lines = map(json.loads, (evidence.out / "webhooks.jsonl").read_text().splitlines())
    messages = [{key: line[key] for key in ("type", "timestamp", "data")} for line in lines]
    for message in messages:
        jsonschema.validate(message, schema_of(message["type"]))
    assert [message["data"]["seq"] for message in messages] == list(range(1, len(messages) + 1))
    types = [message["type"] for message in messages]
    assert types.count("turn.transcribed") == len(shown_turns(evidence))
    assert types.count("claim.submitted") == 1
    ended = messages[-1]["data"]
    assert f"${ended['cost_usd']}" in evidence.screen
    metrics = (evidence.out / "metrics.txt").read_text()
    assert f'claimline_turns_total{{source="out_of_band"}} {ended["turns"]}.0' in metrics


def shown_turns(evidence: Evidence) -> list[int]:
    return [int(number) for number in re.findall(r" turn (\d+) ", evidence.screen)]


def both_sides(path: Path) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Left and right."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    return samples[0::2], samples[1::2]
