"""Copies between PJSIP's media frames and bytes, fast enough for its clock thread.

SWIG walks a `std::vector<unsigned char>` element by element: 126 µs for 320 bytes. Reading its memory takes 1-2 µs. The
layout (first two words: begin, end) is proved at start-up; where the proof fails, the slow way is used.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

import pjsua2 as pj

from service.media.ring import LINE_FRAME_BYTES

_MAX_FRAME_BYTES = 16 * LINE_FRAME_BYTES
_AUDIO = pj.PJMEDIA_FRAME_TYPE_AUDIO


class FrameCopy(Protocol):
    """One way of copying; an object belongs to one port, its buffer is reused."""

    def read(self, frame: Any) -> bytes:
        """PCM16 of a received frame; empty where the frame carries no audio."""

    def write(self, frame: Any, pcm: bytes) -> None:
        """Make `frame` carry `pcm` (320 bytes)."""


class SlowCopy:
    """By SWIG alone."""

    def read(self, frame: Any) -> bytes:
        """See `FrameCopy`."""
        return bytes(frame.buf) if frame.type == _AUDIO else b""

    def write(self, frame: Any, pcm: bytes) -> None:
        """See `FrameCopy`."""
        frame.buf = pj.ByteVector(pcm)
        frame.size = len(pcm)
        frame.type = _AUDIO


class MethodCopy:
    """By the methods of newer PJSIP (`copy_to_bytearray`, `assign_from_bytes`)."""

    def __init__(self) -> None:
        self._read = bytearray(LINE_FRAME_BYTES)
        self._vector = pj.ByteVector()

    def read(self, frame: Any) -> bytes:
        """See `FrameCopy`."""
        if frame.type != _AUDIO:
            return b""
        vector = frame.buf
        if vector.size() != len(self._read):
            return bytes(vector)
        vector.copy_to_bytearray(self._read)
        return bytes(self._read)

    def write(self, frame: Any, pcm: bytes) -> None:
        """See `FrameCopy`."""
        self._vector.assign_from_bytes(pcm)
        frame.buf = self._vector
        frame.size = len(pcm)
        frame.type = _AUDIO


class MemoryCopy:
    """By the vector's memory."""

    def __init__(self) -> None:
        self._vector = pj.ByteVector(bytes(LINE_FRAME_BYTES))
        self._begin, _ = _span(self._vector)

    def read(self, frame: Any) -> bytes:
        """See `FrameCopy`."""
        if frame.type != _AUDIO:
            return b""
        vector = frame.buf
        begin, size = _span(vector)
        return ctypes.string_at(begin, size) if 0 < size <= _MAX_FRAME_BYTES else b""

    def write(self, frame: Any, pcm: bytes) -> None:
        """See `FrameCopy`."""
        ctypes.memmove(self._begin, pcm, LINE_FRAME_BYTES)
        frame.buf = self._vector
        frame.size = LINE_FRAME_BYTES
        frame.type = _AUDIO


def fastest_copy() -> type[MemoryCopy] | type[MethodCopy] | type[SlowCopy]:
    """The fastest way that works with this build of pjsua2."""
    if hasattr(pj.ByteVector, "copy_to_bytearray") and hasattr(pj.ByteVector, "assign_from_bytes"):
        return MethodCopy
    return MemoryCopy if layout_is_proved() else SlowCopy


def layout_is_proved() -> bool:
    """Write a pattern one way and read it back the other, both ways round."""
    pattern = bytes((7 * i + 3) % 256 for i in range(LINE_FRAME_BYTES))
    vector = pj.ByteVector(pattern)
    try:
        begin, size = _span(vector)
    except (TypeError, ValueError, AttributeError):
        return False
    if not begin or size != LINE_FRAME_BYTES or ctypes.string_at(begin, size) != pattern:
        return False
    ctypes.memmove(begin, pattern[::-1], LINE_FRAME_BYTES)
    return bytes(vector) == pattern[::-1]


def _span(vector: Any) -> tuple[int, int]:
    """Address of the first element and number of bytes."""
    words = (ctypes.c_size_t * 2).from_address(int(vector.this))
    return words[0], words[1] - words[0]
