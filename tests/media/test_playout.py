"""The caller hears the agent whole, an interruption is silent at once, and `heard_ms` is what the line carried."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.media.playout import Playout
from service.media.ring import DOWNLINK_FRAMES, FRAME_MS, LINE_FRAME_SAMPLES, SILENCE, AudioHandover


def tone(ms: int, hz: float = 440.0) -> bytes:
    t = np.arange(24 * ms) / 24000
    return (8000 * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes()


class Line:
    """The clock thread, wound by hand: takes a frame each 20 ms."""

    def __init__(self) -> None:
        self.audio = AudioHandover()
        self.playout = Playout(self.audio)
        self.now_s = 0.0
        self.frames: list[bytes] = []

    def run(self, frames: int) -> None:
        for _ in range(frames):
            self.playout.tick()
            self.frames.append(self.audio.take_downlink(self.now_s))
            self.now_s += 0.02

    def samples(self) -> np.ndarray:
        return np.frombuffer(b"".join(self.frames), "<i2")


def test_all_of_an_item_is_heard_and_then_silence() -> None:
    line = Line()
    line.playout.add("a", tone(500))
    line.playout.finish("a")
    line.run(40)
    heard = line.playout.heard("a")
    assert heard is not None
    assert (heard.heard_ms, heard.received_ms, heard.to_the_end) == (500, 500, True)
    assert line.playout.idle
    assert line.frames[-1] == SILENCE
    loud = np.abs(line.samples()) > 2000
    assert np.flatnonzero(loud)[-1] - np.flatnonzero(loud)[0] == pytest.approx(500 * 8, abs=40)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40))
def test_any_chunking_of_deltas_gives_the_same_sound(sizes: list[int]) -> None:
    pcm = tone(400)
    whole = Line()
    whole.playout.add("a", pcm)
    whole.playout.finish("a")
    pieces = Line()
    at = 0
    for size in sizes:
        pieces.playout.add("a", pcm[at : at + 2 * size])
        at += 2 * size
    pieces.playout.add("a", pcm[at:])
    pieces.playout.finish("a")
    whole.run(30)
    pieces.run(30)
    assert whole.frames == pieces.frames


def test_an_interruption_is_silent_within_one_frame_and_counts_what_was_copied_out() -> None:
    line = Line()
    line.playout.add("a", tone(2000))
    line.run(25)
    cut = line.playout.interrupt()
    before = len(line.frames)
    line.run(5)
    assert [(one.item_id, one.heard_ms) for one in cut] == [("a", 25 * FRAME_MS)]
    faded = np.frombuffer(line.frames[before], "<i2")
    assert np.all(faded[40:] == 0)
    assert np.abs(np.diff(faded.astype(int))).max() < 4000
    assert line.frames[before + 1 :] == [SILENCE] * 4


def test_what_was_heard_to_the_end_is_not_cut() -> None:
    line = Line()
    line.playout.add("a", tone(200))
    line.playout.finish("a")
    line.run(20)
    assert line.playout.interrupt() == []


def test_an_item_of_which_nothing_was_heard_is_cut_at_zero() -> None:
    line = Line()
    line.playout.add("a", tone(1000))
    line.playout.tick()
    assert [(one.item_id, one.heard_ms) for one in line.playout.interrupt()] == [("a", 0)]


def test_little_lies_ahead_of_an_interruption() -> None:
    line = Line()
    line.playout.add("a", tone(5000))
    line.playout.tick()
    assert line.audio.waiting == DOWNLINK_FRAMES


def test_running_dry_is_one_underrun_and_playing_goes_on() -> None:
    line = Line()
    line.playout.add("a", tone(FRAME_MS))
    line.run(10)
    assert line.playout.underruns == 1
    line.playout.add("a", tone(100))
    line.playout.finish("a")
    line.run(12)
    assert line.playout.underruns == 1
    heard = line.playout.heard("a")
    assert heard is not None
    assert heard.to_the_end


def test_the_last_samples_leave_with_the_item() -> None:
    # 480 samples fill the frame: the filter's memory needs one frame more, or the end is swallowed and clicks later.
    line = Line()
    line.playout.add("a", tone(20))
    line.playout.finish("a")
    line.run(4)
    assert len(line.samples()) == 4 * LINE_FRAME_SAMPLES
    energy = np.sum(line.samples()[LINE_FRAME_SAMPLES // 2 :].astype(float) ** 2)
    said = np.frombuffer(tone(20), "<i2")[::3][LINE_FRAME_SAMPLES // 2 - 16 :]
    assert energy == pytest.approx(np.sum(said.astype(float) ** 2), rel=0.02)


@given(st.integers(0, 119))
def test_begin_underrun_resumption_and_end_do_not_click(phase: int) -> None:
    # A low tone, cut at every phase: a step of its amplitude would be heard, its own slope is 1,257 a sample.
    pcm = tone(400, hz=200.0)[2 * phase :]
    line = Line()
    line.playout.add("a", pcm[: 5 * 960])
    line.run(8)
    line.playout.add("a", pcm[5 * 960 :])
    line.playout.finish("a")
    line.run(20)
    assert line.playout.underruns == 1
    assert np.abs(np.diff(line.samples().astype(int))).max() < 2000


def test_audio_after_the_end_of_an_item_is_refused() -> None:
    line = Line()
    line.playout.add("a", tone(20))
    line.playout.finish("a")
    line.playout.add("a", tone(20))
    assert line.playout.refused_samples == 480
