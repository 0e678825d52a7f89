"""`claimline call`: what is played arrives, what comes back is recorded, and every end has its code."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from service.errors import ClaimlineError
from sip.caller import CALLER, CallResult, place_call
from sip.wav import read_line_audio, write_line_audio
from tests import peers

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(peers.missing_peers()), reason=f"not installed: {peers.missing_peers()}"),
]
LOOPBACK = CALLER.model_copy(update={"bind": "127.0.0.1"})


def a_wav(path: Path, pcm: peers.Pcm, rate_hz: int = 8000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


def stereo(path: Path) -> tuple[peers.Pcm, peers.Pcm]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


@pytest.mark.parametrize(("transport", "codec"), [("udp", "PCMA"), ("tcp", "PCMU")])
async def test_a_call_to_an_echo(transport: str, codec: peers.Codec, tmp_path: Path) -> None:
    played = a_wav(tmp_path / "in.wav", peers.tone(400, 1.0, 12000), rate_hz=8000)
    steps: list[str] = []
    async with peers.echoing_callee(tmp_path, transport=transport, codec=codec) as port:
        result = await place_call(
            f"sip:echo@127.0.0.1:{port};transport={transport}",
            played,
            tmp_path / "out.wav",
            stereo=True,
            tail_s=0.3,
            codec=codec,
            settings=LOOPBACK,
            on_progress=steps.append,
        )
    assert (result.code, result.by, result.played_whole) == (200, "us", True)
    assert steps == ["answered", "played"]
    assert result.stats is not None
    assert result.stats.codec == codec
    left, right = stereo(tmp_path / "out.wav")
    assert peers.loudest_hz(left[:8000]) == pytest.approx(400, abs=2)
    loud = np.flatnonzero(np.abs(right.astype(int)) > 2000)
    assert (loud[-1] - loud[0]) / 8000 == pytest.approx(1.0, abs=0.05)
    assert peers.loudest_hz(right[loud[0] : loud[-1]]) == pytest.approx(400, abs=2)
    assert abs(len(left) - len(right)) <= 320
    assert result.recorded_s == pytest.approx(1.3, abs=0.3)


async def test_seconds_end_the_call_before_everything_is_played(tmp_path: Path) -> None:
    played = a_wav(tmp_path / "in.wav", peers.tone(400, 30.0))
    async with peers.echoing_callee(tmp_path) as port:
        result = await place_call(
            f"sip:echo@127.0.0.1:{port}", played, tmp_path / "out.wav", seconds=0.5, settings=LOOPBACK
        )
    assert (result.by, result.played_whole) == ("us", False)
    assert result.recorded_s == pytest.approx(0.5, abs=0.3)


async def call_to(target: str, tmp_path: Path) -> CallResult:
    played = a_wav(tmp_path / "in.wav", peers.tone(400, 0.1))
    async with asyncio.timeout(10):
        return await place_call(target, played, tmp_path / "out.wav", settings=LOOPBACK)


async def test_the_far_ends_refusal_is_the_result(tmp_path: Path) -> None:
    async with peers.refusing_callee(tmp_path) as port:
        result = await call_to(f"sip:nobody@127.0.0.1:{port}", tmp_path)
    assert (result.code, result.reason, result.answered_after_s) == (404, "Not Found", None)
    assert (tmp_path / "out.wav").exists()


async def test_a_target_that_is_no_sip_uri(tmp_path: Path) -> None:
    result = await call_to("http://127.0.0.1", tmp_path)
    assert (result.code, result.by) == (400, "us")
    assert "http://127.0.0.1" in result.reason


async def test_nobody_listens_there(tmp_path: Path) -> None:
    port = peers.free_port()
    result = await call_to(f"sip:nobody@127.0.0.1:{port};transport=tcp", tmp_path)
    assert result.code in {408, 502, 503}
    assert result.answered_after_s is None


def test_wav_files_of_any_rate_become_line_audio(tmp_path: Path) -> None:
    seconds = np.arange(24000) / 24000
    tone = (9000 * np.sin(2 * np.pi * 1000 * seconds)).astype(np.int16)
    line = read_line_audio(a_wav(tmp_path / "24k.wav", tone, rate_hz=24000))
    assert len(line) == 8000
    assert peers.loudest_hz(line) == pytest.approx(1000, abs=2)
    write_line_audio(tmp_path / "two.wav", line, line[:100])
    left, right = stereo(tmp_path / "two.wav")
    assert np.array_equal(left, line)
    assert not right[100:].any()


def test_what_is_no_mono_wav_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    a_wav(tmp_path / "stereo.wav", peers.tone(400, 0.1), channels=2)
    for name, why in (("text.wav", "no WAV"), ("stereo.wav", "must be mono"), ("none.wav", "does not exist")):
        with pytest.raises(ClaimlineError, match=rf"{name}.*{why}"):
            read_line_audio(tmp_path / name)
