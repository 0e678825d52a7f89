"""A recording can be opened whenever its process ends, and no disk is ever felt by the call."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from service.app import Worker
from service.config import Config, Recording
from service.errors import ConfigError
from service.media.ring import FRAME_MS, LINE_FRAME_SAMPLES, AudioHandover, DownlinkFrame
from service.recording import recorder
from service.recording.recorder import Recorded, Recorder, check_directory
from service.recording.stereo import STEREO_FRAME_BYTES, Stretch
from service.recording.tap import BACKLOG_FRAMES
from service.recording.wav import HEADER_BYTES, GrowingWav, header
from tests import peers

ROOT = Path(__file__).parents[2]
CALLER, AGENT = 1000, -2000
KILLED_AFTER_MS = 3000


def frame(value: int) -> bytes:
    return np.full(LINE_FRAME_SAMPLES, value, "<i2").tobytes()


def carry(audio: AudioHandover, ticks: int, begun_s: float = 0.0) -> None:
    """What PJSIP's clock thread does, at once."""
    for tick in range(ticks):
        now_s = begun_s + tick * FRAME_MS / 1000
        audio.put_downlink(DownlinkFrame(frame(AGENT)))
        audio.take_downlink(now_s)
        audio.put_uplink(frame(CALLER), now_s)
        audio.take_uplink()


def sides(path: Path) -> np.ndarray:
    """(n, 2), as Python's own reader finds them."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def by_sox(path: Path) -> list[str]:
    """Channels, rate and samples, as sox finds them."""
    return [
        subprocess.run(["soxi", flag, path], check=True, capture_output=True, text=True).stdout.strip()
        for flag in ("-c", "-r", "-s")
    ]


async def test_the_left_side_is_the_caller_and_the_right_the_agent(tmp_path: Path) -> None:
    audio = AudioHandover()
    recording = Recorder(tmp_path, "call_1", audio, 0.0)
    carry(audio, 60)
    assert await recording.finish() == Recorded("call_1.wav", complete=True)
    assert names(tmp_path) == ["call_1.wav"]
    heard = sides(tmp_path / "call_1.wav")
    assert len(heard) == 60 * LINE_FRAME_SAMPLES
    assert (heard == (CALLER, AGENT)).all()
    assert (tmp_path / "call_1.wav").stat().st_mode & 0o777 == 0o600
    assert audio.tap is None


async def test_a_gap_is_silence_and_takes_no_room_on_the_disk(tmp_path: Path) -> None:
    audio = AudioHandover()
    recording = Recorder(tmp_path, "call_1", audio, 0.0)
    carry(audio, 10)
    carry(audio, 10, begun_s=300.0)
    assert (await recording.finish()).complete
    path = tmp_path / "call_1.wav"
    heard = sides(path)
    assert len(heard) == (300_000 // FRAME_MS + 10) * LINE_FRAME_SAMPLES
    assert not heard[10 * LINE_FRAME_SAMPLES : -10 * LINE_FRAME_SAMPLES].any()
    assert (heard[-1] == (CALLER, AGENT)).all()
    assert path.stat().st_blocks * 512 < path.stat().st_size / 10


@pytest.mark.skipif(bool(peers.missing_peers()), reason=f"not installed: {peers.missing_peers()}")
def test_killed_in_the_middle_it_opens_and_has_what_was_flushed(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", f"from tests.recording.test_recorder import be_killed; be_killed({str(tmp_path)!r})"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    part = tmp_path / "call_1.part.wav"
    heard = sides(part)
    # The last tick is open until the next begins.
    assert len(heard) >= KILLED_AFTER_MS * 8 - LINE_FRAME_SAMPLES
    assert (heard == (CALLER, AGENT)).all()
    assert by_sox(part) == ["2", "8000", str(len(heard))]


def be_killed(directory: str) -> None:
    """In a process of its own: records, and dies without a word once the disk has it."""

    async def record() -> None:
        audio = AudioHandover()
        Recorder(Path(directory), "call_1", audio, 0.0)
        part = Path(directory, "call_1.part.wav")
        carry(audio, KILLED_AFTER_MS // FRAME_MS)
        wanted = HEADER_BYTES + KILLED_AFTER_MS * 32 - STEREO_FRAME_BYTES
        end_s = time.monotonic() + 10
        while written(part) < wanted:
            assert time.monotonic() < end_s
            await asyncio.sleep(0.01)
        carry(audio, 25, begun_s=KILLED_AFTER_MS / 1000)
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(record())


def written(path: Path) -> int:
    """Bytes of the file by its own header; 0 where there is none yet."""
    content = path.read_bytes()[:HEADER_BYTES] if path.exists() else b""
    return int.from_bytes(content[40:44], "little") + HEADER_BYTES if len(content) == HEADER_BYTES else 0


class FullDisk(GrowingWav):
    """Takes one write, then has no room."""

    def write(self, stretches: Sequence[Stretch]) -> None:
        super().write(stretches)
        if stretches:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Stuck:
    """A disk that does not answer until it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()

    def __call__(self, path: Path) -> GrowingWav:
        self.answers.wait(10)
        return GrowingWav(path)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- another thread brings it about
            await asyncio.sleep(0.01)


async def test_a_full_disk_ends_the_recording_and_keeps_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "FLUSH_S", 0.01)
    audio = AudioHandover()
    recording = Recorder(tmp_path, "call_1", audio, 0.0, open_wav=FullDisk)
    carry(audio, 50)
    await until(lambda: audio.tap is None)
    carry(audio, 50)
    assert audio.silent_frames == audio.uplink_dropped == 0
    assert await recording.finish() == Recorded("call_1.wav", complete=False)
    assert len(sides(tmp_path / "call_1.wav")) >= 49 * LINE_FRAME_SAMPLES


async def test_a_directory_that_has_gone_leaves_no_recording_and_no_tap(tmp_path: Path) -> None:
    audio = AudioHandover()
    recording = Recorder(tmp_path / "gone", "call_1", audio, 0.0)
    await until(lambda: audio.tap is None)
    assert await recording.finish() == Recorded(None, complete=False)


async def test_a_disk_that_does_not_answer_costs_bounded_memory_and_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "CLOSE_TIMEOUT_S", 0.05)
    audio, disk = AudioHandover(), Stuck()
    recording = Recorder(tmp_path, "call_1", audio, 0.0, open_wav=disk)
    carry(audio, 2 * BACKLOG_FRAMES)
    assert await recording.finish() == Recorded(None, complete=False)
    disk.answers.set()
    await until((tmp_path / "call_1.wav").exists)
    assert len(sides(tmp_path / "call_1.wav")) == BACKLOG_FRAMES // 2 * LINE_FRAME_SAMPLES


async def test_a_disk_that_was_slow_leaves_a_gap_and_says_so(tmp_path: Path) -> None:
    audio, disk = AudioHandover(), Stuck()
    recording = Recorder(tmp_path, "call_1", audio, 0.0, open_wav=disk)
    carry(audio, BACKLOG_FRAMES)
    disk.answers.set()
    assert await recording.finish() == Recorded("call_1.wav", complete=False)


def test_a_header_says_as_much_as_it_can_of_a_file_beyond_four_gigabytes() -> None:
    assert len(header(2**33)) == HEADER_BYTES
    assert header(2**33)[40:] == b"\xff\xff\xff\xff"


def test_a_directory_is_made_and_tried_before_the_first_call(tmp_path: Path) -> None:
    check_directory(tmp_path / "new" / "recordings")
    assert list((tmp_path / "new" / "recordings").iterdir()) == []


@pytest.mark.parametrize("name", ["a-file", "a-file/recordings"])
def test_a_directory_that_cannot_be_written_is_refused_by_the_settings_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(ConfigError, match=r"^recording\.directory: cannot write to .*a-file.*: \w.*$"):
        Worker(Config(recording=Recording(directory=tmp_path / name)))
