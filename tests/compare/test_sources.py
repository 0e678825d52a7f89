"""Files become turns, and files that cannot are named in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.compare.sources import MAX_TURNS, read_turns
from service.errors import ClaimlineError
from tests.compare.wavs import silence, tone, write_wav


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100])
def test_a_turn_is_given_to_the_session_at_its_rate(tmp_path: Path, rate_hz: int) -> None:
    (turn,) = read_turns([write_wav(tmp_path / "a.wav", tone(500, rate_hz), rate_hz=rate_hz)])
    pcm = np.frombuffer(turn.pcm24k, "<i2").astype(np.int32)
    expected = tone(500, 24_000).astype(np.int32)
    assert turn.duration_ms == 500
    assert np.abs(pcm - expected)[480:-480].max() < 16
    assert turn.reference is None


def test_a_directory_is_read_by_name_and_unfinished_recordings_are_left(tmp_path: Path) -> None:
    for name in ("b.wav", "a.WAV", "c.part.wav", ".d.wav"):
        write_wav(tmp_path / name, tone(200))
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "b.txt").write_text("  What was\n said. ")
    assert [(turn.name, turn.reference) for turn in read_turns([tmp_path])] == [
        ("a.WAV", None),
        ("b.wav", "What was said."),
    ]


def test_files_keep_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    names = ["z.wav", "a.wav"]
    assert [turn.name for turn in read_turns([write_wav(tmp_path / name, tone(200)) for name in names])] == names


def recording(path: Path) -> Path:
    left = np.concatenate((silence(2000), tone(1000), silence(3000), tone(600), silence(1000)))
    right = np.concatenate((tone(1500), silence(6100)))
    return write_wav(path, left, right)


def test_a_recorded_call_is_cut_into_the_callers_turns(tmp_path: Path) -> None:
    turns = read_turns([recording(tmp_path / "call.wav")])
    assert [(turn.name, turn.duration_ms) for turn in turns] == [("call.wav 0:01.7", 1600), ("call.wav 0:05.7", 1200)]
    loud = np.abs(np.frombuffer(turns[0].pcm24k, "<i2").astype(np.int32)) > 1000
    assert 290 < np.flatnonzero(loud)[0] / 24 < 310, "the caller's side, not the agent's"


def test_a_recorded_call_has_a_line_of_reference_for_each_turn(tmp_path: Path) -> None:
    path = recording(tmp_path / "call.wav")
    path.with_suffix(".txt").write_text("first\n\nsecond\n")
    assert [turn.reference for turn in read_turns([path])] == ["first", "second"]
    path.with_suffix(".txt").write_text("first\n")
    with pytest.raises(ClaimlineError, match=r"call\.wav \(2 turns were found, but call\.txt has 1 lines"):
        read_turns([path])


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    text = folder / "text.wav"
    text.write_text("not audio at all")
    latin = write_wav(folder / "latin.wav", tone(200))
    latin.with_suffix(".txt").write_bytes("Müller".encode("latin-1"))
    long = write_wav(folder / "long.wav", np.zeros(8_000 * 301, np.int16))
    return {
        "missing": (folder / "missing.wav", "there is no such file"),
        "text": (text, "no PCM WAV file"),
        "rate": (write_wav(folder / "rate.wav", tone(200), rate_hz=11_025), "11025 samples a second"),
        "three": (write_wav(folder / "three.wav", tone(200), tone(200), tone(200)), "16 bits, 3 channels"),
        "short": (write_wav(folder / "short.wav", tone(40)), "0.04 s of audio; a turn needs 0.1 s"),
        "long": (long, "a turn of 301 s"),
        "mute": (write_wav(folder / "mute.wav", silence(900), tone(900)), "nobody speaks on its left channel"),
        "latin": (latin, "latin.txt is no UTF-8 text"),
        "empty": (write_wav(folder / "empty.wav", silence(0)), "0.00 s of audio"),
    }


@pytest.mark.parametrize("name", ["missing", "text", "rate", "three", "short", "long", "mute", "latin", "empty"])
def test_a_bad_file_is_named_with_its_reason(tmp_path: Path, name: str) -> None:
    path, why = bad_files(tmp_path)[name]
    with pytest.raises(ClaimlineError) as raised:
        read_turns([write_wav(tmp_path / "good.wav", tone(200)), path])
    assert str(raised.value).startswith(f"cannot use {path} ({why}")
    assert "good.wav" not in str(raised.value)


def test_all_bad_files_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ClaimlineError, match=r"a\.wav \(.*\), .*b\.wav \(.*\), .*c\.wav \(.*\) and 2 more$"):
        read_turns([tmp_path / f"{name}.wav" for name in "abcde"])


def test_an_empty_directory_and_too_many_turns_are_told(tmp_path: Path) -> None:
    with pytest.raises(ClaimlineError, match="there are no WAV files in"):
        read_turns([tmp_path])
    with pytest.raises(ClaimlineError, match=f"more than {MAX_TURNS} turns"):
        read_turns([write_wav(tmp_path / "a.wav", tone(100))] * (MAX_TURNS + 1))
