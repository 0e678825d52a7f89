"""Whether the ports that the configuration names can be had."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from service.check.finding import Finding
from service.config import Config, Sip

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The ports that Linux gives to outgoing connections."""
PAIRS_PER_SLOT = 2
"""A pair stays taken for half a second after its call."""
HINT_RUNNING = "a worker that runs here already answers on http.port, so it is probably that one"

Probe = Callable[[socket.SocketKind, str, int], str | None]


def why_taken(kind: socket.SocketKind, host: str, port: int) -> str | None:
    """What the system says to a bind of UDP or TCP; None where the port is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # As a server would: connections of the last one that linger are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def ephemeral_ports() -> range:
    """Empty where the system does not tell."""
    try:
        low, high = EPHEMERAL.read_text("ascii").split()
        return range(int(low), int(high) + 1)
    except (OSError, ValueError):
        return range(0)


async def sip(config: Config, *, running: bool, probe: Probe = why_taken) -> list[Finding]:
    """UDP and TCP on `sip.port`. `running`: a worker of ours lives here and may hold it."""
    kinds = {"UDP": socket.SOCK_DGRAM, "TCP": socket.SOCK_STREAM}
    bind, port = config.sip.bind, config.sip.port
    taken = {name: why for name, kind in kinds.items() if (why := probe(kind, bind, port))}
    if not taken:
        return [Finding("sip", "ok", f"sip.port {port} on {bind} is free for UDP and TCP")]
    says = f"sip.port {port} on {bind}: " + "; ".join(f"{name}: {why}" for name, why in taken.items())
    return [_taken("sip", says, "end what uses it (ss -lntup), or set sip.port or sip.bind", running=running)]


async def http(config: Config, *, running: bool, probe: Probe = why_taken) -> list[Finding]:
    """TCP on `http.port`."""
    bind, port = config.http.bind, config.http.port
    why = probe(socket.SOCK_STREAM, bind, port)
    if why is None:
        return [Finding("http", "ok", f"http.port {port} on {bind} is free")]
    says = f"http.port {port} on {bind}: {why}"
    return [_taken("http", says, "end what uses it (ss -lntp), or set http.port or http.bind", running=running)]


async def rtp(
    config: Config, slots: int, *, probe: Probe = why_taken, ephemeral: Callable[[], range] = ephemeral_ports
) -> list[Finding]:
    """UDP from `sip.rtp_port_min` on: two ports for each of `slots` calls that PJSIP can hold."""
    pairs = [(port, port + 1) for port in _even_ports(config.sip)]
    free = sum(all(probe(socket.SOCK_DGRAM, config.sip.bind, port) is None for port in pair) for pair in pairs)
    of = f"{free} of {len(pairs)} pairs of sip.rtp_port_min to sip.rtp_port_max are free"
    mend = "widen the range, or end what uses it (ss -lnup)"
    if free < slots:
        return [Finding("rtp", "failed", f"{of}, and {slots} calls need {slots}", mend)]
    if free < PAIRS_PER_SLOT * slots:
        return [Finding("rtp", "warning", f"{of}: too few where calls follow each other closely", mend)]
    given = ephemeral()
    if max(given.start, config.sip.rtp_port_min) < min(given.stop, config.sip.rtp_port_max + 1):
        return [
            Finding(
                "rtp",
                "warning",
                f"{of}, but the system gives {given.start} to {given.stop - 1} to outgoing connections",
                "move the range out of it, or add it to net.ipv4.ip_local_reserved_ports",
            )
        ]
    return [Finding("rtp", "ok", f"{of}, for {slots} calls")]


def _even_ports(sip: Sip) -> range:
    return range(sip.rtp_port_min + sip.rtp_port_min % 2, sip.rtp_port_max, 2)


def _taken(subject: str, says: str, mend: str, *, running: bool) -> Finding:
    if running:
        return Finding(subject, "warning", says, HINT_RUNNING)
    return Finding(subject, "failed", says, mend)
