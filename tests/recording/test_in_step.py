"""However the line's clock runs, stalls or is heard one way only: both sides of the recording stay in step."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media.ring import FRAME_MS, LINE_FRAME_SAMPLES, SILENCE, AudioHandover, DownlinkFrame
from service.recording.stereo import MAX_GAP_TICKS, STEREO_FRAME_BYTES, Stereo
from service.recording.tap import BACKLOG_FRAMES, FrameTap

TICK_S = FRAME_MS / 1000
JUMP_S = 0.5
"""What PJSIP's clock makes up after a stop; a longer one it skips."""
TEN_MINUTES = 600 * 1000 // FRAME_MS

Step = tuple[str, float]


def sound_of(tick: int) -> bytes:
    """20 ms that say in which tick of the line they were; they end at zero, so that no fade follows them."""
    sound = np.full(LINE_FRAME_SAMPLES, tick % 32_000 + 1, "<i2")
    sound[-1] = 0
    return sound.tobytes()


class Line:
    """PJSIP's clock thread wound by hand, a recording of it, and the disk it is written to.

    After a stop the clock makes up the ticks it missed, or skips them.
    """

    def __init__(self) -> None:
        self.audio = AudioHandover()
        self.tap = FrameTap(0.0)
        self.audio.tap = self.tap
        self.tick = 0
        self.fed = 0
        self._missed = 0
        self._stereo = Stereo()
        self._disk: dict[int, bytes] = {}

    def does(self, steps: Iterable[Step]) -> None:
        for what, amount in steps:
            match what:
                case "talks":
                    self._ticks(int(amount))
                case "is heard only":
                    self._ticks(int(amount), plays=False)
                case "plays only":
                    self._ticks(int(amount), receives=False)
                case "underruns":
                    self._ticks(int(amount), silent=True)
                case "stops":
                    self._missed += round(amount / TICK_S)
                case "is written":
                    self._write()

    def _ticks(self, count: int, *, plays: bool = True, receives: bool = True, silent: bool = False) -> None:
        goes_on_at = self.tick + self._missed
        if self._missed * TICK_S > JUMP_S:
            self.tick = goes_on_at
        missed, self._missed = goes_on_at - self.tick, 0
        for _ in range(missed + count):
            now_s = max(self.tick, goes_on_at) * TICK_S
            if plays:
                if not silent:
                    self.audio.put_downlink(DownlinkFrame(sound_of(self.tick)))
                    self.fed += 1
                self.audio.take_downlink(now_s)
            if receives:
                self.audio.put_uplink(sound_of(self.tick), now_s)
                self.fed += 1
            self.tick += 1

    def _write(self) -> None:
        self._disk |= {stretch.tick: stretch.pcm for stretch in self._stereo.add(self.tap.take())}

    def recording(self) -> np.ndarray:
        """Value of each tick, (n, 2); 0 where there is silence. Every tick must say one thing throughout."""
        self._write()
        self._disk |= {stretch.tick: stretch.pcm for stretch in self._stereo.finish()}
        size = max(tick * STEREO_FRAME_BYTES + len(pcm) for tick, pcm in self._disk.items())
        file = bytearray(size)
        for tick, pcm in self._disk.items():
            begin = tick * STEREO_FRAME_BYTES
            assert not any(file[begin : begin + len(pcm)]), "written twice"
            file[begin : begin + len(pcm)] = pcm
        ticks = np.frombuffer(bytes(file), "<i2").reshape(-1, LINE_FRAME_SAMPLES, 2)
        assert np.all(ticks[:, :-1] == ticks[:, :1])
        return ticks[:, 0]


def apart(recording: np.ndarray) -> int:
    """By how many ticks the two sides of a moment are apart at most."""
    both = recording[(recording != 0).all(axis=1)].astype(int)
    assert len(both)
    return int(np.abs(both[:, 0] - both[:, 1]).max())


def off_by(recording: np.ndarray) -> np.ndarray:
    """By how many ticks each sound is away from its moment, (n,)."""
    moments = np.repeat(np.arange(len(recording)) % 32_000 + 1, 2).reshape(-1, 2)
    away: np.ndarray = (recording - moments)[recording != 0]
    return away


def test_ten_minutes_of_everything_that_happens_on_a_line() -> None:
    chance = random.Random(7)
    line = Line()
    while line.tick < TEN_MINUTES:
        what = chance.choice(["talks", "talks", "talks", "underruns", "is heard only", "plays only", "stops", "stops"])
        amount = chance.choice([0.06, 0.3, 0.48, 2.0, 31.0]) if what == "stops" else chance.randint(1, 300)
        line.does([(what, amount), ("is written", 0)])
    recording = line.recording()
    assert apart(recording) <= 1
    assert np.abs(off_by(recording)).max() <= 1
    assert np.count_nonzero(recording) == line.fed
    assert len(recording) * TICK_S == pytest.approx(line.tick * TICK_S, abs=31)


STEPS = st.one_of(
    st.tuples(st.sampled_from(["talks", "is heard only", "plays only", "underruns"]), st.integers(1, 60)),
    st.tuples(st.just("stops"), st.sampled_from([0.04, 0.1, 0.5, 0.6, 1.0, 20.0])),
    st.tuples(st.just("is written"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_whenever_it_is_written_nothing_is_lost_or_moved(steps: list[Step]) -> None:
    line = Line()
    line.does([("talks", 1), *steps, ("talks", 1)])
    recording = line.recording()
    assert apart(recording) <= 1
    # A tick that only plays before one that is only heard looks like one tick.
    assert np.abs(off_by(recording)).max() <= 1 + [what for what, _ in steps].count("plays only")
    if not line.tap.dropped:
        assert np.count_nonzero(recording) == line.fed


def test_a_line_that_is_played_and_heard_is_recorded_tick_for_tick() -> None:
    line = Line()
    hold: list[Step] = [("is heard only", 300), ("is written", 0), ("talks", 100)]
    line.does([("talks", 100), *hold, ("stops", 0.3), ("underruns", 40), *hold, ("stops", 60), ("talks", 99)])
    recording = line.recording()
    assert apart(recording) == 0
    assert not off_by(recording).any()
    assert len(recording) == line.tick


def test_what_a_slow_disk_costs_is_counted_and_silent_and_what_follows_is_in_step() -> None:
    line = Line()
    line.does([("talks", 100), ("is written", 0), ("talks", BACKLOG_FRAMES), ("is written", 0), ("talks", 100)])
    recording = line.recording()
    silent = np.flatnonzero(~recording.any(axis=1))
    assert line.tap.dropped == BACKLOG_FRAMES
    assert len(silent) == BACKLOG_FRAMES / 2
    assert np.all(np.diff(silent) == 1)
    assert not off_by(recording).any()


def test_a_tick_that_is_half_there_when_it_is_written_waits_for_its_other_half() -> None:
    tap, stereo = FrameTap(0.0), Stereo()
    tap.played(sound_of(0), 0.0)
    assert stereo.add(tap.take()) == []
    tap.received(sound_of(0), 0.0)
    tap.played(sound_of(1), TICK_S)
    (whole,) = stereo.add(tap.take())
    assert (whole.tick, len(whole.pcm)) == (0, STEREO_FRAME_BYTES)
    assert (np.frombuffer(whole.pcm, "<i2")[:-2] == 1).all()
    assert stereo.add([]) == []
    assert [stretch.tick for stretch in stereo.finish()] == [1]


def test_an_hour_on_hold_is_no_hour_of_zeros_in_memory() -> None:
    tap, stereo = FrameTap(0.0), Stereo()
    tap.played(sound_of(0), 0.0)
    tap.played(sound_of(180_000), 3600.0)
    stretches = [*stereo.add(tap.take()), *stereo.finish()]
    assert [stretch.tick for stretch in stretches] == [0, 180_000]
    assert max(len(stretch.pcm) for stretch in stretches) <= (MAX_GAP_TICKS + 1) * STEREO_FRAME_BYTES


def test_a_tap_changes_nothing_of_what_is_played_or_handed_over() -> None:
    plain, tapped = AudioHandover(), AudioHandover()
    tapped.tap = FrameTap(0.0)
    for audio in (plain, tapped):
        audio.put_downlink(DownlinkFrame(sound_of(1), "item", 20.0))
    for now_s in (0.0, 0.02):
        assert plain.take_downlink(now_s) == tapped.take_downlink(now_s)
        plain.put_uplink(SILENCE, now_s)
        tapped.put_uplink(SILENCE, now_s)
    assert plain.take_uplink() == tapped.take_uplink()
    assert plain.take_played() == tapped.take_played()
    assert plain.silent_frames == tapped.silent_frames == 1
