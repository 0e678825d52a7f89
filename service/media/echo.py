"""Echo of the agent's own voice, from the caller's loudspeaker back into the caller's microphone.

A turn detector hears speech in an echo 60 dB below the loudest sound, and no filter has learnt an unknown path in the
first second. So what the filter leaves is let through only where the echo does not explain it: a frame is the caller's
when its power stands out of what echo and background noise may have there, in enough bands. Frames that they do explain
become silence, a little later: until then they are held, so that a word which becomes clear only in its middle passes
with its begin. Nothing that passes is delayed. While nothing is played, and where there is no echo, the caller's speech
passes as it is, bit by bit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.media.echo_filter import EchoFilter, Power, Split
from service.media.noise_floor import NoiseFloor
from service.media.ring import FRAME_MS, SILENCE, UplinkFrame

EVIDENCE = 0.9
"""Mean over the bands of ln(1 + power / what echo and noise explain) at which a frame is the caller's.

Measured with echo 10 to 40 dB down and 60 to 250 ms late: echo stays below, speech of -25 dBFS is above from 40 ms on,
in the agent's first second as well."""
STILL_EVIDENCE = 0.6
"""The same while the caller is being heard already."""
HANGOVER_FRAMES = 10
"""Soft ends of words, and the gaps between them."""
TRACE = 0.3
"""Of evidence: at which a held frame may be the begin of the caller's word."""
EVIDENT_FRAMES = 4
EVIDENT_WITHIN = 6
"""The caller is let in when so many of the last so many frames are theirs; a single one may be echo yet unlearnt."""
HELD_FRAMES = 10
"""Soft begins of words ("unless" is below the evidence for 60 ms), and the time until it is clear."""
MISMATCH = 0.2
"""Of the echo that was taken out, what a linear filter may have got wrong (loudspeaker, G.711, drifting clocks)."""
FAINT = 64
"""Peak (-54 dBFS) below which a frame says nothing while the agent speaks: not worth the filter."""
SPOKEN = 1000
"""Peak from which the agent's voice would come back louder than that, if it came back at all."""
ABSENT_AFTER_FRAMES = 50
"""So many faint frames in a row, the agent speaking in half of them, prove that there is no echo now."""
ABSENT_FOR_FRAMES = 150
"""How long that holds for what is not faint: an interruption is over by then, a loudspeaker just switched on is not."""
SAMPLED = 4
"""While the caller speaks and no echo is proved, only every so many frames are held against it: each costs the loop as
much as all else that is done for a frame."""
PROVED = 4.0
"""Only a filter that has taken away 6 dB while the caller was silent is used on the caller's own speech: where there is
no echo, speech passes bit by bit."""
MEMORY = 0.98
"""Of that proof: one second of frames."""
QUIET = 16
"""Peak of what counts as nothing played."""
LOUD = 500
"""Peak from which a caller speaks while nothing is played; who does is not cut off when the agent begins."""


class EchoControl:
    """The caller's side of one call without the agent's echo. Belongs to the loop; reads no clock."""

    def __init__(self, tail_ms: int) -> None:
        self._filter = EchoFilter(tail_ms)
        self._tail_frames = -(-tail_ms // FRAME_MS) + 1
        self._quiet_frames = self._tail_frames
        self._open_frames = 0
        self._unsampled = 0
        self._faint_run = self._faint_spoken = 0
        self._absent_frames = 0
        self._evident: deque[bool] = deque(maxlen=EVIDENT_WITHIN)
        self._held: deque[tuple[UplinkFrame, bool]] = deque()
        self._noise = NoiseFloor()
        self._heard_energy = 0.0
        self._rest_energy = 0.0

    def clean(self, frame: UplinkFrame) -> list[UplinkFrame]:
        """The next frames, in order, without the echo of what was played: none while the caller is not heard, and then
        all that were held."""
        played = np.frombuffer(frame.played, dtype="<i2")
        played_peak = _peak(played)
        if played_peak >= QUIET:
            self._quiet_frames = 0
        elif self._quiet_frames < self._tail_frames:
            self._quiet_frames += 1
            if self._quiet_frames == self._tail_frames:
                self._filter.forget_played()
        heard = np.frombuffer(frame.pcm, dtype="<i2")
        heard_peak = _peak(heard)
        if self._quiet_frames == self._tail_frames:
            self._open_frames = HANGOVER_FRAMES if heard_peak >= LOUD else max(0, self._open_frames - 1)
            return self._released(frame)
        proved = self._heard_energy > PROVED * self._rest_energy
        faint = heard_peak < FAINT
        self._unsampled = 0 if faint or proved or not self._open_frames else (self._unsampled + 1) % SAMPLED
        absent = self._is_absent(spoken=played_peak >= SPOKEN, faint=faint)
        if faint or absent or self._unsampled:
            self._filter.skip(played.astype(np.float32))
            self._open_frames = HANGOVER_FRAMES if absent and not faint else max(0, self._open_frames - 1)
            return self._passed(frame, may_be_callers=False)
        split = self._filter.split(
            heard.astype(np.float32), played.astype(np.float32), self._noise.power, callers=self._open_frames > 0
        )
        found = evidence(split, self._noise.power)
        self._noise.hear(split.rest_power)
        self._evident.append(found >= (STILL_EVIDENCE if self._open_frames else EVIDENCE))
        if self._evident[-1] and (self._open_frames or sum(self._evident) >= EVIDENT_FRAMES):
            self._open_frames = HANGOVER_FRAMES
        elif self._open_frames:
            self._open_frames -= 1
        if not self._open_frames and not self._evident[-1]:
            self._heard_energy = MEMORY * self._heard_energy + _energy(heard)
            self._rest_energy = MEMORY * self._rest_energy + _energy(split.rest)
        if proved:
            frame = replace(frame, pcm=np.rint(split.rest).clip(-32768, 32767).astype("<i2").tobytes())
        return self._passed(frame, may_be_callers=found >= TRACE)

    def _is_absent(self, *, spoken: bool, faint: bool) -> bool:
        """Whether nothing of the agent's voice comes back."""
        if not faint:
            self._faint_run = self._faint_spoken = 0
            self._absent_frames = max(0, self._absent_frames - 1)
            return self._absent_frames > 0
        self._faint_run += 1
        self._faint_spoken += spoken
        if self._faint_run >= ABSENT_AFTER_FRAMES and 2 * self._faint_spoken >= ABSENT_AFTER_FRAMES:
            self._absent_frames = ABSENT_FOR_FRAMES
        return self._absent_frames > 0

    def _passed(self, frame: UplinkFrame, *, may_be_callers: bool) -> list[UplinkFrame]:
        if self._open_frames:
            return self._released(frame)
        self._held.append((frame, may_be_callers))
        return [_silenced(self._held.popleft()[0])] if len(self._held) > HELD_FRAMES else []

    def _released(self, frame: UplinkFrame) -> list[UplinkFrame]:
        frames: list[UplinkFrame] = []
        begun = False
        for held, may_be_callers in self._held:
            begun = begun or may_be_callers
            frames.append(held if begun else _silenced(held))
        self._held.clear()
        return [*frames, frame]


def _silenced(frame: UplinkFrame) -> UplinkFrame:
    return replace(frame, pcm=SILENCE)


def evidence(split: Split, noise_power: Power) -> float:
    """How far a frame stands out of what echo and noise explain; 0 and more (see `EVIDENCE`)."""
    explained = split.doubt_power + MISMATCH * split.echo_power + noise_power
    return float(np.log1p(split.rest_power / explained).mean())


def _peak(samples: NDArray[np.int16]) -> int:
    return max(int(samples.max()), -int(samples.min()))


def _energy(samples: NDArray[np.generic]) -> float:
    return float(np.square(samples, dtype=np.float32).sum())
