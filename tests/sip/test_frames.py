"""Copies to and from PJSIP's frames: the fast way and the slow way are one."""

from __future__ import annotations

from typing import Any

import pjsua2 as pj
import pytest

from service.media.ring import LINE_FRAME_BYTES
from sip import frames
from sip.frames import MemoryCopy, SlowCopy, fastest_copy

PCM = bytes((31 * i + 5) % 256 for i in range(LINE_FRAME_BYTES))


def a_frame(kind: int = pj.PJMEDIA_FRAME_TYPE_AUDIO, payload: bytes = PCM) -> Any:
    frame = pj.MediaFrame()
    frame.type = kind
    frame.buf = pj.ByteVector(payload)
    frame.size = len(payload)
    return frame


@pytest.mark.parametrize("way", [SlowCopy, MemoryCopy])
def test_what_is_written_is_what_is_read(way: type[SlowCopy] | type[MemoryCopy]) -> None:
    copy = way()
    assert copy.read(a_frame()) == PCM
    assert copy.read(a_frame(payload=PCM * 3)) == PCM * 3
    assert copy.read(a_frame(pj.PJMEDIA_FRAME_TYPE_NONE)) == b""
    assert copy.read(a_frame(payload=b"")) == b""
    frame = a_frame(pj.PJMEDIA_FRAME_TYPE_NONE, b"")
    for pcm in (PCM, PCM[::-1]):
        copy.write(frame, pcm)
        assert bytes(frame.buf) == pcm
        assert (frame.type, frame.size) == (pj.PJMEDIA_FRAME_TYPE_AUDIO, LINE_FRAME_BYTES)


def test_the_fast_way_is_taken_only_where_its_layout_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fastest_copy() is MemoryCopy
    monkeypatch.setattr(frames, "_span", lambda vector: (0, LINE_FRAME_BYTES))
    assert fastest_copy() is SlowCopy
