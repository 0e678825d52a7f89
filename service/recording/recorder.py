"""Records one call: a thread of its own writes what the tap has gathered, so that no disk ever delays audio."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from service.errors import ConfigError
from service.media.ring import AudioHandover
from service.recording.stereo import Stereo
from service.recording.tap import FrameTap
from service.recording.wav import GrowingWav

FLUSH_S = 1.0
"""What a killed process may lose."""
CLOSE_TIMEOUT_S = 3.0
"""How long the end of a call waits for the disk."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a recording: the file's name (None: there is none), and whether all of the call is in it."""

    file: str | None
    complete: bool


class Recorder:
    """Writes `CALL_ID.wav` from now until `finish`. Belongs to the loop.

    A disk that fails ends the recording, one that is ten seconds behind leaves gaps of silence; neither touches the
    call. The thread is a daemon: a disk that never answers does not keep the process from ending.
    """

    def __init__(
        self,
        directory: Path,
        call_id: str,
        audio: AudioHandover,
        now_s: float,
        open_wav: Callable[[Path], GrowingWav] = GrowingWav,
    ) -> None:
        self.file = f"{call_id}.wav"
        self._path = directory / self.file
        self._audio = audio
        self._open_wav = open_wav
        self._tap = FrameTap(now_s)
        self._opened = self._whole = False
        self._finishing = threading.Event()
        self._written = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._log = structlog.get_logger().bind(call_id=call_id)
        audio.tap = self._tap
        threading.Thread(target=self._run, name=f"record-{call_id}", daemon=True).start()

    async def finish(self) -> Recorded:
        """Record no more, and wait for the disk, but not for long."""
        self._audio.tap = None
        self._finishing.set()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._written.wait()
        except TimeoutError:
            self._log.error("recording_unfinished", problem=f"the disk took longer than {CLOSE_TIMEOUT_S:g} s")
        if self._whole and self._tap.dropped:
            self._log.error("recording_has_gaps", frames_dropped=self._tap.dropped)
        return Recorded(self.file if self._opened else None, self._whole and not self._tap.dropped)

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._record()
            self._whole = True
        except OSError as error:
            self._log.error("recording_stopped", problem=str(error))
        finally:
            self._audio.tap = None
            with contextlib.suppress(RuntimeError):  # The loop may be closed: nobody is left to be told.
                self._loop.call_soon_threadsafe(self._written.set)

    def _record(self) -> None:
        wav, stereo = self._open_wav(self._path), Stereo()
        self._opened = True
        try:
            while not self._finishing.wait(FLUSH_S):
                wav.write(stereo.add(self._tap.take()))
            wav.write([*stereo.add(self._tap.take()), *stereo.finish()])
        finally:
            wav.close()


def check_directory(directory: Path) -> None:
    """Make sure that recordings can be written, by writing. Raises `ConfigError` naming the setting."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise ConfigError(f"recording.directory: cannot write to {directory}: {error.strerror}") from None
