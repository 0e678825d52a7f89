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


class LinePort(pj.AudioMediaPort):  # type: ignore[misc]
    """PCM16 mono 8 kHz, 20 ms. Made once per PJSIP slot and lent to one leg after the other.

    Ports are never destroyed while the clock runs: the clock thread may be inside a callback.
    """

    def __init__(self, copy: FrameCopy, name: str) -> None:
        super().__init__()
        self._copy = copy
        self._audio: AudioHandover | None = None
        self._wake: Callable[[], None] = _nobody
        self._last_s = 0.0
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
        self._last_s = 0.0
        self._audio = audio

    def give_back(self) -> None:
        """Belong to nobody: silence out, nothing in."""
        self._audio = None
        self._wake = _nobody

    def onFrameRequested(self, frame: Any) -> None:  # noqa: N802
        """PJSIP wants 20 ms for the caller."""
        try:
            self._catch_up()
            audio = self._audio
            pcm = SILENCE if audio is None else audio.take_downlink(time.monotonic())
            self._copy.write(frame, pcm if len(pcm) == LINE_FRAME_BYTES else SILENCE)
        except BaseException:  # noqa: BLE001
            self.errors += 1

    def _catch_up(self) -> None:
        """After the process stood still, let PJSIP's media thread read the packets that have piled up.

        The clock makes up its missed ticks at once; without this they find an empty jitter buffer, and what arrived
        meanwhile stays in it as delay for the rest of the call.
        """
        now_s = time.monotonic()
        if now_s - self._last_s > STALL_S and self._last_s:
            time.sleep(YIELD_S)
        self._last_s = now_s

    def onFrameReceived(self, frame: Any) -> None:  # noqa: N802
        """PJSIP has 20 ms from the caller; a frame without audio (nothing has come) stands for silence."""
        try:
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
