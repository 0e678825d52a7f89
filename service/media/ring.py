"""The hand-over between PJSIP's clock thread and the asyncio loop: two bounded rings of 20 ms frames.

The clock thread calls only `put_uplink` and `take_downlink`; both copy a reference and return. Everything else belongs
to the loop. `collections.deque` appends and pops are atomic under the interpreter lock. One lock is held for two such
steps, so that a frame is either played or taken back, never in between; neither side computes or waits under it.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar

FRAME_MS = 20
LINE_RATE_HZ = 8000
LINE_FRAME_SAMPLES = LINE_RATE_HZ * FRAME_MS // 1000
LINE_FRAME_BYTES = 2 * LINE_FRAME_SAMPLES
T = TypeVar("T")

SILENCE = bytes(LINE_FRAME_BYTES)

FADE_SAMPLES = 40
"""5 ms: short enough to be called at once, long enough not to click."""

UPLINK_FRAMES = 50
"""One second: what the loop may be late before the oldest audio is dropped and counted."""
DOWNLINK_FRAMES = 2
"""A flush can only take back what the clock thread has not copied out; so little lies ahead of it."""


@dataclass(frozen=True, slots=True)
class UplinkFrame:
    """20 ms from the caller: PCM16 mono 8 kHz (160 samples, 320 bytes) and its arrival on the monotonic clock."""

    pcm: bytes
    arrived_s: float
    played: bytes = SILENCE
    """What the caller was sent in the same tick (320 bytes)."""


@dataclass(frozen=True, slots=True)
class DownlinkFrame:
    """20 ms for the caller: PCM16 mono 8 kHz (320 bytes).

    `item_id` names the conversation item it carries (empty: none) and `item_ms` how much of that item lies in it;
    a frame that is played advances the item's heard time by `item_ms`.
    """

    pcm: bytes
    item_id: str = ""
    item_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class PlayedFrame:
    """A frame that the clock thread has copied out, and when (monotonic seconds)."""

    frame: DownlinkFrame
    played_s: float


class Tap(Protocol):
    """Is told on the clock thread what the line carries, 320 bytes at a time; may keep a reference and nothing else."""

    def played(self, pcm: bytes, at_s: float) -> None:
        """Copied out to the caller, silence included."""

    def received(self, pcm: bytes, at_s: float) -> None:
        """Came from the caller."""


class AudioHandover:
    """Two rings and what became of the frames in them."""

    def __init__(self) -> None:
        self._uplink: deque[UplinkFrame] = deque()
        self._downlink: deque[DownlinkFrame] = deque()
        self._played: deque[PlayedFrame] = deque(maxlen=500)
        self._taking = Lock()
        self._last_sample = 0
        self._taken = SILENCE
        self.uplink_dropped = 0
        """Frames from the caller that the loop came too late for."""
        self.silent_frames = 0
        """Times the clock thread found nothing to play."""
        self.tap: Tap | None = None
        """Who listens in on the clock thread."""

    # -- the clock thread ------------------------------------------------------------------------------------------

    def put_uplink(self, pcm: bytes, arrived_s: float) -> None:
        """Hand one frame from the caller to the loop, dropping the oldest where the loop is a second late.

        PJSIP's bridge asks for what is to be played before it gives what was heard in the same tick.
        """
        if len(self._uplink) >= UPLINK_FRAMES:
            try:
                self._uplink.popleft()
                self.uplink_dropped += 1
            except IndexError:
                pass
        self._uplink.append(UplinkFrame(pcm, arrived_s, self._taken))
        self._taken = SILENCE
        tap = self.tap
        if tap is not None:
            tap.received(pcm, arrived_s)

    def take_downlink(self, now_s: float) -> bytes:
        """The next 320 bytes to play; where the loop has put nothing, silence, into which the last frame is faded."""
        pcm = self._next_downlink(now_s)
        tap = self.tap
        if tap is not None:
            tap.played(pcm, now_s)
        return pcm

    def _next_downlink(self, now_s: float) -> bytes:
        with self._taking:
            if self._downlink:
                frame = self._downlink.popleft()
                self._played.append(PlayedFrame(frame, now_s))
                self._last_sample = int.from_bytes(frame.pcm[-2:], "little", signed=True)
                self._taken = frame.pcm
                return frame.pcm
        self.silent_frames += 1
        last_sample, self._last_sample = self._last_sample, 0
        self._taken = _run_down(last_sample) if last_sample else SILENCE
        return self._taken

    # -- the loop --------------------------------------------------------------------------------------------------

    def take_uplink(self) -> list[UplinkFrame]:
        """All frames that have come from the caller, oldest first."""
        return _drain(self._uplink)

    def take_played(self) -> list[PlayedFrame]:
        """The frames copied out since the last call, oldest first."""
        return _drain(self._played)

    @property
    def room(self) -> int:
        """How many frames may be put into the downlink now."""
        return max(0, DOWNLINK_FRAMES - len(self._downlink))

    @property
    def waiting(self) -> int:
        """Frames in the downlink that the clock thread has not taken yet."""
        return len(self._downlink)

    def put_downlink(self, frame: DownlinkFrame) -> None:
        """Queue one frame for the caller."""
        self._downlink.append(frame)

    def flush_downlink(self) -> list[DownlinkFrame]:
        """Take back what has not been played; what is not in it, `take_played` gives."""
        with self._taking:
            return _drain(self._downlink)


def _run_down(sample: int) -> bytes:
    """A frame of silence that begins at the level of the last sample, without a step."""
    levels = (sample * left // FADE_SAMPLES for left in range(FADE_SAMPLES - 1, -1, -1))
    return struct.pack(f"<{FADE_SAMPLES}h", *levels).ljust(LINE_FRAME_BYTES, b"\0")


def _drain(ring: deque[T]) -> list[T]:
    taken: list[T] = []
    while True:
        try:
            taken.append(ring.popleft())
        except IndexError:
            return taken
