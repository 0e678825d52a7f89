"""SIP peers that are not ours, as child processes on loopback: sipp, baresip; and an RTP socket that listens closely.

Everything is bounded in time, and every process is ended by the pid that was started.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import re
import shutil
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

HOST = "127.0.0.1"
SCENARIOS = Path(__file__).parent / "sip" / "scenarios"
PACKET_BYTES = 160
PACKET_S = 0.020
MAX_GAP_P90_MS = 30.0
"""Between a live call's packets while other calls are refused. One in ten may be late by the machine's doing; `make
bench` judges the 99th percentile."""
MOST_PROCESSES = 16
"""Of pytest-xdist, side by side."""
_SO_TIMESTAMPNS = 35
"""<asm-generic/socket.h>; Python does not name it."""

Codec = Literal["PCMU", "PCMA"]
Pcm = npt.NDArray[np.int16]


# -- processes -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exit:
    """How a peer ended. `code` None: it had to be killed."""

    code: int | None
    output: str
    messages: str = ""
    """All SIP messages (sipp only)."""

    def statuses(self, method: str = "INVITE") -> list[int]:
        """Final and provisional status codes that came for `method`, in order."""
        pattern = rf"SIP/2\.0 (\d{{3}}) [^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*?CSeq: *\d+ +{method}\b"
        return [int(code) for code in re.findall(pattern, self.messages)]


async def run(
    arguments: Sequence[str | Path], *, timeout_s: float, cwd: Path, env: Mapping[str, str] | None = None
) -> Exit:
    """Run a program to its end, kill it by pid after `timeout_s`."""
    child = await asyncio.create_subprocess_exec(
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(), timeout_s)
        code = child.returncode
    except TimeoutError:
        output, code = b"", None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return Exit(code, output.decode(errors="replace"))


def _ports() -> Iterator[int]:
    """Every fourth of this process, in an order of its own."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % MOST_PROCESSES
    own = list(range(20_000 + 4 * process, 30_000, 4 * MOST_PROCESSES))
    random.SystemRandom().shuffle(own)
    return itertools.cycle(own)


_PORTS = _ports()


def free_port() -> int:
    """A port that is free now by UDP and TCP, and most likely the three behind it.

    It is none that the system gives to whoever asks for any port, nor one for another process of these tests, nor one
    that was given lately: so it can be left and taken again.
    """
    while True:
        port = next(_PORTS)
        with contextlib.suppress(OSError), occupied(port):
            return port


@contextlib.contextmanager
def occupied(port: int) -> Iterator[None]:
    """Somebody else listens on the port, by UDP and TCP."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        udp.bind((HOST, port))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((HOST, port))
        tcp.listen()
        yield


async def sipp(
    scenario: str | Path,
    port: int,
    workdir: Path,
    *,
    calls: int = 1,
    per_second: float | None = None,
    at_once: int | None = None,
    transport: Literal["udp", "tcp"] = "udp",
    source: str = HOST,
    timeout_s: float = 20.0,
    arguments: Sequence[str] = (),
    **values: object,
) -> Exit:
    """Run a sipp scenario (a name under ``tests/sip/scenarios`` or a path) against ``127.0.0.1:port``.

    `values` replace ``@name@`` in the scenario. `Exit.code` is sipp's: 0 only if every call went as the scenario says.
    """
    text = (scenario if isinstance(scenario, Path) else SCENARIOS / f"{scenario}.xml").read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    local_port = free_port()
    unique = f"{local_port}-{time.monotonic_ns()}"
    (workdir / f"{unique}.xml").write_text(text)
    messages = workdir / f"{unique}.log"
    command = ["sipp", f"{HOST}:{port}", "-sf", workdir / f"{unique}.xml", "-i", source, "-p", local_port]
    command += ["-m", calls, "-r", per_second or calls, "-l", at_once or calls, "-mp", free_port(), "-nostdin"]
    command += ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-timeout", f"{timeout_s:.0f}s", "-timeout_error"]
    command += ["-trace_msg", "-message_file", messages, *arguments]
    ended = await run([str(part) for part in command], timeout_s=timeout_s + 2, cwd=workdir, env={"TERM": "dumb"})
    return Exit(ended.code, ended.output, messages.read_text(errors="replace") if messages.exists() else "")


async def place_call(
    speech: Path,
    port: int,
    workdir: Path,
    *,
    codec: Codec = "PCMU",
    user: str = "100",
    talk_s: float | None = None,
    by_callee: bool = False,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
) -> Exit:
    """A whole call by sipp: plays a raw G.711 file by its own RTP, hangs up after `talk_s` (default: its length).

    With `by_callee` the far end is to hang up, within `timeout_s`.
    """
    return await sipp(
        "play_until_bye" if by_callee else "play",
        port,
        workdir,
        timeout_s=timeout_s,
        file=speech,
        pt={"PCMU": 0, "PCMA": 8}[codec],
        codec=codec,
        user=user,
        talk_ms=round(1000 * (_seconds(speech) if talk_s is None else talk_s)),
        headers="\n      ".join(f"{name}: {value}" for name, value in (headers or {}).items()) or "X-None: none",
    )


async def baresip_call(
    target: str, wav: Path, workdir: Path, *, codec: Codec = "PCMU", seconds: float = 3.0, transport: str = "udp"
) -> tuple[Exit, Path | None]:
    """A call by baresip: plays `wav` (8 kHz mono), records what it hears; returns the recording, if any."""
    home = workdir / f"baresip-{time.monotonic_ns()}"
    home.mkdir(parents=True)
    # Its recorder cuts file names off at 128 bytes: the path is relative.
    (home / "config").write_text(
        f"sip_listen {HOST}:{free_port()}\nnet_interface {HOST}\nmodule_path {_baresip_modules()}\n"
        f"audio_player aubridge,x\naudio_source aufile,{wav}\naudio_alert aubridge,x\n"
        f"ausrc_srate 8000\nauplay_srate 8000\n"
        f"audio_channels 1\nrtp_ports 30000-30999\nsnd_path .\n"
        + "".join(f"module {name}.so\n" for name in ("g711", "aufile", "aubridge", "sndfile"))
        + "module_app account.so\nmodule_app menu.so\n"
    )
    (home / "accounts").write_text(f"<sip:peer@{HOST};transport={transport}>;regint=0;audio_codecs={codec}/8000/1\n")
    (home / "contacts").touch()
    command = ["baresip", "-f", home, "-e", f"/dial {target}", "-t", f"{seconds:.0f}"]
    ended = await run([str(part) for part in command], timeout_s=seconds + 10, cwd=home)
    recordings = sorted(home.glob("*dec.wav"))
    return ended, recordings[0] if recordings else None


@contextlib.asynccontextmanager
async def callee(
    scenario: str, workdir: Path, *, transport: str = "udp", arguments: Sequence[str] = (), **values: object
) -> AsyncIterator[int]:
    """A sipp that waits for calls; gives its port. Killed by pid at the end."""
    text = (SCENARIOS / f"{scenario}.xml").read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    port = free_port()
    path = workdir / f"callee-{port}.xml"
    path.write_text(text)
    command = ["sipp", "-sf", str(path), "-i", HOST, "-p", str(port), "-mp", str(free_port()), "-nostdin", *arguments]
    child = await asyncio.create_subprocess_exec(
        *command,
        "-t",
        {"udp": "u1", "tcp": "t1"}[transport],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=workdir,
        env={**os.environ, "TERM": "dumb"},
    )
    try:
        await _listens(port, transport)
        yield port
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


def echoing_callee(
    workdir: Path, *, transport: str = "udp", codec: Codec = "PCMU"
) -> contextlib.AbstractAsyncContextManager[int]:
    """Answers and sends every RTP packet back."""
    kind = {"PCMU": 0, "PCMA": 8}[codec]
    return callee("answer", workdir, transport=transport, arguments=("-rtp_echo",), pt=kind, codec=codec)


def refusing_callee(workdir: Path) -> contextlib.AbstractAsyncContextManager[int]:
    """Answers 404."""
    return callee("not_found", workdir)


async def _listens(port: int, transport: str) -> None:
    """Wait until somebody has bound the port."""
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    async with asyncio.timeout(10):
        while True:
            try:
                with socket.socket(type=kind) as probe:
                    probe.bind((HOST, port))
            except OSError:
                return
            await asyncio.sleep(0.02)


def _baresip_modules() -> Path:
    places = (Path("/usr/lib/baresip/modules"), *Path("/usr/lib").glob("*/baresip/modules"))
    return next(path for path in places if path.is_dir())


def _seconds(speech: Path) -> float:
    return speech.stat().st_size / 8000


def missing_peers() -> str:
    """Which of the Debian packages is not installed; empty: none is missing."""
    needed = {"sipp": "sip-tester", "baresip": "baresip-core", "sox": "sox"}
    return ", ".join(package for program, package in needed.items() if shutil.which(program) is None)


# -- RTP -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet as it came; `arrived_s` on the monotonic clock."""

    arrived_s: float
    sequence: int
    timestamp: int
    payload_type: int
    payload: bytes


@dataclass
class RtpPeer:
    """An RTP socket with its own clock: plays to whoever the SDP named and records what comes, with arrival times.

    Name `port` in the SDP of a sipp scenario; it learns the far end's address from the first packet that comes.
    """

    payload_type: int = 0
    packets: list[Packet] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)
    """When each packet of `play` left, on the monotonic clock."""

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.settimeout(0.1)
        # The kernel's time of arrival: our own threads and the interpreter lock do not blur it.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.port = int(self._socket.getsockname()[1])
        self._far_end: tuple[str, int] | None = None
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def play(self, payload: bytes, *, ptime_ms: int = 20) -> None:
        """Send `payload` (8,000 octets a second) on a steady clock, once the far end is known."""
        thread = threading.Thread(target=self._send, args=(payload, ptime_ms), daemon=True)
        self._threads.append(thread)
        thread.start()

    def digit(
        self, event: int, *, packets: int = 5, end_packets: int = 3, payload_type: int = 101, timestamp: int = 0
    ) -> None:
        """Send a telephone-event (RFC 4733) of 20 ms a packet; `end_packets` 0 loses its end."""
        for number in range(1, packets + 1):
            self._event(
                event, 160 * number, last=False, first=number == 1, payload_type=payload_type, timestamp=timestamp
            )
            time.sleep(PACKET_S)
        for _ in range(end_packets):
            self._event(event, 160 * packets, last=True, first=False, payload_type=payload_type, timestamp=timestamp)

    def gaps_ms(self) -> npt.NDArray[np.float64]:
        """Times between the arrivals of neighbouring packets."""
        return np.diff([packet.arrived_s for packet in self.packets]) * 1000

    def heard(self) -> Pcm:
        """What came, decoded in the order of arrival."""
        decode = {0: ulaw_decode, 8: alaw_decode}
        parts = [decode[p.payload_type](p.payload) for p in self.packets if p.payload_type in decode]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def close(self) -> None:
        """End the threads and the socket."""
        self._closing.set()
        for thread in self._threads:
            thread.join(5)
        self._socket.close()

    def __enter__(self) -> RtpPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        wall_minus_monotonic_s = time.time() - time.monotonic()
        while not self._closing.is_set():
            try:
                data, ancillary, _, address = self._socket.recvmsg(2048, 64)
            except TimeoutError:
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            arrived_s = seconds + nanoseconds / 1e9 - wall_minus_monotonic_s
            self._far_end = address
            if len(data) >= 12 and not 200 <= data[1] <= 207:  # RTCP of a neighbour may stray in here.
                _, kind, sequence, timestamp = struct.unpack("!BBHI", data[:8])
                self.packets.append(Packet(arrived_s, sequence, timestamp, kind & 0x7F, data[12:]))

    def _send(self, payload: bytes, ptime_ms: int) -> None:
        while self._far_end is None and not self._closing.wait(0.005):
            pass
        size, begin_s = 8 * ptime_ms, time.monotonic()
        for number, start in enumerate(range(0, len(payload), size)):
            if self._closing.wait(max(0.0, begin_s + number * ptime_ms / 1000 - time.monotonic())) or not self._far_end:
                return
            self.sent_s.append(time.monotonic())
            self._packet(self.payload_type, number & 0xFFFF, start, payload[start : start + size])

    def _event(self, event: int, duration: int, *, last: bool, first: bool, payload_type: int, timestamp: int) -> None:
        payload = struct.pack("!BBH", event, (0x80 if last else 0) | 10, duration)
        self._packet(payload_type | (0x80 if first else 0), self._next_event_sequence(), timestamp, payload)

    def _next_event_sequence(self) -> int:
        self._event_sequence = getattr(self, "_event_sequence", 999) + 1
        return self._event_sequence

    def _packet(self, kind: int, sequence: int, timestamp: int, payload: bytes) -> None:
        if self._far_end is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(
                    struct.pack("!BBHII", 0x80, kind, sequence, timestamp, 4711) + payload, self._far_end
                )


@contextlib.asynccontextmanager
async def talking(
    port: int, workdir: Path, *, payload: bytes = b"", codec: Codec = "PCMU", talk_s: float = 2.0
) -> AsyncIterator[RtpPeer]:
    """A call by sipp whose RTP is an `RtpPeer`; inside the block the call lives, at its end it is hung up."""
    kind = {"PCMU": 0, "PCMA": 8}[codec]
    with RtpPeer(kind) as rtp:
        if payload:
            rtp.play(payload)
        async with asyncio.TaskGroup() as group:
            call = group.create_task(
                sipp(
                    "call",
                    port,
                    workdir,
                    timeout_s=talk_s + 15,
                    rtp_port=rtp.port,
                    pt=kind,
                    codec=codec,
                    talk_ms=round(talk_s * 1000),
                )
            )
            await heard_from(rtp)
            yield rtp
            ended = await call
        assert ended.code == 0, ended.output + ended.messages


async def heard_from(rtp: RtpPeer, packets: int = 1, timeout_s: float = 10.0) -> None:
    """Wait until that many packets have come."""
    async with asyncio.timeout(timeout_s):
        while len(rtp.packets) < packets:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# -- sound ---------------------------------------------------------------------------------------------------------


def tone(frequency_hz: float, seconds: float, amplitude: float = 8000.0) -> Pcm:
    """A sine at 8 kHz."""
    return np.rint(amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(int(8000 * seconds)) / 8000)).astype(
        np.int16
    )


def ulaw_decode(payload: bytes) -> Pcm:
    """ITU-T G.711 µ-law."""
    code = ~np.frombuffer(payload, np.uint8).astype(np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def alaw_decode(payload: bytes) -> Pcm:
    """ITU-T G.711 A-law."""
    code = np.frombuffer(payload, np.uint8).astype(np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def encode(pcm: Pcm, codec: Codec) -> bytes:
    """The nearest of the 256 values of G.711."""
    decode = {"PCMU": ulaw_decode, "PCMA": alaw_decode}[codec]
    values = decode(bytes(range(256))).astype(np.int32)
    order = np.argsort(values, kind="stable")
    middles = (values[order][1:] + values[order][:-1]) / 2
    return order[np.searchsorted(middles, pcm)].astype(np.uint8).tobytes()


def loudest_hz(pcm: npt.NDArray[np.int16] | npt.NDArray[np.float64]) -> float:
    """The frequency of the strongest line in the spectrum."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.fft.rfftfreq(len(pcm), 1 / 8000)[int(np.argmax(spectrum))])
