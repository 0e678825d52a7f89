"""Echo control: the agent's voice that comes back is taken out, the caller's is not."""

from __future__ import annotations

import numpy as np
import pytest

from service.call.stand_in import apology
from service.media.echo import HELD_FRAMES, EchoControl
from service.media.echo_filter import EchoFilter
from service.media.noise_floor import NoiseFloor
from service.media.resample import resample
from service.media.ring import LINE_FRAME_SAMPLES, AudioHandover, DownlinkFrame, UplinkFrame
from tests.bench.marks import noise
from tests.peers import Pcm, encode, ulaw_decode
from tests.speakerphone import EchoPath

RATE_HZ = 8000
TAIL_MS = 400
ECHO = EchoPath(level_db=-20, delay_ms=150)


def g711(pcm: np.ndarray) -> Pcm:
    return ulaw_decode(encode(np.rint(pcm).clip(-32768, 32767).astype(np.int16), "PCMU"))


def agent(seconds: float) -> Pcm:
    """Speech of about -20 dBFS: the stored apology, again and again, from half a second on."""
    once = resample(np.frombuffer(apology(), "<i2"), 24_000, RATE_HZ).astype(np.float64)
    once *= 3277 / np.sqrt(np.mean(once[np.abs(once) > 300] ** 2))
    speech = np.tile(once, int(seconds * RATE_HZ / once.size) + 1).clip(-32768, 32767)
    return np.concatenate([np.zeros(RATE_HZ // 2), speech])[: int(seconds * RATE_HZ)].astype(np.int16)


def caller(seconds: float, at_s: float, to_s: float, rms: float = 1800.0) -> Pcm:
    """A voice of another timbre, -25 dBFS while it speaks: noise with the rhythm of syllables."""
    sound = noise(seconds, seed=3, rms=rms).astype(np.float64)
    at = np.arange(sound.size) / RATE_HZ
    sound *= (0.55 + 0.45 * np.sin(2 * np.pi * 4 * at)) * ((at >= at_s) & (at < to_s))
    return sound.astype(np.int16)


def cleaned(control: EchoControl, heard: Pcm, played: Pcm) -> Pcm:
    frames = [
        frame.pcm
        for one, other in zip(in_frames(heard), in_frames(played), strict=True)
        for frame in control.clean(UplinkFrame(one.tobytes(), 0.0, other.tobytes()))
    ]
    passed = np.frombuffer(b"".join(frames), "<i2")
    held = in_frames(heard).size - passed.size
    assert 0 <= held <= HELD_FRAMES * LINE_FRAME_SAMPLES
    return np.pad(passed, (0, held))


def in_frames(pcm: Pcm) -> Pcm:
    return pcm[: pcm.size // LINE_FRAME_SAMPLES * LINE_FRAME_SAMPLES].reshape(-1, LINE_FRAME_SAMPLES)


def decibels(pcm: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-9))


def erle_db(heard: Pcm, played: Pcm, from_s: float, to_s: float) -> float:
    """Echo return loss enhancement (ITU-T G.168) of the filter alone."""
    one = EchoFilter(TAIL_MS)
    rest = np.concatenate(
        [
            one.split(here.astype(np.float32), there.astype(np.float32), NoiseFloor().power).rest
            for here, there in zip(in_frames(heard), in_frames(played), strict=True)
        ]
    )
    span = slice(int(from_s * RATE_HZ), int(to_s * RATE_HZ))
    return decibels(heard[span]) - decibels(rest[span])


@pytest.mark.parametrize("delay_ms", [60, 150, 250])
@pytest.mark.parametrize("level_db", [-10, -20, -30])
def test_nothing_of_the_echo_passes_from_the_first_word_on(level_db: float, delay_ms: float) -> None:
    played = agent(8)
    heard = g711(EchoPath(level_db, delay_ms).echo(played))
    assert np.abs(heard).max() > 100
    assert not cleaned(EchoControl(TAIL_MS), heard, played).any()


def test_the_filter_takes_out_twenty_decibels_after_some_seconds_of_speech() -> None:
    played = agent(12)
    heard = g711(ECHO.echo(played))
    assert erle_db(heard, played, 1, 2) > 5
    assert erle_db(heard, played, 6, 12) > 20


def test_with_no_echo_the_caller_is_heard_bit_by_bit_while_the_agent_speaks() -> None:
    played = agent(10)
    speech = g711(caller(10, at_s=2, to_s=8))
    clean = cleaned(EchoControl(TAIL_MS), speech, played)
    spoken = slice(2 * RATE_HZ, 8 * RATE_HZ)
    assert np.array_equal(clean[spoken], speech[spoken])


def test_a_caller_is_heard_through_the_echo_at_once_and_nearly_without_it() -> None:
    played = agent(12)
    speech = caller(12, at_s=7, to_s=10)
    clean = cleaned(EchoControl(TAIL_MS), g711(ECHO.echo(played) + speech), played)
    frames = np.abs(in_frames(clean)).max(axis=1) > 0
    first = int(np.argmax(frames)) * 20
    assert 7000 - 20 * HELD_FRAMES <= first <= 7000
    assert frames[round(first / 20) : 500].all()
    spoken = slice(int(7.2 * RATE_HZ), 10 * RATE_HZ)
    uncancelled = decibels(ECHO.echo(played)[spoken])
    assert decibels(clean[spoken] - speech[spoken].astype(np.float64)) < uncancelled - 8


def test_while_nothing_is_played_every_bit_passes() -> None:
    speech = np.random.default_rng(1).integers(-32768, 32767, 2 * RATE_HZ).astype(np.int16)
    assert np.array_equal(cleaned(EchoControl(TAIL_MS), speech, np.zeros_like(speech)), speech)


def test_what_is_said_as_soon_as_the_agent_has_finished_is_whole() -> None:
    played = agent(6)
    played[4 * RATE_HZ :] = 0
    speech = g711(caller(6, at_s=4.5, to_s=6, rms=300.0))
    clean = cleaned(EchoControl(TAIL_MS), g711(ECHO.echo(played) + speech), played)
    assert np.array_equal(clean[int(4.5 * RATE_HZ) :], speech[int(4.5 * RATE_HZ) :])


@pytest.mark.parametrize("moved", [EchoPath(-20, 170), EchoPath(-20, 210), EchoPath(-14, 150)], ids=str)
def test_an_echo_that_moves_is_found_again(moved: EchoPath) -> None:
    played = agent(14)
    at = 7 * RATE_HZ
    heard = g711(np.concatenate([ECHO.echo(played)[:at], moved.echo(played)[at:]]))
    clean = cleaned(EchoControl(TAIL_MS), heard, played)
    before = at - HELD_FRAMES * LINE_FRAME_SAMPLES
    assert not clean[:before].any()
    assert in_frames(clean[before:]).any(axis=1).sum() * 20 < 800
    assert not clean[10 * RATE_HZ :].any()
    assert erle_db(heard, played, 11, 14) > 12


@pytest.mark.parametrize("level_db", [-10, -20])
@pytest.mark.parametrize("frames", [-2, -1, 1, 3])
def test_an_echo_that_slips_by_frames_is_never_taken_for_the_caller(level_db: float, frames: int) -> None:
    """A jitter buffer on the way has dropped some, or waited for some."""
    played = agent(16)
    heard = EchoPath(level_db, 150).echo(played)
    for at_s in (4.1, 8.2, 12.3):
        at = int(at_s * 50) * LINE_FRAME_SAMPLES
        heard[at:] = np.roll(heard, frames * LINE_FRAME_SAMPLES)[at:]
    assert not cleaned(EchoControl(TAIL_MS), g711(heard), played).any()


def test_a_telephone_whose_clock_differs_by_100_ppm_stays_quiet() -> None:
    played = agent(20)
    at = np.arange(played.size)
    heard = g711(np.interp(at * (1 + 100e-6), at, ECHO.echo(played)))
    assert not cleaned(EchoControl(TAIL_MS), heard, played).any()


def test_an_engine_that_gives_the_caller_back_is_no_echo() -> None:
    heard = noise(4, seed=1)
    played = np.concatenate([np.zeros(320, np.int16), heard[:-320]])
    assert np.array_equal(cleaned(EchoControl(TAIL_MS), heard, played), heard)


def test_who_talks_at_the_same_time_as_the_agent_for_minutes_is_heard_to_the_end() -> None:
    heard, played = noise(240, seed=3), noise(240, seed=4)
    assert np.array_equal(cleaned(EchoControl(TAIL_MS), heard, played), heard)


@pytest.mark.parametrize("noise_rms", [30, 100, 180])
def test_over_a_loud_agent_a_soft_caller_is_heard_at_once_from_a_noisy_handset(noise_rms: float) -> None:
    """-12 dBFS over -30, with a background of -60 to -45: where nothing comes back, that is soon known."""
    seconds, words_s = 45, (12, 28, 44)
    played = (agent(seconds) * 2.5).clip(-32768, 32767).astype(np.int16)
    heard = noise(seconds, seed=5, rms=noise_rms).astype(np.float64)
    for at_s in words_s:
        heard += caller(seconds, at_s=at_s, to_s=at_s + 0.6, rms=1000.0)
    passed = in_frames(cleaned(EchoControl(TAIL_MS), g711(heard), played))
    assert all(passed[at_s * 50 : at_s * 50 + 15].any(axis=1).all() for at_s in words_s)


def test_background_noise_does_not_open_for_the_echo() -> None:
    played = agent(20)
    heard = g711(ECHO.echo(played) + noise(20, seed=5, rms=60.0))
    passed = in_frames(cleaned(EchoControl(TAIL_MS), heard, played)).any(axis=1)
    loud = np.abs(in_frames(played)).max(axis=1) > 1000
    assert (passed & loud).sum() <= 0.02 * loud.sum()


def test_on_a_silent_handset_the_callers_first_word_passes_at_once_and_whole() -> None:
    played = agent(6)
    speech = g711(caller(6, at_s=3, to_s=5, rms=300.0))
    control = EchoControl(TAIL_MS)
    first = 3 * RATE_HZ // LINE_FRAME_SAMPLES
    for number, (one, other) in enumerate(zip(in_frames(speech), in_frames(played), strict=True)):
        passed = control.clean(UplinkFrame(one.tobytes(), 0.0, other.tobytes()))
        if number == first:
            break
    assert passed[-1].pcm == one.tobytes()
    assert one.any()


def test_a_caller_who_was_speaking_is_not_held_when_the_agent_begins() -> None:
    speech, played = noise(3, seed=2), agent(3)
    control = EchoControl(TAIL_MS)
    for one, other in zip(in_frames(speech), in_frames(played), strict=True):
        frame = UplinkFrame(one.tobytes(), 0.0, other.tobytes())
        assert control.clean(frame) == [frame]


def test_the_ring_says_what_was_played_in_the_tick_of_each_frame() -> None:
    audio = AudioHandover()
    pcm = bytes(range(160)) * 2
    audio.put_downlink(DownlinkFrame(pcm))
    for tick in range(3):
        sent = audio.take_downlink(0.02 * tick)
        audio.put_uplink(b"\1\0" * 160, 0.02 * tick)
        assert audio.take_uplink()[0].played == sent
    assert sent != pcm
