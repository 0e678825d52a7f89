"""`claimline compare` against a server whose words and token counts are known: files in, figures out."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from service import cli
from service.billing.prices import plain
from service.cli import parser
from service.compare import main
from service.compare.sources import read_turns
from service.config import Config, Prices, Realtime, Transcription
from service.errors import ClaimlineError
from service.prompts import load_instructions
from service.transcript.request import transcript_request
from tests.compare.scripted_server import CACHED_TOKENS, ScriptedServer
from tests.compare.wavs import tone, write_wav

TEXTS = ("Hello there", "My name is M-A-R-I-A", "X007-PX75", "Thank you, bye")
CACHED = CACHED_TOKENS * Decimal("0.4")
DURATIONS_MS = (1000, 2000, 3000, 1500)


def turns_in(folder: Path, count: int = 4) -> Path:
    turns = folder / "turns"
    turns.mkdir()
    for number, duration_ms in enumerate(DURATIONS_MS[:count], start=1):
        write_wav(turns / f"{number}.wav", tone(duration_ms))
    return turns


async def compare(server: ScriptedServer, *arguments: str | Path, model: str = "gpt-realtime") -> int:
    """The command's exit code."""
    args = parser().parse_args(["compare", *map(str, arguments)])
    async with server.running() as url:
        config = Config(
            realtime=Realtime(url=url, model=model),
            transcription=Transcription(timeout_s=0.3, asr_model=args.asr_model or "gpt-4o-transcribe"),
            prices=Prices(overrides={"gpt-4o-transcribe": {"audio_in": Decimal(6)}}),
        )
        async with asyncio.timeout(20):
            return await main.compare(args, config, read_turns(args.paths))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], method: str, name: str) -> list[str]:
    return [row[name] for row in rows if row["method"] == method and row["turn"] != "total"]


def total(rows: list[dict[str, str]], method: str) -> dict[str, str]:
    return next(row for row in rows if row["method"] == method and row["turn"] == "total")


async def test_a_run_gives_exact_texts_costs_and_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ScriptedServer(TEXTS)
    out, page = tmp_path / "out.csv", tmp_path / "out.html"
    folder = turns_in(tmp_path)
    (folder / "2.txt").write_text("my name is maria")
    assert await compare(server, folder, "--contexts", "turn,2,full", "--csv", out, "--html", page) == 0
    rows = rows_of(out)
    for method in ("turn", "2 turns", "full"):
        assert column(rows, method, "text") == list(TEXTS)
    assert column(rows, "built-in", "text") == [text.lower() for text in TEXTS]
    # USD per million: text 4, cached 0.40, out 16, audio 32; built-in audio 6, out 10.
    assert column(rows, "turn", "cost_usd") == [
        plain(Decimal(micro).scaleb(-6))
        for micro in (
            510 * 4 + 10 * 32 + 2 * 16,
            CACHED + 62 * 4 + 20 * 32 + 4 * 16,
            CACHED + 62 * 4 + 30 * 32 + 1 * 16,
            CACHED + 62 * 4 + 15 * 32 + 3 * 16,
        )
    ]
    assert column(rows, "2 turns", "audio_in") == ["10", "30", "50", "45"]
    # All callers' audio and that of the agent's last answer; a message more for every turn and answer.
    assert column(rows, "full", "audio_in") == ["10", "70", "100", "115"]
    assert column(rows, "full", "text_in") == ["510", "82", "102", "122"]
    assert column(rows, "full", "text_cached") == ["0", "448", "448", "448"]
    assert column(rows, "built-in", "cost_usd") == ["0.00008", "0.00016", "0.00019", "0.00012"]
    assert total(rows, "built-in")["cost_usd"] == "0.00055"
    sums = {method: Decimal(total(rows, method)["cost_usd"]) for method in ("turn", "2 turns", "full")}
    assert sums["turn"] == sum(map(Decimal, column(rows, "turn", "cost_usd")))
    for method, usd in sums.items():
        assert total(rows, method)["ratio_to_built_in"] == f"{usd / Decimal('0.00055'):.4f}"
    assert sums["turn"] < sums["2 turns"] < sums["full"]
    assert column(rows, "turn", "word_error_rate") == ["", "1.2500", "", ""], "spelled letters are words of their own"
    shown = capsys.readouterr()
    assert "4/4" in shown.out
    assert shown.err.count("turn 4 of 4, 4.wav: built-in 0.") == 1
    assert "<svg" in page.read_text("utf-8")


async def test_requests_are_the_sidecars_one_at_a_time_and_turns_are_committed_by_hand(tmp_path: Path) -> None:
    server = ScriptedServer(TEXTS)
    await compare(server, turns_in(tmp_path, 2), "--contexts", "full,turn")
    (configured,) = server.sessions
    assert configured["audio"]["input"]["turn_detection"] is None
    assert configured["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"
    assert configured["output_modalities"] == ["audio"]
    assert server.appended_bytes == 3 * 48_000
    asked = [request["response"] for request in server.requests if request.get("response")]
    expected = transcript_request(
        "item_2",
        earlier_item_ids=["item_1"],
        context="turn",
        instructions=load_instructions("service.transcript", "instructions.txt", None, ""),
        max_output_tokens=1024,
    ).response
    assert expected is not None
    assert {**asked[-1], "metadata": {}} == {**expected, "metadata": {}}
    assert asked[-1]["metadata"]["purpose"] == "transcription"
    order = [request["event_id"] for request in server.requests]
    assert order == ["oob_item_1_full", "oob_item_1_turn", "agent_1", "oob_item_2_full", "oob_item_2_turn"]


@pytest.mark.parametrize(("option", "modality", "answers"), [("--agent-text", "text", 2), ("--no-agent", "audio", 0)])
async def test_the_agent_may_write_or_keep_silent(tmp_path: Path, option: str, modality: str, answers: int) -> None:
    server = ScriptedServer(TEXTS)
    assert await compare(server, turns_in(tmp_path, 3), option, "--contexts", "full") == 0
    assert server.sessions[0]["output_modalities"] == [modality]
    assert sum(request["event_id"].startswith("agent") for request in server.requests) == answers


async def test_a_server_that_refuses_out_of_band_leaves_the_built_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    server = ScriptedServer(TEXTS, refuse_out_of_band=True)
    assert await compare(server, turns_in(tmp_path, 2), "--csv", out) == 1
    rows = rows_of(out)
    assert column(rows, "turn", "problem") == ["unsupported_conversation"] * 2
    assert column(rows, "turn", "cost_usd") == ["", ""]
    assert column(rows, "built-in", "text") == ["hello there", "my name is m-a-r-i-a"]
    assert total(rows, "built-in")["cost_usd"] == "0.00024"
    assert "[unsupported_conversation]" in capsys.readouterr().out


async def test_what_fails_or_never_comes_is_told_in_its_cell_and_the_run_goes_on(tmp_path: Path) -> None:
    server = ScriptedServer(
        TEXTS,
        silent_about={(1, "turn"), (2, "asr")},
        failing={(2, "turn"): "inference_rate_limit_exceeded", (3, "asr"): "audio_unintelligible"},
    )
    out = tmp_path / "out.csv"
    assert await compare(server, turns_in(tmp_path), "--contexts", "turn,full", "--csv", out) == 1
    rows = rows_of(out)
    assert column(rows, "turn", "problem") == ["timeout", "inference_rate_limit_exceeded", "", ""]
    assert column(rows, "built-in", "problem") == ["", "timeout", "audio_unintelligible", ""]
    assert column(rows, "full", "text") == list(TEXTS)
    assert len(server.cancelled) == 1
    assert total(rows, "turn")["cost_usd"] != ""


async def test_a_turn_that_the_server_does_not_take_is_left_out_and_its_audio_with_it(tmp_path: Path) -> None:
    server = ScriptedServer(TEXTS, refused_commits={1})
    out = tmp_path / "out.csv"
    assert await compare(server, turns_in(tmp_path, 2), "--contexts", "turn", "--csv", out) == 1
    rows = rows_of(out)
    assert column(rows, "turn", "problem") == ["input_audio_buffer_commit_empty", ""]
    assert column(rows, "turn", "audio_in") == ["", "20"]
    assert server.cleared == 1


async def test_a_model_without_a_price_has_no_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = "house-model"
    out = tmp_path / "out.csv"
    assert await compare(ScriptedServer(TEXTS, model=model), turns_in(tmp_path, 2), "--csv", out, model=model) == 0
    rows = rows_of(out)
    assert column(rows, "turn", "cost_usd") == ["", ""]
    assert column(rows, "turn", "audio_in") == ["10", "20"]
    assert total(rows, "turn")["cost_usd"] == total(rows, "turn")["ratio_to_built_in"] == ""
    assert total(rows, "built-in")["cost_usd"] == "0.00024"
    sums = capsys.readouterr().out.split("In all")[1]
    assert next(line for line in sums.splitlines() if line.startswith("turn")).split()[5:7] == ["unknown", "unknown"]


async def test_a_session_that_breaks_leaves_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ScriptedServer(TEXTS, dies_after_turn=2)
    assert await compare(server, turns_in(tmp_path), "--contexts", "turn") == 1
    shown = capsys.readouterr()
    assert "M-A-R-I-A" in shown.out
    assert "Not all: 1 of 4 turns were not reached." in shown.out
    assert "claimline compare: the Realtime connection closed (1011)" in shown.err


async def test_ctrl_c_shows_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ScriptedServer(TEXTS, silent_about={(2, "turn")})
    server.on_silence = lambda: os.kill(os.getpid(), signal.SIGINT)
    assert await compare(server, turns_in(tmp_path), "--contexts", "turn") == 130
    shown = capsys.readouterr()
    assert "Hello there" in shown.out
    assert "[no result]" in shown.out
    assert shown.err.endswith("interrupted\n")


async def test_a_server_that_is_not_there_is_named_by_its_setting(tmp_path: Path) -> None:
    args = parser().parse_args(["compare", str(turns_in(tmp_path, 1))])
    config = Config(realtime=Realtime(url="ws://127.0.0.1:1/v1/realtime"))
    with pytest.raises(ClaimlineError, match=r"^realtime\.url ws://127\.0\.0\.1:1/v1/realtime: cannot reach"):
        await main.compare(args, config, read_turns(args.paths))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name WAV files or a directory of them, or set recording.directory"),
        (["nowhere.wav"], "cannot use nowhere.wav (there is no such file)"),
        (["nowhere.wav", "--csv", "no/such/folder/x.csv"], "--csv no/such/folder/x.csv: no file can be written there"),
        (["nowhere.wav", "--html", "/"], "--html /: no file can be written there"),
    ],
)
def test_wrong_use_is_one_sentence_and_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", *arguments]) == 2
    assert capsys.readouterr().err == f"claimline: {says}\n"


def test_wrong_contexts_are_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", "x.wav", "--contexts", "some"])
    assert ended.value.code == 2
    assert "'some' is no context" in capsys.readouterr().err
