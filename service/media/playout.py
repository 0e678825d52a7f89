"""Playout: the agent's audio, faster than real time from the server, out to the line in 20 ms frames.

Deltas queue at 24 kHz and are resampled frame by frame; at most `DOWNLINK_FRAMES` lie in the ring, so that an
interruption takes back all but what the clock thread has copied out. `heard_ms` counts what was copied out. An item is
played from its first whole frame on: servers send faster than real time, so that gathering more only delays the answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.media.resample import Downsampler
from service.media.ring import FADE_SAMPLES, FRAME_MS, LINE_FRAME_SAMPLES, LINE_RATE_HZ, AudioHandover, DownlinkFrame

ENGINE_RATE_HZ = 24000
ENGINE_FRAME_SAMPLES = ENGINE_RATE_HZ * FRAME_MS // 1000
SAMPLES_PER_MS = ENGINE_RATE_HZ // 1000
FILTER_TAIL_SAMPLES = 96
"""At least the length of the downsampler's memory at 24 kHz, so that an item's last samples leave with it."""
QUEUE_LIMIT_S = 300
"""Audio of one item beyond this is refused: no spoken answer is that long, a broken server is."""

Pcm = NDArray[np.int16]


@dataclass(slots=True)
class _Item:
    """An agent item in the playout; sample counts are at 24 kHz."""

    item_id: str
    chunks: deque[Pcm] = field(default_factory=deque)
    queued_samples: int = 0
    received_samples: int = 0
    complete: bool = False
    started: bool = False

    def take(self, count: int) -> Pcm:
        parts: list[Pcm] = []
        wanted = count
        while wanted and self.chunks:
            head = self.chunks[0]
            if len(head) <= wanted:
                parts.append(self.chunks.popleft())
            else:
                parts.append(head[:wanted])
                self.chunks[0] = head[wanted:]
            wanted -= len(parts[-1])
        taken = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        self.queued_samples -= len(taken)
        return taken


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of an item the caller has heard."""

    item_id: str
    heard_ms: int
    received_ms: int
    complete: bool
    """Whether all its audio had come from the server."""

    @property
    def to_the_end(self) -> bool:
        """Whether nothing of it was left to hear."""
        return self.complete and self.heard_ms >= self.received_ms


class Playout:
    """Feeds the downlink ring and knows what was heard. Belongs to the loop; reads no clock."""

    def __init__(self, audio: AudioHandover) -> None:
        self._audio = audio
        self._down = Downsampler()
        self._items: deque[_Item] = deque()
        self._heard_ms: dict[str, float] = {}
        self._received: dict[str, _Item] = {}
        self._starved = False
        self._silent_frames = 0
        self.underruns = 0
        """Times an item ran dry while it was being spoken."""
        self.refused_samples = 0

    # -- from the server -------------------------------------------------------------------------------------------

    def add(self, item_id: str, pcm24k: bytes) -> None:
        """Queue audio of an item: PCM16 mono 24 kHz, any length; a trailing odd byte is dropped."""
        samples = np.frombuffer(pcm24k[: len(pcm24k) & ~1], dtype="<i2")
        item = self._received.get(item_id)
        if item is None:
            item = self._received[item_id] = _Item(item_id)
            self._items.append(item)
        if item.complete or item.queued_samples > QUEUE_LIMIT_S * ENGINE_RATE_HZ:
            self.refused_samples += len(samples)
            return
        item.chunks.append(samples)
        item.queued_samples += len(samples)
        item.received_samples += len(samples)
        self._notice_underrun()
        self._fill()

    def finish(self, item_id: str) -> None:
        """No more audio comes for this item."""
        item = self._received.get(item_id)
        if item is not None:
            item.complete = True
            self._fill()

    def finish_all(self) -> None:
        """No more audio comes for anything: what is here is played out."""
        for item in self._items:
            item.complete = True

    # -- every 20 ms -----------------------------------------------------------------------------------------------

    def tick(self) -> list[tuple[str, float]]:
        """Count what was played and fill the ring.

        Gives the items of which the first frame was heard since, each with the moment (monotonic seconds).
        """
        begun = self._count_played()
        self._fill()
        self._notice_underrun()
        return begun

    @property
    def idle(self) -> bool:
        """Nothing queued, nothing in the ring: the caller has heard all there is."""
        return not self._items and self._audio.waiting == 0

    def heard(self, item_id: str) -> Heard | None:
        """What was heard of an item; None if it never had audio."""
        item = self._received.get(item_id)
        if item is None:
            return None
        received_ms = item.received_samples // SAMPLES_PER_MS
        heard_ms = min(int(self._heard_ms.get(item_id, 0.0) + 0.5), received_ms)
        return Heard(item_id, heard_ms, received_ms, item.complete)

    # -- interruption ----------------------------------------------------------------------------------------------

    def interrupt(self) -> list[Heard]:
        """Silence at once, with a short fade. Gives every item that was cut, with what was heard of it."""
        returned = self._audio.flush_downlink()
        self._count_played()
        cut = dict.fromkeys(frame.item_id for frame in returned if frame.item_id)
        cut |= dict.fromkeys(item.item_id for item in self._items)
        if returned:
            self._audio.put_downlink(_faded(returned[0]))
        self._items.clear()
        self._down.reset()
        self._starved = False
        for item_id in cut:
            self._received[item_id].chunks.clear()
            self._received[item_id].queued_samples = 0
        heard = [self.heard(item_id) for item_id in cut]
        return [one for one in heard if one is not None and not one.to_the_end]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Top the ring up: as soon as audio comes, not at the next tick."""
        for _ in range(self._audio.room):
            frame = self._next_frame()
            if frame is None:
                return
            self._audio.put_downlink(frame)

    def _notice_underrun(self) -> None:
        silent_frames = self._audio.silent_frames
        dry, self._silent_frames = silent_frames > self._silent_frames, silent_frames
        item = self._items[0] if self._items else None
        if dry and item is not None and item.started and not self._starved:
            self._starved = True
            self.underruns += 1

    def _count_played(self) -> list[tuple[str, float]]:
        begun: list[tuple[str, float]] = []
        for played in self._audio.take_played():
            item_id = played.frame.item_id
            if not item_id:
                continue
            if item_id not in self._heard_ms:
                begun.append((item_id, played.played_s))
            self._heard_ms[item_id] = self._heard_ms.get(item_id, 0.0) + played.frame.item_ms
        return begun

    def _next_frame(self) -> DownlinkFrame | None:
        while self._items:
            item = self._items[0]
            if item.queued_samples < ENGINE_FRAME_SAMPLES and not item.complete:
                return None
            samples = item.take(ENGINE_FRAME_SAMPLES)
            if item.complete and len(samples) + FILTER_TAIL_SAMPLES <= ENGINE_FRAME_SAMPLES:
                # The padding of this frame carries the filter's tail; a fuller one needs a frame of zeros behind it.
                self._items.popleft()
            if len(samples) or item.started:
                return self._frame(item, samples)
        return None

    def _frame(self, item: _Item, samples: Pcm) -> DownlinkFrame:
        item_ms = len(samples) / SAMPLES_PER_MS
        ends = item.complete and not item.queued_samples
        if self._starved:
            # The line has already run down to silence: the filter's memory would be heard behind it.
            self._down.reset()
        if ends or self._starved or not item.started:
            samples = _softly(samples, begins=self._starved or not item.started, ends=ends)
        item.started, self._starved = True, False
        return DownlinkFrame(self._down.process(samples).tobytes(), item.item_id, item_ms)


_ENGINE_FADE = np.linspace(1.0, 0.0, FADE_SAMPLES * ENGINE_RATE_HZ // LINE_RATE_HZ, dtype=np.float32)
_FADE_OUT = np.zeros(LINE_FRAME_SAMPLES, np.float32)
_FADE_OUT[:FADE_SAMPLES] = np.linspace(1.0, 0.0, FADE_SAMPLES, dtype=np.float32)


def _softly(samples: Pcm, *, begins: bool, ends: bool) -> Pcm:
    """Up to a frame at 24 kHz, faded where sound begins or ends, and filled up with zeros."""
    whole = np.zeros(ENGINE_FRAME_SAMPLES, np.int16)
    whole[: len(samples)] = samples
    size = min(len(samples), len(_ENGINE_FADE))
    if begins:
        whole[:size] = whole[:size] * _ENGINE_FADE[::-1][:size]
    if ends:
        end = slice(len(samples) - size, len(samples))
        whole[end] = whole[end] * _ENGINE_FADE[len(_ENGINE_FADE) - size :]
    return whole


def _faded(frame: DownlinkFrame) -> DownlinkFrame:
    samples = np.frombuffer(frame.pcm, dtype="<i2")
    # The fade belongs to no item: what is heard of it is below what truncation can resolve.
    return DownlinkFrame((samples * _FADE_OUT).astype("<i2").tobytes())
