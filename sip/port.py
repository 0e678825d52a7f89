"""The audio port of a leg. Its callbacks run on PJSIP's clock thread: they copy and hand over."""

from __future__ import annotations

from typing import Any

import pjsua2 as pj

from service.media.ring import FRAME_MS, LINE_FRAME_BYTES, LINE_RATE_HZ, SILENCE, AudioHandover
from sip.clock import BridgeClock
from sip.frames import FrameCopy


class LinePort(pj.AudioMediaPort):  # type: ignore[misc]
    """PCM16 mono 8 kHz, 20 ms. Made once per PJSIP slot and lent to one leg after the other.

    Ports are never destroyed while the clock runs: the clock thread may be inside a callback.
    """

    def __init__(self, copy: FrameCopy, clock: BridgeClock, name: str, *, is_last: bool) -> None:
        super().__init__()
        self._copy = copy
        self._clock = clock
        self._is_last = is_last
        self._audio: AudioHandover | None = None
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

    def lend(self, audio: AudioHandover) -> None:
        """Carry the audio of a leg."""
        self._audio = audio

    def give_back(self) -> None:
        """Belong to nobody: silence out, nothing in."""
        self._audio = None

    def onFrameRequested(self, frame: Any) -> None:  # noqa: N802
        """PJSIP wants 20 ms for the caller."""
        try:
            now_s = self._clock.beat()
            audio = self._audio
            pcm = SILENCE if audio is None else audio.take_downlink(now_s)
            self._copy.write(frame, pcm if len(pcm) == LINE_FRAME_BYTES else SILENCE)
        except BaseException:  # noqa: BLE001
            self.errors += 1

    def onFrameReceived(self, frame: Any) -> None:  # noqa: N802
        """PJSIP has 20 ms from the caller; a frame without audio (nothing has come) stands for silence."""
        try:
            now_s = self._clock.beat()
            audio = self._audio
            if audio is not None:
                pcm = self._copy.read(frame)
                audio.put_uplink(pcm if len(pcm) == LINE_FRAME_BYTES else SILENCE, now_s)
                self._clock.heard()
            if self._is_last:
                self._clock.end_of_tick()
        except BaseException:  # noqa: BLE001
            self.errors += 1
