"""The demo's caller: hears the line, waits for the agent to finish, speaks, interrupts once, hangs up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import numpy as np

from service.call.leg import Confirmed, Ended, Leg, LegEvent
from service.demo.script import Line, ScriptedCaller, asks_to_wait
from service.media.resample import Pcm
from service.media.ring import FRAME_MS, LINE_FRAME_BYTES, SILENCE, DownlinkFrame

LOUD = 150.0
"""Root mean square of a frame (of 32,768) above which the agent is speaking."""
PATIENCE_MS = 800
"""Silence of the agent after which it has finished: longer than its pause between two sentences."""
REACTION_MS = 250
TAIL_MS = 200
"""From the end of the caller's last word to hanging up: before turn detection has seen the end of the turn."""
DEAF_AFTER_S = 30.0
"""A caller who hears nothing for this long hangs up."""

CHARACTERS_PER_S = 15.0
"""What the engine's voice speaks, roughly."""

AgentText = Callable[[], Awaitable[str]]
"""What the agent has said since the caller's last turn, as far as known."""


class DemoCaller:
    """One call from the caller's side. Every 20 ms tick records one frame of each direction."""

    def __init__(
        self, leg: Leg, voice: Callable[[str], Pcm], agent_text: AgentText, on_say: Callable[[Line], None]
    ) -> None:
        self._leg = leg
        self._on_say = on_say
        self._voice = voice
        self._agent_text = agent_text
        self._script = ScriptedCaller()
        self._speaking: deque[bytes] = deque()
        self._agent_silent_ms = 0
        self._agent_spoke_ms = 0
        self._waiting_ms = 0
        self._since_spoke_ms = 0
        self._ticked = asyncio.Event()
        self._confirmed = False
        self.ended: Ended | None = None
        self.said: list[Line] = []
        self.left = bytearray()
        """What the caller sent, PCM16 8 kHz."""
        self.right = bytearray()
        """What the caller heard, PCM16 8 kHz."""

    # -- the line --------------------------------------------------------------------------------------------------

    def on_event(self, event: LegEvent) -> None:
        """From the leg."""
        match event:
            case Confirmed():
                self._confirmed = True
            case Ended():
                self.ended = event
            case _:
                pass
        self._ticked.set()

    def on_tick(self) -> None:
        """From the leg, once per 20 ms."""
        audio = self._leg.audio
        for frame in audio.take_uplink():
            self.right += frame.pcm
            self._hear(frame.pcm)
        for played in audio.take_played():
            self.left += played.frame.pcm
        self._since_spoke_ms = 0 if self._speaking else self._since_spoke_ms + FRAME_MS
        while audio.room:
            audio.put_downlink(DownlinkFrame(self._speaking.popleft() if self._speaking else SILENCE))
        self._ticked.set()

    def _hear(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        self._waiting_ms += FRAME_MS
        if float(np.sqrt(np.mean(samples * samples))) > LOUD:
            self._agent_silent_ms = self._waiting_ms = 0
            self._agent_spoke_ms += FRAME_MS
        else:
            self._agent_silent_ms += FRAME_MS

    # -- the person ------------------------------------------------------------------------------------------------

    async def talk(self) -> None:
        """Answer the agent until one side hangs up."""
        while self.ended is None:
            line = await self._listen()
            if line is None:
                break
            await self._say(line)
            if line.hang_up:
                await self._until(lambda: self._since_spoke_ms >= TAIL_MS)
                break
        self._leg.hangup()
        await self._until(lambda: self.ended is not None, 5.0)

    async def _listen(self) -> Line | None:
        """Wait for the agent's words to end, or for the point at which to cut in."""
        self._agent_spoke_ms = self._waiting_ms = 0
        asked_at_ms = 0
        while self.ended is None:
            await self._tick()
            if self._agent_spoke_ms - asked_at_ms >= 5 * FRAME_MS:
                asked_at_ms = self._agent_spoke_ms
                interruption = await self._maybe_interrupt()
                if interruption is not None:
                    return interruption
            if self._agent_spoke_ms and self._agent_silent_ms >= PATIENCE_MS:
                text = await self._agent_text()
                if not asks_to_wait(text):
                    return self._script.next_line(text)
                self._agent_spoke_ms = asked_at_ms = 0
            if self._waiting_ms > DEAF_AFTER_S * 1000:
                return None
        return None

    async def _maybe_interrupt(self) -> Line | None:
        text = await self._agent_text()
        point = self._script.interruption_point(text)
        if point is None:
            return None
        # The text is there before the sound; she cuts in when as much has been heard as a voice takes to say it.
        spoken_ms = 1000 * point / CHARACTERS_PER_S
        await self._until(lambda: self._agent_spoke_ms >= spoken_ms)
        return self._script.interrupt_when(text)

    async def _say(self, line: Line) -> None:
        pcm = (await asyncio.to_thread(self._voice, line.text)).astype("<i2").tobytes()
        if not line.interrupts:
            self._speaking.extend([SILENCE] * (REACTION_MS // FRAME_MS))
        for start in range(0, len(pcm), LINE_FRAME_BYTES):
            self._speaking.append(pcm[start : start + LINE_FRAME_BYTES].ljust(LINE_FRAME_BYTES, b"\0"))
        self.said.append(line)
        self._on_say(line)
        await self._until(lambda: not self._speaking)
        self._waiting_ms = 0

    async def _tick(self) -> None:
        self._ticked.clear()
        await self._ticked.wait()

    async def _until(self, reached: Callable[[], bool], timeout_s: float | None = None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not reached() and (self.ended is None or timeout_s is not None):
                    await self._tick()
        except TimeoutError:
            pass
