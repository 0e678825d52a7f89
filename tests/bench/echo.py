"""A speaker-phone sends the agent's own voice back: does the agent interrupt itself, and is the caller still heard?"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.config import Sip
from service.demo.processes import embedded_engine
from service.media.echo import EchoControl
from service.media.ring import UplinkFrame
from tests.acceptance.product import Service, serving
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Measurement
from tests.bench.marks import noise
from tests.bench.stats import spread
from tests.peers import Pcm
from tests.speakerphone import FRAME, FRAME_S, EchoPath, Speakerphone
from tests.speech_material import PROMPTS, load

TAIL_MS = Sip().echo_tail_ms
SAID_AT_S = 5.0
SAID_DBFS = -25.0
AT_ONCE = 3
LOUD = 100
QUIET_S = 0.5
"""Longer than the agent's pauses between sentences."""
RECORD_TIMEOUT_S = 15.0
"""From BYE to the call's last transcript."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call."""

    path: EchoPath | None
    tail_ms: int
    speaks: bool = False

    def __str__(self) -> str:
        echo = f"echo {self.path.level_db:g} dB, {self.path.delay_ms:g} ms" if self.path else "no echo"
        return f"{echo}, {'cancelled' if self.tail_ms else 'not cancelled'}"


SILENT = (
    *(Case(EchoPath(level_db, 150), 0) for level_db in (-10, -20, -30)),
    *(Case(EchoPath(level_db, 150), TAIL_MS) for level_db in (-10, -20, -30)),
    *(Case(EchoPath(-20, delay_ms), TAIL_MS) for delay_ms in (60, 250)),
    Case(None, TAIL_MS),
)
SPEAKING = tuple(
    Case(path, tail_ms, speaks=True)
    for path, tail_ms in ((None, 0), (None, TAIL_MS), (EchoPath(-20, 150), TAIL_MS), (EchoPath(-10, 150), TAIL_MS))
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a call."""

    heard: Pcm
    record: dict[str, Any]

    @property
    def interruptions(self) -> int:
        """Of the agent."""
        return int(self.record["quality"]["interruptions"])

    @property
    def spoke_s(self) -> float:
        """How long sound came."""
        return FRAME_S * int(np.count_nonzero(loud(self.heard)))

    @property
    def silent_after_ms(self) -> float:
        """From the begin of the caller's words to the end of the agent's."""
        frames = loud(self.heard)[round(SAID_AT_S / FRAME_S) :]
        quiet = np.lib.stride_tricks.sliding_window_view(~frames, round(QUIET_S / FRAME_S)).all(axis=1)
        return 1000 * FRAME_S * int(np.argmax(quiet))


def measure(bench: Bench) -> Measurement:
    """With the embedded engine's ears and voice."""
    seconds = bench.lengths.echo_s
    with tempfile.TemporaryDirectory(prefix="claimline-echo-") as scratch:
        seen = asyncio.run(_calls(bench, Path(scratch), (*SILENT, *SPEAKING), seconds))
    figures = []
    for case in SILENT:
        aim = 0 if case.tail_ms else None
        figures += [
            Figure(f"{case}: interruptions", seen[case].interruptions, "", aim=aim),
            Figure(f"{case}: false turns", len(seen[case].record["turns"]), "", aim=aim),
            Figure(f"{case}: agent heard for", seen[case].spoke_s, "s"),
        ]
    for case in SPEAKING:
        figures.append(Figure(f"caller speaks, {case}: agent silent after", seen[case].silent_after_ms, "ms"))
    costs = spread(_costs_us())
    figures += [Figure("a frame while the agent speaks p50", costs.p50, "µs", aim=100)]
    return Measurement(
        "Echo of the agent's own voice",
        f"calls of {seconds:g} s, {AT_ONCE} at once, to the embedded engine (Silero VAD, threshold 0.5; the greeting"
        " lasts nearly 10 s) by a telephone that sends back what it plays: G.711 both ways, the level by energy, the"
        " delay without the telephone's jitter buffer of 40 ms, a room of 60 ms; in the last rows its owner says a"
        f" sentence at {SAID_AT_S:g} s, at {SAID_DBFS:g} dBFS",
        tuple(figures),
    )


def loud(heard: Pcm) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which frames of 20 ms have sound in them."""
    frames: np.ndarray[Any, np.dtype[np.bool_]] = np.abs(heard.reshape(-1, FRAME)).max(axis=1) > LOUD
    return frames


def sentence() -> Pcm:
    """Silence, then "The conference has been extended."."""
    pcm = load(next(prompt for prompt in PROMPTS if prompt.name == "conf-extended")).astype(np.float64)
    active = pcm[np.abs(pcm) > np.abs(pcm).max() / 50]
    pcm *= 32768 * 10 ** (SAID_DBFS / 20) / np.sqrt(np.mean(active**2))
    return np.concatenate([np.zeros(round(8000 * SAID_AT_S)), pcm]).astype(np.int16)


async def _calls(bench: Bench, scratch: Path, cases: Sequence[Case], seconds: float) -> dict[Case, Seen]:
    seen: dict[Case, Seen] = {}
    line = asyncio.Semaphore(AT_ONCE)

    async def place_call(service: Service, case: Case) -> None:
        async with line:
            bench.progress(str(case))
            seen[case] = await call(service, case.path, seconds, sentence() if case.speaks else None)

    async with embedded_engine(scratch / "engine.log") as url:
        for tail_ms in dict.fromkeys(case.tail_ms for case in cases):
            place = scratch / str(tail_ms)
            place.mkdir()
            async with serving(place, url, SIP__ECHO_TAIL_MS=str(tail_ms)) as service:
                await asyncio.gather(*(place_call(service, case) for case in cases if case.tail_ms == tail_ms))
    return seen


async def call(service: Service, path: EchoPath | None, seconds: float, said: Pcm | None = None) -> Seen:
    """One call, from its INVITE to its record."""
    phone = Speakerphone(service.sip_port, path, said)
    heard = await asyncio.to_thread(phone.talk, seconds)
    async with asyncio.timeout(RECORD_TIMEOUT_S):
        while True:
            for one in await service.calls():
                record = await service.call(one["call_id"])
                if record["sip_call_id"] == phone.sip_call_id and record["result"] is not None:
                    return Seen(heard, record)
            await asyncio.sleep(0.1)


def _costs_us(frames: int = 1000) -> list[float]:
    """Of echo 20 dB down, 150 ms late."""
    played = noise(frames * FRAME_S, seed=1)
    heard = EchoPath(-20, 150).echo(played).astype(np.int16)
    control, costs = EchoControl(TAIL_MS), []
    for at in range(0, played.size, FRAME):
        frame = UplinkFrame(heard[at : at + FRAME].tobytes(), 0.0, played[at : at + FRAME].tobytes())
        begun_s = time.perf_counter()
        control.clean(frame)
        costs.append(1e6 * (time.perf_counter() - begun_s))
    return costs
