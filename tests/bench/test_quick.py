"""The bench itself: a short run gives every figure, and figures that can be."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.bench.__main__ import MEASUREMENTS, run
from tests.bench.bench import QUICK
from tests.bench.caller import Speech
from tests.bench.conversations import Way, located
from tests.bench.figures import Figure, Measurement
from tests.bench.machine import Conditions, machine
from tests.bench.marks import FRAME_NS, FRAME_SAMPLES, Reference, noise
from tests.bench.outbox import PER_CALL
from tests.bench.report import BEGIN, END, Entry, Report, write_into

ROUND_TRIP = "RTP in → websocket → RTP out p50"


def test_sound_is_found_again_and_every_frame_accounted_for() -> None:
    sent = noise(3.0, seed=1)
    delay_ns, moved = 37_000_000, 36
    frames = [sent[at : at + FRAME_SAMPLES] for at in range(0, sent.size, FRAME_SAMPLES)]
    played = [*frames[:70], frames[69], *frames[70:90], *frames[91:]]  # One twice, one never.
    stream = np.concatenate([np.zeros(moved, np.int16), *played])
    stretches = [
        (number * FRAME_NS + delay_ns, stream[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES])
        for number in range(len(played))
    ]
    way = Way(Speech(sent, frozenset()), located(stretches, Reference(sent), 0))
    counted = way.frames(from_s=1.0)
    assert (counted.lost, counted.repeated) == (1, 1)
    before = way.delays_ms(0.1, 1.3)
    assert np.allclose(before, 37 + moved / 8, atol=0.2)


def test_frames_that_the_network_lost_are_not_the_workers() -> None:
    sent = noise(2.0, seed=2)
    kept = [number for number in range(100) if number != 60]
    stretches = [(n * FRAME_NS + 1_000_000, sent[n * FRAME_SAMPLES : (n + 1) * FRAME_SAMPLES]) for n in kept]
    way = Way(Speech(sent, frozenset({60})), located(stretches, Reference(sent), 0))
    assert way.frames(from_s=0.5).lost == 0


def test_tables_replace_the_old_ones_in_the_document(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    figures = (
        Figure("p50", 41.23, "ms", aim=40),
        Figure("lost", 0, "", aim=0),
        Figure("back", math.inf, "s", aim=2),
        Figure("rate", 299, "/s", least=300),
    )
    entry = Entry(Measurement("Delay", "how", figures), Conditions(0.5, 12))
    write_into(document, Report(machine(), "today", (entry,)))
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| p50 | 41.2 ms | ≤ 40 ms | **missed** |" in text
    assert "| lost | 0 | ≤ 0 | reached |" in text
    assert "| back | not within the run | ≤ 2 s | **missed** |" in text
    assert "| rate | 299.0 /s | ≥ 300 /s | **missed** |" in text
    write_into(document, Report(machine(), "later", ()))
    assert "today" not in document.read_text()


@pytest.mark.alone
@pytest.mark.real
def test_a_short_run_gives_every_figure(tmp_path: Path) -> None:
    # The others repeat these under load, jitter, loss and a stall; `make bench` runs them all.
    measured = ["idle", "setup", "one", "interruption", "scraping", "resampler", "outbox"]
    assert set(measured) <= set(MEASUREMENTS)
    run(measured, QUICK, tmp_path)
    entries = json.loads((tmp_path / "results.json").read_text())["entries"]
    assert len(entries) == len(measured)
    figures = {
        (entry["measurement"]["title"], figure["name"]): figure["value"]
        for entry in entries
        for figure in entry["measurement"]["figures"]
    }
    late = {name for (_, name), value in figures.items() if value is None}
    assert all(name.endswith("after") for name in late), late
    up, around = (figures["One call", name] for name in ("RTP in → append at the engine p50", ROUND_TRIP))
    assert 5 < up < around < 1000
    assert 15 < figures["One call", "gap between outgoing packets p50"] < 25
    assert figures["One call", "frames sent"] > 50
    assert 20 < figures["Idle worker", "RSS"] < 1000
    assert 0 < figures["Setting a call up", "INVITE → 200 p50"] < 10_000
    assert 0 < figures["Setting a call up", "ACK → greeting max"] < 10_000
    assert 0 < figures["Interruption", "interruption → silence p50"] < 1000
    assert figures["Interruption", "interruptions without truncation"] == 0
    assert 0 < figures["Scraped while three calls talk", "scrape p50"] < 50
    assert figures["Scraped while three calls talk", "holes in the outgoing sequence numbers"] == 0
    assert figures["Scraped while three calls talk", "frames lost on the way up"] < 5
    assert 0 < figures["Resampler", "a frame up"] < 10_000
    assert figures["Delivery", "transcripts"] == QUICK.transcripts
    assert 0 < figures["Delivery", "transcript → receiver p50"] < 10_000
    assert figures["Delivery", "messages a second, one deliverer"] > 1
    assert figures["Delivery", "away: messages waiting"] == QUICK.outage_calls * PER_CALL
