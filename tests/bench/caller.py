"""Callers with exact clocks: one thread sends every packet of every call at its own moment.

One thread and no event loop, so that no interpreter lock and no queue stands between a moment and its packet: it
sleeps in select until shortly before, then watches the clock.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.marks import FRAME_MS, FRAME_NS, FRAME_SAMPLES, RATE_HZ, Pcm, noise
from tests.bench.rtp import Arrival, RtpSocket
from tests.bench.sip_call import SipCall
from tests.peers import encode

WATCH_NS = 400_000
"""Before a moment the clock is watched for so long: longer than a sleeping thread takes to wake."""
LISTEN_S = 0.4
REALTIME_PRIORITY = 10
JITTER_SEED = 1000

Action = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Network:
    """What the network does to the caller's packets: each is `jitter_ms` late, give or take `jitter_ms`."""

    jitter_ms: float = 0.0
    loss: float = 0.0


CLEAN = Network()


@dataclass
class Speech:
    """What a caller sent in one run: sample 0 was due at `begin_ns` (monotonic)."""

    sent: Pcm
    lost: frozenset[int]
    """Frames that the path did not let through."""
    begin_ns: int = 0
    late_ns: list[int] = field(default_factory=list)
    """How much behind its moment each packet left."""


class Caller:
    """One call."""

    def __init__(self, sip_port: int, number: int) -> None:
        self.number = number
        self.rtp = RtpSocket(ssrc=4711 + number)
        self.sip = SipCall(sip_port, self.rtp.port)
        self.setup_s, self.rtp.far_end = self.sip.dial()
        self.confirmed_ns = time.monotonic_ns()
        """When the ACK had been sent."""

    def hang_up(self) -> None:
        """End the call."""
        self.sip.hang_up()
        self.rtp.receive()
        self.rtp.close()

    @property
    def arrivals(self) -> list[Arrival]:
        """All that was heard."""
        return self.rtp.arrivals


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Ahead of other processes where the system lets us, and without pauses for garbage."""
    gc.disable()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_PRIORITY))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        gc.enable()


def converse(
    callers: Sequence[Caller],
    seconds: float,
    *,
    network: Network = CLEAN,
    phase: float | None = None,
    at: Sequence[tuple[float, Action]] = (),
) -> list[Speech]:
    """Every caller speaks noise of its own for `seconds`, and hears what comes.

    A caller's packets leave a fixed part of a frame after those of the service: the parts are spread evenly over the
    callers, or `phase` (0 to 1) for a single one. `at` names actions and when they are due, seconds after the begin.
    """
    # What takes time comes before the clock is read: packets that are late from the begin stay in the jitter buffer.
    speeches = [_speech(caller, seconds, network) for caller in callers]
    packets = [_packets(caller, speech, network) for caller, speech in zip(callers, speeches, strict=True)]
    with exact():
        begin_ns = _clock_of_the_service(callers) + 3 * FRAME_NS
        schedule: list[tuple[int, Action]] = [(begin_ns + round(due_s * 1e9), action) for due_s, action in at]
        for index, (speech, offsets) in enumerate(zip(speeches, packets, strict=True)):
            part = (index + 0.5) / len(callers) if phase is None else phase
            # What is late by the mean of the path counts as on time.
            speech.begin_ns = begin_ns + round(part * FRAME_NS) + round(network.jitter_ms * 1e6)
            schedule += [
                (speech.begin_ns + offset_ns, _sending(callers[index].rtp, packet, speech, offset_ns))
                for offset_ns, packet in offsets
            ]
        schedule.append((begin_ns + round(seconds * 1e9), lambda: None))
        schedule.sort(key=lambda entry: entry[0])
        _run(callers, schedule)
    return speeches


def _speech(caller: Caller, seconds: float, network: Network) -> Speech:
    chance = random.Random(caller.number)
    frames = range(round(seconds * RATE_HZ) // FRAME_SAMPLES)
    lost = frozenset(number for number in frames if chance.random() < network.loss)
    return Speech(noise(seconds, seed=caller.number), lost)


def _packets(caller: Caller, speech: Speech, network: Network) -> list[tuple[int, bytes]]:
    """Each packet that the path lets through, and when it leaves, nanoseconds after the begin."""
    chance = random.Random(caller.number + JITTER_SEED)
    payload = encode(speech.sent, "PCMU")
    packets: list[tuple[int, bytes]] = []
    for number in range(speech.sent.size // FRAME_SAMPLES):
        offset_ns = number * FRAME_NS + round(chance.uniform(-1, 1) * network.jitter_ms * 1e6)
        if number not in speech.lost:
            frame = payload[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]
            packets.append((offset_ns, caller.rtp.packet(number, frame)))
    return packets


def _sending(rtp: RtpSocket, packet: bytes, speech: Speech, offset_ns: int) -> Action:
    def send() -> None:
        speech.late_ns.append(time.monotonic_ns() - speech.begin_ns - offset_ns)
        rtp.send(packet)

    return send


def listen(callers: Sequence[Caller], seconds: float) -> None:
    """Say nothing for so long."""
    _run(callers, [(time.monotonic_ns() + round(seconds * 1e9), lambda: None)])


def _clock_of_the_service(callers: Sequence[Caller]) -> int:
    """A moment to come at which the service will send: all its calls have one clock."""
    listen(callers, LISTEN_S)
    heard = callers[0].arrivals
    if not heard:
        return time.monotonic_ns()
    parts = sorted(arrival.at_ns % FRAME_NS for arrival in heard[-10:])
    if parts[-1] - parts[0] > FRAME_NS // 2:
        parts = sorted((part + FRAME_NS // 2) % FRAME_NS for part in parts)
        part = parts[len(parts) // 2] - FRAME_NS // 2
    else:
        part = parts[len(parts) // 2]
    return (time.monotonic_ns() // FRAME_NS + 1) * FRAME_NS + part


def _run(callers: Sequence[Caller], schedule: Sequence[tuple[int, Action]]) -> None:
    listening: list[RtpSocket | SipCall] = [*(caller.rtp for caller in callers), *(caller.sip for caller in callers)]
    for due_ns, action in schedule:
        while (left_ns := due_ns - WATCH_NS - time.monotonic_ns()) > 0:
            for ready in select.select(listening, [], [], left_ns / 1e9)[0]:
                ready.receive()
        while time.monotonic_ns() < due_ns:
            pass
        action()


def frames_of(seconds: float) -> int:
    """Frames that fit into so long."""
    return round(seconds * 1000) // FRAME_MS
