"""``claimline price`` and the call's own account agree to the last digit, and bad input is named by its line."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from service.billing.commands import add_parser
from service.billing.meter import Meter
from service.billing.prices import PriceTable
from service.config import Config

EVENTS: list[dict[str, Any]] = [
    {
        "type": "session.created",
        "session": {"model": "gpt-realtime-2.1", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}},
    },
    {"type": "response.created", "response": {"id": "resp_1"}},
    {
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "status": "completed",
            "metadata": None,
            "usage": {
                "total_tokens": 1327,
                "input_tokens": 1042,
                "output_tokens": 285,
                "input_token_details": {"text_tokens": 1026, "audio_tokens": 16, "cached_tokens": 0},
                "output_token_details": {"text_tokens": 66, "audio_tokens": 219},
            },
        },
    },
    {
        "type": "response.done",
        "response": {
            "id": "resp_2",
            "metadata": {"purpose": "transcription"},
            "usage": {
                "total_tokens": 1829,
                "input_tokens": 1809,
                "output_tokens": 20,
                "input_token_details": {
                    "text_tokens": 1809,
                    "cached_tokens": 1792,
                    "cached_tokens_details": {"text_tokens": 1792},
                },
                "output_token_details": {"text_tokens": 20, "audio_tokens": 0},
            },
        },
    },
    {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "item_1",
        "usage": {"type": "duration", "seconds": 1.9},
    },
]


def price(*argv: str, config: Config | None = None) -> int:
    parser = argparse.ArgumentParser(prog="claimline")
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["price", *argv])
    return int(args.run(args, config or Config()))


def log_of(events: list[dict[str, Any]]) -> str:
    """An event log, with what the client sent between."""
    lines = []
    for n, event in enumerate(events):
        at = {"at": f"2026-11-21T10:00:{n:02d}.000Z", "t_s": n + 0.25}
        lines.append({**at, "dir": "sent", "event": {"type": "input_audio_buffer.append", "audio": 960}})
        lines.append({**at, "dir": "recv", "event": event})
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "call.jsonl"
    path.write_text(log_of(EVENTS), encoding="utf-8")
    return path


def test_the_command_and_the_call_agree(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter(PriceTable.load())
    for event in EVENTS:
        meter.observe(event)
    meter.finish()
    assert price(str(log), "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == meter.ledger.as_json()
    assert printed["cost"] == {"agent": "0.020216", "transcription": "0.0012648", "asr": "0.0001425"}
    assert printed["cost_usd"] == "0.0216233"


def test_the_table_shows_each_purpose_and_the_exact_total(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert price(str(log)) == 0
    header, agent, transcription, asr, total = capsys.readouterr().out.splitlines()
    assert "text cached" in header
    assert "image" not in header
    assert agent.split() == ["agent", "gpt-realtime-2.1", "1", "1026", "0", "16", "66", "219", "0", "0.020216"]
    assert transcription.split()[-1] == "0.0012648"
    assert asr.split()[-2:] == ["1.9", "0.0001425"]
    assert total.split()[-1] == "0.0216233"


def test_bare_events_and_bare_usage_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [EVENTS[2], {"type": "tokens", "input_tokens": 16, "output_tokens": 3, "total_tokens": 19}]
    lines[1]["input_token_details"] = {"text_tokens": 0, "audio_tokens": 16}
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(json.dumps(line) + "\n\n" for line in lines)))
    assert price("--model", "gpt-realtime-2.1", "--asr-model", "gpt-4o-transcribe", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cost"] == {"agent": "0.020216", "asr": "0.00007"}


def test_a_bad_line_is_named_and_the_rest_is_priced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_text(log_of(EVENTS) + '{"at": "2026-11-21T10:00:09Z", "dir": "re\n[1]\n', encoding="utf-8")
    assert price(str(path)) == 1
    captured = capsys.readouterr()
    assert "0.0216233" in captured.out
    complaints = captured.err.splitlines()
    assert len(complaints) == 2
    assert "line 11 " in complaints[0]
    assert "line 12 " in complaints[1]


@pytest.mark.parametrize("text", ["\x00\xff\n", "[" * 100_000 + "\n", "9" * 5000 + "\n", '{"dir": "recv"}\n', "null\n"])
def test_garbage_is_a_bad_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(text.encode("latin-1"))
    assert price(str(path)) == 1
    assert "line 1 " in capsys.readouterr().err


def test_an_unknown_model_is_not_priced_at_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text(json.dumps(EVENTS[2]) + "\n", encoding="utf-8")
    assert price(str(path)) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].split()[-1] == "unknown"
    assert "--model" in captured.err


def test_own_prices_are_used(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config.model_validate({"prices": {"overrides": {"gpt-transcribe": {"minute": "0.6"}}}})
    assert price(str(log), "--json", config=config) == 0
    assert json.loads(capsys.readouterr().out)["cost"]["asr"] == "0.019"


def test_a_missing_file_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert price(str(tmp_path / "none.jsonl")) == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_a_log_without_usage_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text(log_of(EVENTS[:1]), encoding="utf-8")
    assert price(str(path)) == 1
    assert "no usage found" in capsys.readouterr().err
