"""A telephone whose loudspeaker is heard by its microphone: a real call over SIP that sends back what it hears."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.bench.rtp import RtpSocket
from tests.bench.sip_call import SipCall
from tests.peers import Pcm, encode, ulaw_decode

RATE_HZ = 8000
FRAME = 160
FRAME_S = 0.020
PREFETCH_FRAMES = 2
"""Of the telephone's own jitter buffer: 40 ms."""
ROOM_MS = 60
ROOM_FALL_DB = 30.0
"""How much weaker reflections are at the end of the room's response."""


@dataclass(frozen=True, slots=True)
class EchoPath:
    """From what a telephone plays to what it sends: `level_db` of the energy, `delay_ms` late, spread by a room."""

    level_db: float
    delay_ms: float
    seed: int = 5

    def response(self) -> npt.NDArray[np.float64]:
        """Impulse response at 8 kHz, the delay included."""
        count = ROOM_MS * RATE_HZ // 1000
        room = np.random.default_rng(self.seed).standard_normal(count)
        room *= 10 ** (-ROOM_FALL_DB / 20 * np.arange(count) / count)
        room[0] = 3.0  # straight from the loudspeaker
        room *= 10 ** (self.level_db / 20) / np.sqrt(np.sum(room**2))
        return np.concatenate([np.zeros(round(self.delay_ms * RATE_HZ / 1000)), room])

    def echo(self, played: Pcm) -> npt.NDArray[np.float64]:
        """What comes back of all that was played, in step with it."""
        return np.convolve(played, self.response())[: played.size]


class Speakerphone:
    """One call, PCMU both ways. `path` None: a handset that lets nothing through.

    Blocks: run it in a thread. `said` is what its owner says meanwhile, from the begin of the talk on.
    """

    def __init__(self, sip_port: int, path: EchoPath | None, said: Pcm | None = None) -> None:
        self._rtp = RtpSocket(ssrc=4711)
        self._sip = SipCall(sip_port, self._rtp.port)
        self._response = path.response() if path else np.zeros(1)
        self._said = np.zeros(0, np.int16) if said is None else said
        self._loudspeaker: npt.NDArray[np.float64] = np.zeros(self._response.size - 1 + FRAME)
        self._plays = False

    @property
    def sip_call_id(self) -> str:
        """Call-ID of its dialog."""
        return self._sip.call_id

    def talk(self, seconds: float) -> Pcm:
        """Dial, talk for so long, hang up. Gives what was heard, from the begin of the talk on."""
        _, self._rtp.far_end = self._sip.dial()
        begin_s = time.monotonic()
        heard: list[Pcm] = []
        for number in range(round(seconds / FRAME_S)):
            self._wait_until(begin_s + number * FRAME_S)
            heard.append(self._play())
            self._rtp.send(self._rtp.packet(number, encode(self._picked_up(number), "PCMU")))
            if self._sip.ended:
                break
        self._sip.hang_up()
        self._rtp.close()
        return np.concatenate(heard)

    def _wait_until(self, due_s: float) -> None:
        while (left_s := due_s - time.monotonic()) > 0:
            readable = select.select([self._rtp.fileno(), self._sip.fileno()], [], [], left_s)[0]
            if self._rtp.fileno() in readable:
                self._rtp.receive()
            if self._sip.fileno() in readable:
                self._sip.receive()

    def _play(self) -> Pcm:
        """The next frame of the jitter buffer; loopback neither loses nor reorders."""
        arrivals = self._rtp.arrivals
        self._plays = self._plays or len(arrivals) > PREFETCH_FRAMES
        frame = ulaw_decode(arrivals.pop(0).payload) if self._plays and arrivals else np.zeros(FRAME, np.int16)
        self._loudspeaker = np.concatenate([self._loudspeaker[FRAME:], frame])
        return frame

    def _picked_up(self, number: int) -> Pcm:
        echo = np.convolve(self._loudspeaker, self._response, "valid")
        said = self._said[number * FRAME : (number + 1) * FRAME]
        return np.rint(echo + np.pad(said, (0, FRAME - said.size))).clip(-32768, 32767).astype(np.int16)
