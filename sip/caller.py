"""One test call: dial, play a WAV, record the far end, hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from service import config
from service.call.leg import Confirmed, Ended, Leg, LegEvent, StreamStats
from service.media.resample import Pcm
from service.media.ring import FRAME_MS, LINE_FRAME_BYTES, DownlinkFrame
from sip.endpoint import Endpoint
from sip.wav import read_line_audio, write_line_audio

ANSWER_TIMEOUT_S = 60.0
HANGUP_TIMEOUT_S = 3.0
DEFAULT_TAIL_S = 2.0
MAX_CALL_S = 3600.0
CALLER = config.Sip(port=0, allowed_peers=(), max_calls=1, rtp_port_min=20000, rtp_port_max=20999)
"""A free port, and nobody may call back."""

Progress = Literal["answered", "played"]


@dataclass(frozen=True, slots=True)
class CallResult:
    """How the call went. `code` is the SIP status that ended it; `answered_after_s` None: it never was."""

    code: int
    reason: str
    by: Literal["caller", "us"]
    """`us` is this side; `caller` stands for the far end."""
    answered_after_s: float | None
    recorded_s: float
    played_whole: bool
    stats: StreamStats | None


class _TestCall:
    """What a leg plays and hears, frame by frame; both sides count from the same tick."""

    def __init__(self, leg: Leg, play: Pcm, on_progress: Callable[[Progress], None]) -> None:
        self._leg = leg
        self._frames = _frames(play)
        self._next = 0
        self._silent_frames = 0
        self._on_progress = on_progress
        loop = asyncio.get_running_loop()
        self._now_s = loop.time
        self._began_s = loop.time()
        self.played = bytearray()
        self.heard = bytearray()
        self.answered_after_s: float | None = None
        self.answered: asyncio.Future[None] = loop.create_future()
        self.played_whole: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[Ended] = loop.create_future()

    def on_event(self, event: LegEvent) -> None:
        match event:
            case Confirmed() if not self.answered.done():
                self.answered_after_s = self._now_s() - self._began_s
                self.answered.set_result(None)
                self._on_progress("answered")
            case Ended() if not self.ended.done():
                self.ended.set_result(event)
            case _:
                pass

    def on_tick(self) -> None:
        audio = self._leg.audio
        heard, played, silent_frames = audio.take_uplink(), audio.take_played(), audio.silent_frames
        silence, self._silent_frames = silent_frames - self._silent_frames, silent_frames
        if not self.answered.done():
            return
        for frame in heard:
            self.heard += frame.pcm
        self.played += bytes(silence * LINE_FRAME_BYTES) + b"".join(done.frame.pcm for done in played)
        while audio.room and self._next < len(self._frames):
            audio.put_downlink(DownlinkFrame(self._frames[self._next]))
            self._next += 1
        if self._next == len(self._frames) and not audio.waiting and not self.played_whole.done():
            self.played_whole.set_result(None)
            self._on_progress("played")


async def place_call(
    target: str,
    play: Path,
    record: Path,
    *,
    seconds: float | None = None,
    tail_s: float = DEFAULT_TAIL_S,
    stereo: bool = False,
    codec: Literal["PCMU", "PCMA"] | None = None,
    settings: config.Sip = CALLER,
    on_progress: Callable[[Progress], None] = lambda step: None,
    on_log: Callable[[int, str], None] = lambda level, line: None,
) -> CallResult:
    """Place one call and return when it is over.

    `play` is a PCM16 mono WAV of any rate; `record` becomes an 8 kHz WAV of the far end, or with `stereo` of both (left
    what was played, right what was heard). Ends `seconds` after the answer, without it `tail_s` after the last sample,
    or when the far end hangs up. Raises `ClaimlineError` for a file that cannot be read, `ConfigError` for settings
    that cannot be bound.
    """
    samples = await asyncio.to_thread(read_line_audio, play)
    endpoint = Endpoint(settings, lambda leg: leg.refuse(403, "Forbidden"), lambda refusal: None, on_log)
    await endpoint.start()
    try:
        leg = endpoint.dial(target, codec)
        call = _TestCall(leg, samples, on_progress)
        leg.listen(call.on_event, call.on_tick)
        ended = await _until_over(leg, call, seconds, tail_s)
    finally:
        await endpoint.stop()
    sides = (_samples(call.played), _samples(call.heard)) if stereo else (_samples(call.heard),)
    await asyncio.to_thread(write_line_audio, record, *sides)
    return CallResult(
        code=ended.code,
        reason=ended.reason,
        by=ended.by,
        answered_after_s=call.answered_after_s,
        recorded_s=len(call.heard) / LINE_FRAME_BYTES * FRAME_MS / 1000,
        played_whole=call.played_whole.done(),
        stats=ended.stats,
    )


async def _until_over(leg: Leg, call: _TestCall, seconds: float | None, tail_s: float) -> Ended:
    await _first(ANSWER_TIMEOUT_S, call.ended, call.answered)
    if call.answered.done():
        if seconds is None:
            await _first(MAX_CALL_S, call.ended, call.played_whole)
        await _first(tail_s if seconds is None else seconds, call.ended)
    if not call.ended.done():
        leg.hangup()
        await _first(HANGUP_TIMEOUT_S, call.ended)
    return call.ended.result() if call.ended.done() else Ended(408, "Request Timeout", "us")


async def _first(timeout_s: float, *futures: asyncio.Future[Any]) -> None:
    """Wait until one is done, at most `timeout_s`."""
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


def _frames(samples: Pcm) -> list[bytes]:
    pcm = samples.astype("<i2").tobytes()
    pcm += bytes(-len(pcm) % LINE_FRAME_BYTES)
    return [pcm[start : start + LINE_FRAME_BYTES] for start in range(0, len(pcm), LINE_FRAME_BYTES)]


def _samples(pcm: bytearray) -> Pcm:
    return np.frombuffer(bytes(pcm), dtype="<i2").astype(np.int16)
