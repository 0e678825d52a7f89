"""A real call, put on hold and resumed, is recorded as its two ends had it, and in step; killed, it is still there."""

from __future__ import annotations

import asyncio
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from tests import peers
from tests.acceptance.far_end import echo, far_end
from tests.acceptance.product import serving
from tests.bench.marks import FRAME_MS, FRAME_SAMPLES, RATE_HZ, Pcm, Reference, noise

pytestmark = [
    pytest.mark.alone,
    pytest.mark.real,
    pytest.mark.skipif(bool(peers.missing_peers()), reason=f"not installed: {peers.missing_peers()}"),
]

FRAME_S = FRAME_MS / 1000
TALK_S = 1.6
"""Before hold, on hold, and after it."""
LEFT_LAGS_MS = 100.0
"""The left side is what came out of the jitter buffer: up to a tick, concealment's 5 ms, and what it gathers (measured
at rest: 18 to 30 ms in all; more on a busy machine)."""


def sides(path: Path) -> tuple[Pcm, Pcm]:
    with wave.open(str(path), "rb") as file:
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


def found(stretches: list[Pcm], within: Pcm) -> list[tuple[int, int]]:
    """Number of each stretch of 20 ms that is found, and the sample at which `within` has it."""
    reference, pairs = Reference(within), list[tuple[int, int]]()
    expected: int | None = None
    for number, stretch in enumerate(stretches):
        position = reference.find(stretch, 0, within.size, expected)
        expected = None if position is None else position + FRAME_SAMPLES
        if position is not None and 0 <= position <= within.size - FRAME_SAMPLES:
            pairs.append((number, position))
    return pairs


def frames(pcm: Pcm) -> list[Pcm]:
    return list(pcm[: pcm.size // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES))


async def test_both_sides_are_as_the_caller_sent_and_heard_them_and_in_step_after_hold(tmp_path: Path) -> None:
    said = noise(3 * TALK_S + 1, seed=3)
    directory = tmp_path / "recordings"
    async with far_end() as server:
        server.manner = echo
        async with serving(tmp_path, server.url, RECORDING__DIRECTORY=str(directory)) as service:
            with peers.RtpPeer() as rtp:
                rtp.play(peers.encode(said, "PCMU"))
                call = await peers.sipp(
                    "hold",
                    service.sip_port,
                    tmp_path,
                    rtp_port=rtp.port,
                    pt=0,
                    codec="PCMU",
                    talk_ms=round(1000 * TALK_S),
                )
            assert call.code == 0, call.messages
            await service.endings(1)
            record = await service.call((await service.calls())[0]["call_id"])
    assert (record["recording"], record["recording_complete"]) == (f"{record['call_id']}.wav", True)
    left, right = sides(directory / record["recording"])
    assert left.size / RATE_HZ == pytest.approx(3 * TALK_S, abs=0.5)
    on_hold = slice(round((TALK_S + 0.45) * RATE_HZ), round((2 * TALK_S - 0.45) * RATE_HZ))
    assert not left[on_hold].any()
    assert not right[on_hold].any()

    heard = [peers.ulaw_decode(packet.payload) for packet in rtp.packets]
    of_left, of_right = found(frames(left), said), found(heard, right)
    # When the caller sent, or heard, what the file has at its beginning: seconds into the file, moment.
    sent = [
        (number * FRAME_S, rtp.sent_s[at // FRAME_SAMPLES] + at % FRAME_SAMPLES / RATE_HZ - number * FRAME_S)
        for number, at in of_left
    ]
    came = [(at / RATE_HZ, rtp.packets[number].arrived_s - at / RATE_HZ) for number, at in of_right]
    lags_ms, heard_at_s = [], []
    for begin_s in (0.0, 2 * TALK_S - 0.2):
        sent_s, came_s = (
            [moment for at_s, moment in side if begin_s <= at_s < begin_s + TALK_S + 0.2] for side in (sent, came)
        )
        assert min(len(sent_s), len(came_s)) > 0.6 * TALK_S / FRAME_S
        heard_at_s.append(float(np.median(came_s)))
        lags_ms.append(1000 * float(np.median(came_s) - np.median(sent_s)))
    # Between the sides of the file lies what lay between them on the wire, but for the jitter buffer.
    assert all(0 <= lag_ms <= LEFT_LAGS_MS for lag_ms in lags_ms), lags_ms
    assert abs(lags_ms[1] - lags_ms[0]) <= 40, lags_ms
    assert abs(heard_at_s[1] - heard_at_s[0]) <= 0.02, "the file runs in the time of the call, hold included"

    # Nothing but G.711 lies between what was sent and the left side, and between the right side and what was heard.
    whole = [np.array_equal(frames(left)[number], said[at : at + FRAME_SAMPLES]) for number, at in of_left]
    assert np.mean(whole) > 0.8
    for number, at in of_right:
        recorded = right[at : at + FRAME_SAMPLES].astype(float)
        assert (np.abs(heard[number] - recorded) <= (np.abs(recorded) + 132) / 15).all()


async def test_a_killed_worker_leaves_the_call_up_to_two_seconds_before(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    async with far_end() as server:
        server.manner = echo
        async with serving(tmp_path, server.url, RECORDING__DIRECTORY=str(directory)) as service:
            calling = asyncio.create_task(peers.sipp("wait_for_bye", service.sip_port, tmp_path))
            await service.until_calls(lambda calls: any(call["state"] == "LIVE" for call in calls))
            live_s = time.monotonic()
            await asyncio.sleep(2.6)
            service.command.kill()
            lived_s = time.monotonic() - live_s
            calling.cancel()
            await asyncio.wait({calling})
    left, _ = sides(next(directory.glob("*.part.wav")))
    assert left.size / RATE_HZ > lived_s - 2
