"""Lays both sides of a call side by side, tick by tick; what did not come is silence, so that they stay in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.media.ring import LINE_FRAME_SAMPLES
from service.recording.tap import Side, TappedFrame

CHANNELS = len(Side)
STEREO_FRAME_BYTES = 2 * CHANNELS * LINE_FRAME_SAMPLES
MAX_GAP_TICKS = 50
"""A longer gap on both sides begins a new stretch instead of being filled: an hour on hold must not be an hour of zeros
in memory."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Stereo PCM16 8 kHz, left the caller, right the agent; begins with tick `tick` of the call."""

    tick: int
    pcm: bytes


class Stereo:
    """Frames in, stretches out; a stretch holds whole ticks only."""

    def __init__(self) -> None:
        self._open: list[TappedFrame] = []

    def add(self, frames: Sequence[TappedFrame]) -> list[Stretch]:
        """The ticks that are over. `frames` come in the order of their ticks."""
        together = [*self._open, *frames]
        last = together[-1].tick if together else 0
        self._open = [frame for frame in together[-CHANNELS:] if frame.tick == last]
        return _stretches(together[: len(together) - len(self._open)])

    def finish(self) -> list[Stretch]:
        """The last tick, of which nothing more will come."""
        frames, self._open = self._open, []
        return _stretches(frames)


def _stretches(frames: Sequence[TappedFrame]) -> list[Stretch]:
    runs: list[list[TappedFrame]] = []
    for frame in frames:
        if not runs or frame.tick - runs[-1][-1].tick > MAX_GAP_TICKS:
            runs.append([])
        runs[-1].append(frame)
    return [_stretch(run) for run in runs]


def _stretch(frames: Sequence[TappedFrame]) -> Stretch:
    first, last = frames[0].tick, frames[-1].tick
    samples = np.zeros((last - first + 1, LINE_FRAME_SAMPLES, CHANNELS), "<i2")
    for frame in frames:
        samples[frame.tick - first, :, frame.side] = np.frombuffer(frame.pcm, "<i2")
    return Stretch(first, samples.tobytes())
