"""A WAV file that grows and can be read at every moment: audio first, then the sizes in its header.

Gaps are holes of the file, which read as silence. The file is called `….part.wav` until it is closed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path, PurePath

from service.media.ring import FRAME_MS, LINE_RATE_HZ
from service.recording.stereo import CHANNELS, STEREO_FRAME_BYTES, Stretch

HEADER_BYTES = 44
BYTES_PER_S = STEREO_FRAME_BYTES * 1000 // FRAME_MS
_SAMPLE_BYTES = 2
_PCM = 1
_MAX_U32 = 0xFFFF_FFFF


def header(data_bytes: int) -> bytes:
    """RIFF/WAVE header (44 bytes) of stereo PCM16 8 kHz; a size beyond 4 GiB is written as the most it can say."""
    block_bytes = CHANNELS * _SAMPLE_BYTES
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        min(HEADER_BYTES - 8 + data_bytes, _MAX_U32),
        b"WAVE",
        b"fmt ",
        16,
        _PCM,
        CHANNELS,
        LINE_RATE_HZ,
        BYTES_PER_S,
        block_bytes,
        8 * _SAMPLE_BYTES,
        b"data",
        min(data_bytes, _MAX_U32),
    )


def unfinished(name: str) -> str:
    """What the file that is to be called `name` is called while it grows."""
    path = PurePath(name)
    return path.with_suffix(f".part{path.suffix}").name


class GrowingWav:
    """One file, for its owner only. Every method may raise `OSError`, and blocks for as long as the disk does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(unfinished(path.name))
        self._data_bytes = 0
        self._file = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._put(0, header(0))
        except OSError:
            os.close(self._file)
            self._part.unlink()
            raise

    def write(self, stretches: Sequence[Stretch]) -> None:
        """Put stretches where their ticks say."""
        if not stretches:
            return
        for stretch in stretches:
            begin = stretch.tick * STEREO_FRAME_BYTES
            self._put(HEADER_BYTES + begin, stretch.pcm)
            self._data_bytes = max(self._data_bytes, begin + len(stretch.pcm))
        self._put(0, header(self._data_bytes))

    def close(self) -> None:
        """Give the file its final name, once the disk has it."""
        try:
            os.fsync(self._file)
        finally:
            os.close(self._file)
            self._part.rename(self._path)

    def _put(self, offset: int, content: bytes) -> None:
        left = memoryview(content)
        while left:
            written = os.pwrite(self._file, left, offset)
            left, offset = left[written:], offset + written
