"""The audio port of a leg. Its callbacks run on PJSIP's clock thread: they copy, hand over, and wake the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

from service.media.ring import FRAME_MS, LINE_FRAME_BYTES, LINE_RATE_HZ, SILENCE, AudioHandover
from sip.frames import FrameCopy

STALL_S = 0.06
"""Three ticks late: the process, or its machine, stood still."""
YIELD_S = 0.005


class ClockPace:
    """Notices that the clock thread stood still; one for all ports.

    The clock makes up its missed ticks at once. Without a rest before them they find an empty jitter buffer, and what
    arrived meanwhile, once PJSIP's media thread has read it, stays in the buffer as delay.
    """

    def __init__(self) -> None:
        self._last_s = 0.0

    def beat(self) -> None:
        """A callback begins. After a stall, let the media thread read the packets that have piled up."""
        now_s = time.monotonic()
        if now_s - self._last_s > STALL_S:
            time.sleep(YIELD_S)  # gives up the interpreter lock as well
        self._last_s = now_s


class LinePort(pj.AudioMediaPort):  # type: ignore[misc]
    """PCM16 mono 8 kHz, 20 ms. Made once per PJSIP slot and lent to one leg after the other.

    Ports are never destroyed while the clock runs: the clock thread may be inside a callback.
    """

    def __init__(self, copy: FrameCopy, pace: ClockPace, name: str) -> None:
        super().__init__()
        self._copy = copy
        self._pace = pace
        self._audio: AudioHandover | None = None
        self._wake: Callable[[], None] = _nobody
        self.errors = 0
        """Exceptions that a callback swallowed; an exception would end the process."""
        line = pj.MediaFormatAudio()
        line.type = pj.PJMEDIA_TYPE_AUDIO
        line.clockRate = LINE_RATE_HZ
        line.channelCount = 1
        line.bitsPerSample = 16
        line.frameTimeUsec = FRAME_MS * 1000
        line.avgBps = line.maxBps = LINE_RATE_HZ * 16
        self.createPort(name, line)

    def lend(self, audio: AudioHandover, wake: Callable[[], None]) -> None:
        """Carry the audio of a leg; `wake` is called on the clock thread after each frame from the caller."""
        self._wake = wake
        self._audio = audio

    def give_back(self) -> None:
        """Belong to nobody: silence out, nothing in."""
        self._audio = None
        self._wake = _nobody

    def onFrameRequested(self, frame: Any) -> None:  # noqa: N802
        """PJSIP wants 20 ms for the caller."""
        try:
            self._pace.beat()
            audio = self._audio
            pcm = SILENCE if audio is None else audio.take_downlink(time.monotonic())
            self._copy.write(frame, pcm if len(pcm) == LINE_FRAME_BYTES else SILENCE)
        except BaseException:  # noqa: BLE001
            self.errors += 1

    def onFrameReceived(self, frame: Any) -> None:  # noqa: N802
        """PJSIP has 20 ms from the caller; a frame without audio (nothing has come) stands for silence."""
        try:
            self._pace.beat()
            audio = self._audio
            if audio is None:
                return
            pcm = self._copy.read(frame)
            audio.put_uplink(pcm if len(pcm) == LINE_FRAME_BYTES else SILENCE, time.monotonic())
            self._wake()
        except BaseException:  # noqa: BLE001
            self.errors += 1


def _nobody() -> None:
    """Wake nobody."""
