"""The command as a whole: all of it is tried, and only a failure fails it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from service.check import main, pjsip, realtime
from service.check.finding import Finding
from service.config import Config, Prices
from sip.stack import Bound


@pytest.fixture(autouse=True)
def _without_pjsip(monkeypatch: pytest.MonkeyPatch) -> None:
    async def bound(_config: Config) -> Bound:
        return Bound("127.0.0.1", 5060, 5060, slots=4, max_calls=3)

    monkeypatch.setattr(pjsip, "start_and_ask", bound)


def config(tmp_path: Path) -> Config:
    """Everything is in order but the engine, which nobody started."""
    return Config(
        sip={"port": 0},  # type: ignore[arg-type]
        http={"port": 0},  # type: ignore[arg-type]
        outbox={"path": tmp_path / "outbox.db"},  # type: ignore[arg-type]
        realtime={"url": "ws://127.0.0.1:1/v1/realtime"},  # type: ignore[arg-type]
    )


async def test_one_failure_keeps_no_other_check_from_being_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await main.run(config(tmp_path), as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    levels = {finding["subject"]: finding["level"] for finding in told["findings"]}
    assert " ".join(levels) == (
        "configuration prompts prices callers pjsip address sip rtp http outbox recording realtime webhook clock"
    )
    assert [subject for subject, level in levels.items() if level == "failed"] == ["realtime"]


async def test_warnings_alone_do_not_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def opened(*_: object) -> list[Finding]:
        return [Finding("realtime", "ok", "a session")]

    monkeypatch.setattr(realtime, "check", opened)
    assert await main.run(config(tmp_path), as_json=False) == 0
    text = capsys.readouterr().out
    assert "warning  webhook" in text
    assert "-> set webhook.url" in text
    assert text.splitlines()[-1].startswith("0 failed, ")


async def test_a_price_that_is_none_is_the_fault_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = config(tmp_path).model_copy(update={"prices": Prices(overrides={"m": {"text": Decimal(1)}})})
    await main.run(wrong, as_json=True)
    told = json.loads(capsys.readouterr().out)["findings"]
    assert [one["subject"] for one in told if "prices.overrides" in one["says"]] == ["prices"]


async def test_what_a_check_raises_becomes_its_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = config(tmp_path).model_copy(
        update={"agent": config(tmp_path).agent.model_copy(update={"instructions_file": tmp_path / "none.txt"})}
    )
    assert await main.run(missing, as_json=False) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if " prompts " in line)
    assert line.startswith("failed")
    assert "agent.instructions_file" in line
