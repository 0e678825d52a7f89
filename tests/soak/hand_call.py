"""One call in memory on a hand-wound clock: the caller's script on one end of the line, what the line carried on it."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from structlog.testing import capture_logs

from service.call.leg import Digit
from service.call.tools import TOOLS
from service.clock import Clock
from service.config import Realtime, Transcription
from service.media.ring import FRAME_MS, LINE_FRAME_SAMPLES, SILENCE, AudioHandover, DownlinkFrame
from service.outbox.outbox import Outbox
from service.realtime.payload import session_payload
from tests.call.test_runner import World
from tests.soak.codewords import spoken
from tests.soak.memory_server import MemoryServer, MemorySession
from tests.soak.scripts import Turn

WALL_S = 1_700_000_000.0
BEGIN_S = 2.0
"""After which the line runs: by then the call is answered."""
END_S = 8.0
"""Of quiet before the caller hangs up."""


class Line(AudioHandover):
    """The hand-over to the clock thread, which here also keeps what was played."""

    def __init__(self) -> None:
        super().__init__()
        self.tick = 0
        self.played: defaultdict[str, list[int]] = defaultdict(list)
        """By item, the ticks of 20 ms that carried it."""
        self.played_ms: defaultdict[str, float] = defaultdict(float)
        self._laid: deque[DownlinkFrame] = deque()

    def put_downlink(self, frame: DownlinkFrame) -> None:
        self._laid.append(frame)
        super().put_downlink(frame)

    def flush_downlink(self) -> list[DownlinkFrame]:
        self._laid.clear()
        return super().flush_downlink()

    def take_downlink(self, now_s: float) -> bytes:
        frame = self._laid.popleft() if self._laid else None
        if frame is not None and frame.item_id:
            self.played[frame.item_id].append(self.tick)
            self.played_ms[frame.item_id] += frame.item_ms
        return super().take_downlink(now_s)


@dataclass(slots=True)
class HandCall:
    """What is left of a call. Ticks are 20 ms, counted from the caller's first frame; `begun_s` is when that was."""

    line: Line
    sessions: list[MemorySession]
    messages: list[dict[str, Any]]
    begun_s: float
    faults: list[Any] = field(default_factory=list)
    underruns: int = 0
    interrupted: int = 0
    reconnects: float = 0.0

    def exchanged_ms(self) -> list[float]:
        """When each session but the first took over, milliseconds after the caller's first frame."""
        return [1000 * (session.took_over_s - self.begun_s) for session in self.sessions[1:] if session.took_over_s]


async def held(
    said: Sequence[Turn], keys: Mapping[int, str], length_s: float, session_max_s: float, scratch: Path
) -> HandCall:
    """Hold the call. `keys` are pressed at those milliseconds."""
    loop, line = asyncio.get_running_loop(), Line()
    payload = session_payload(Realtime(), Transcription(), instructions="Say words.", tools=TOOLS)
    frames = _frames(said)
    with capture_logs() as log:
        async with await Outbox.open(scratch / "outbox.db") as outbox, asyncio.TaskGroup() as servers:
            server = MemoryServer(servers)
            world = World(
                outbox,
                server.open,
                clock=Clock(loop.time, lambda: WALL_S + loop.time()),
                audio=line,
                payload=payload,
                max_call_s=length_s + 60.0,
                session_max_s=session_max_s,
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(world.runner.run())
                await asyncio.sleep(BEGIN_S)
                begun_s = loop.time()
                for tick in range(round(1000 * (length_s + END_S)) // FRAME_MS):
                    await asyncio.sleep(begun_s + tick * FRAME_MS / 1000 - loop.time())
                    line.tick = tick
                    line.put_uplink(frames.get(tick, SILENCE), loop.time())
                    line.take_downlink(loop.time())
                    for digit in keys.get(tick * FRAME_MS, ""):
                        world.leg.on_event(Digit(digit, 100))
                    world.leg.on_tick()
                world.leg.caller_hangs_up()
            return HandCall(
                line=line,
                sessions=server.sessions,
                messages=await world.messages(),
                begun_s=begun_s,
                faults=[entry for entry in log if entry["log_level"] in {"error", "critical"}],
                underruns=world.runner.record.underruns,
                interrupted=world.runner.record.barge_ins,
                reconnects=world.counted("claimline_realtime_reconnects_total", reason="session_age"),
            )


def _frames(said: Sequence[Turn]) -> dict[int, bytes]:
    """The frames that are not silent, by their tick."""
    frames: dict[int, bytes] = {}
    for turn in said:
        first = turn.begin_ms // FRAME_MS
        words = spoken(turn.digits)
        # Not on the raster of the frames: callers do not wait for it.
        pcm = np.concatenate([np.zeros(turn.begin_ms % FRAME_MS * 8, np.int16), words])
        pcm = np.pad(pcm, (0, -pcm.size % LINE_FRAME_SAMPLES))
        for number, frame in enumerate(pcm.reshape(-1, LINE_FRAME_SAMPLES)):
            frames[first + number] = frame.tobytes()
    return frames
