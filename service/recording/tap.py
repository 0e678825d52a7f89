"""Taps a call's line on PJSIP's clock thread: every frame with the number of the tick that it belongs to.

PJSIP's bridge asks for all frames of a tick before it gives any. A frame from the caller that follows no played one is
therefore of a tick in which nothing was played (as on hold), and two played ones in a row are of two ticks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from service.media.ring import FRAME_MS

BACKLOG_FRAMES = 2 * 10_000 // FRAME_MS
"""Ten seconds both ways: what a slow disk may be behind before frames are dropped."""
MADE_UP_S = 0.53
"""After a longer stop PJSIP's clock skips what it missed (MAX_JUMP_MSEC of pjmedia/clock_thread.c, and a tick)."""


class Side(IntEnum):
    """Channel of the recording."""

    CALLER = 0
    AGENT = 1


@dataclass(frozen=True, slots=True)
class TappedFrame:
    """20 ms of one side: PCM16 mono 8 kHz (320 bytes), and its tick, counted from 0."""

    tick: int
    side: Side
    pcm: bytes


class FrameTap:
    """A `service.media.ring.Tap`. Tick n began n x 20 ms after `begun_s` (monotonic), but for a stall of the clock.

    `played` and `received` belong to the clock thread, `take` to one other.
    """

    def __init__(self, begun_s: float) -> None:
        self._begun_s = begun_s
        self._last_s = begun_s
        self._tick = -1
        self._received = True
        self._frames: deque[TappedFrame] = deque()
        self.dropped = 0
        """Frames that nobody took in time; the numbers of the others stay right."""

    def played(self, pcm: bytes, at_s: float) -> None:
        """20 ms for the caller: a tick begins."""
        self._begin_tick(at_s)
        self._put(Side.AGENT, pcm)

    def received(self, pcm: bytes, at_s: float) -> None:
        """20 ms from the caller."""
        if self._received or at_s - self._last_s > MADE_UP_S:
            self._begin_tick(at_s)
        self._received = True
        self._put(Side.CALLER, pcm)

    def take(self) -> list[TappedFrame]:
        """What has come since the last time, in order."""
        frames = self._frames
        return [frames.popleft() for _ in range(len(frames))]

    def _begin_tick(self, at_s: float) -> None:
        self._tick += 1
        if at_s - self._last_s > MADE_UP_S:
            self._tick = max(self._tick, round((at_s - self._begun_s) * 1000 / FRAME_MS))
        self._last_s = at_s
        self._received = False

    def _put(self, side: Side, pcm: bytes) -> None:
        if len(self._frames) >= BACKLOG_FRAMES:
            self.dropped += 1
        else:
            self._frames.append(TappedFrame(self._tick, side, pcm))
