"""WAV files → caller turns: one in each mono file, or cut out of the left side of a recorded call."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.compare.cutting import speech_stretches
from service.errors import ClaimlineError
from service.media.resample import HIGH_HZ, Pcm, resample

RATES_HZ = (8_000, 16_000, 24_000, 44_100, 48_000)
MAX_FILE_S = 4 * 3600
MAX_TURN_S = 300.0
MIN_TURN_S = 0.1
"""The protocol refuses to commit less."""
MAX_TURNS = 200
"""Of one run: every turn is paid for several times, and a session ends after an hour."""
MAX_REFERENCE_BYTES = 64 * 1024
MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """One caller turn: PCM16 mono 24 kHz, and what was said where a text file tells."""

    name: str
    pcm24k: bytes
    reference: str | None

    @property
    def duration_ms(self) -> int:
        """Of the audio."""
        return len(self.pcm24k) * 1000 // (2 * HIGH_HZ)


class _UnusableError(Exception):
    """Why a file cannot be used, without its name."""


def read_turns(paths: Sequence[Path]) -> list[RecordedTurn]:
    """The turns of all files, in order; those of a directory by name.

    Raises `ClaimlineError` that names every file it cannot use and why.
    """
    turns: list[RecordedTurn] = []
    unusable: list[str] = []
    for path in _files(paths):
        try:
            turns.extend(_turns_of(path))
        except _UnusableError as why:
            unusable.append(f"{path} ({why})")
        if len(turns) > MAX_TURNS:
            raise ClaimlineError(f"{path} makes more than {MAX_TURNS} turns; compare fewer files at a time")
    if unusable:
        more = f" and {len(unusable) - MAX_NAMED} more" if len(unusable) > MAX_NAMED else ""
        raise ClaimlineError(f"cannot use {', '.join(unusable[:MAX_NAMED])}{more}")
    return turns


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        # A recording that is still being written is called `….part.wav`.
        found = sorted(
            one
            for one in path.iterdir()
            if one.suffix.lower() == ".wav" and not one.name.startswith(".") and ".part" not in one.suffixes
        )
        if not found:
            raise ClaimlineError(f"there are no WAV files in {path}")
        files.extend(found)
    return files


def _turns_of(path: Path) -> list[RecordedTurn]:
    samples, rate_hz = _read(path)
    if samples.shape[1] == 1:
        stretches, names = [(0, len(samples))], [path.name]
    else:
        stretches = speech_stretches(samples[:, 0], rate_hz)
        if not stretches:
            raise _UnusableError("nobody speaks on its left channel, where the caller should be")
        names = [f"{path.name} {_clock(begin / rate_hz)}" for begin, _ in stretches]
    references = _references(path.with_suffix(".txt"), len(stretches))
    return [
        RecordedTurn(name, _session_audio(samples[begin:end, 0], rate_hz), reference)
        for name, (begin, end), reference in zip(names, stretches, references, strict=True)
    ]


def _read(path: Path) -> tuple[NDArray[np.int16], int]:
    """Samples (n, channels) and their rate."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate_hz = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if width != 2 or channels not in {1, 2}:
                raise _UnusableError(f"{8 * width} bits, {channels} channels; it must be 16 bits, mono or stereo")
            if rate_hz not in RATES_HZ:
                allowed = ", ".join(f"{rate / 1000:g}" for rate in RATES_HZ)
                raise _UnusableError(f"{rate_hz} samples a second; it must be {allowed} kHz")
            if file.getnframes() > MAX_FILE_S * rate_hz:
                raise _UnusableError(f"longer than {MAX_FILE_S // 3600} hours")
            data = file.readframes(file.getnframes())
    except FileNotFoundError:
        raise _UnusableError("there is no such file") from None
    except OSError as error:
        raise _UnusableError(error.strerror or "cannot be read") from None
    except (wave.Error, EOFError):
        raise _UnusableError("no PCM WAV file") from None
    whole = len(data) // (2 * channels) * 2 * channels
    return np.frombuffer(data[:whole], "<i2").astype(np.int16).reshape(-1, channels), rate_hz


def _session_audio(pcm: Pcm, rate_hz: int) -> bytes:
    duration_s = pcm.size / rate_hz
    if duration_s < MIN_TURN_S:
        raise _UnusableError(f"{duration_s:.2f} s of audio; a turn needs {MIN_TURN_S:g} s")
    if duration_s > MAX_TURN_S:
        raise _UnusableError(f"a turn of {duration_s:.0f} s; cut it into turns of at most {MAX_TURN_S:.0f} s")
    return resample(np.ascontiguousarray(pcm), rate_hz, HIGH_HZ).astype("<i2").tobytes()


def _references(path: Path, turns: int) -> list[str | None]:
    """What was said in each turn; a file of several turns has a line for each."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_REFERENCE_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return [None] * turns
    except UnicodeDecodeError:
        raise _UnusableError(f"{path.name} is no UTF-8 text") from None
    except OSError as error:
        raise _UnusableError(f"{path.name}: {error.strerror}") from None
    if turns == 1:
        return [" ".join(text.split())]
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if len(lines) != turns:
        raise _UnusableError(f"{turns} turns were found, but {path.name} has {len(lines)} lines; write one for each")
    return list(lines)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"
