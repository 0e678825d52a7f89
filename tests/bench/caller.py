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
    begin_ns: int
    lost: frozenset[int]
    """Frames that the path did not let through."""
    late_ns: list[int] = field(default_factory=list)
    """How much behind its moment each packet left."""


class Caller:
    """One call."""

    def __init__(self, sip_port: int, number: int) -> None:
        self.number = number
        self.rtp = RtpSocket(ssrc=4711 + number)
        self.sip = SipCall(sip_port, self.rtp.port)
        self.setup_s, self.rtp.far_end = self.sip.dial()

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
    with exact():
        begin_ns = _clock_of_the_service(callers) + 3 * FRAME_NS
        schedule: list[tuple[int, Action]] = [(begin_ns + round(due_s * 1e9), action) for due_s, action in at]
        speeches = []
        for index, caller in enumerate(callers):
            part = (index + 0.5) / len(callers) if phase is None else phase
            speech, packets = _speech(caller, seconds, begin_ns + round(part * FRAME_NS), network)
            speeches.append(speech)
            schedule += packets
        schedule.append((begin_ns + round(seconds * 1e9), lambda: None))
        schedule.sort(key=lambda entry: entry[0])
        _run(callers, schedule)
    return speeches


def _speech(caller: Caller, seconds: float, begin_ns: int, network: Network) -> tuple[Speech, list[tuple[int, Action]]]:
    chance = random.Random(caller.number)
    sent = noise(seconds, seed=caller.number)
    payload = encode(sent, "PCMU")
    frames = range(round(seconds * RATE_HZ) // FRAME_SAMPLES)
    lost = frozenset(number for number in frames if chance.random() < network.loss)
    # What is late by the mean of the path counts as on time.
    speech = Speech(sent, begin_ns + round(network.jitter_ms * 1e6), lost)
    packets: list[tuple[int, Action]] = []
    for number in frames:
        due_ns = speech.begin_ns + number * FRAME_NS + round(chance.uniform(-1, 1) * network.jitter_ms * 1e6)
        if number not in lost:
            packet = caller.rtp.packet(number, payload[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES])
            packets.append((due_ns, _sending(caller.rtp, packet, due_ns, speech.late_ns)))
    return speech, packets


def _sending(rtp: RtpSocket, packet: bytes, due_ns: int, late_ns: list[int]) -> Action:
    def send() -> None:
        late_ns.append(time.monotonic_ns() - due_ns)
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
