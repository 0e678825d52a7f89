"""The command as its user runs it: human speech, no server configured, so that the embedded engine hears it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import speech_material
from tests.compare.wavs import write_wav

PROMPTS = [prompt for prompt in speech_material.PROMPTS if prompt.name in {"conf-getconfno", "0880"}]
RUN_S = 120


@pytest.mark.speech
def test_two_spoken_turns_are_heard_and_priced_by_every_method(tmp_path: Path) -> None:
    durations_ms = []
    for number, prompt in enumerate(PROMPTS, start=1):
        path = write_wav(tmp_path / f"{number}.wav", pcm := speech_material.load(prompt))
        path.with_suffix(".txt").write_text(prompt.text)
        durations_ms.append(pcm.size * 1000 // speech_material.LINE_HZ)
    done = subprocess.run(
        (
            sys.executable,
            "-m",
            "service",
            "compare",
            tmp_path,
            "--contexts",
            "turn,full",
            "--csv",
            tmp_path / "out.csv",
        ),
        env={name: value for name, value in os.environ.items() if not name.startswith(("CLAIMLINE_", "OPENAI_"))},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(PROMPTS) + 3
    for row in rows[: 3 * len(PROMPTS)]:
        assert row["problem"] == ""
        assert float(row["word_error_rate"]) <= 0.1, row["text"]
        assert float(row["cost_usd"]) > 0
    turn = [row for row in rows if row["method"] == "turn"]
    full = [row for row in rows if row["method"] == "full"]
    heard = [int(row["audio_in"]) + int(row["audio_cached"]) for row in turn[:-1]]
    assert heard == [duration_ms // 100 for duration_ms in durations_ms]
    assert int(full[1]["audio_in"]) + int(full[1]["audio_cached"]) > sum(heard), "the agent's answer is in the context"
    assert float(full[-1]["ratio_to_built_in"]) > float(turn[-1]["ratio_to_built_in"]) > 1
