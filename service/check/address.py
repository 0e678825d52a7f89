"""Which address callers are told, in Contact and SDP, and whether they can reach it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from service.check.finding import Finding
from service.config import Config, Sip

WILDCARD = "0.0.0.0"
ANYWHERE = "192.0.2.1"
"""Stands for all addresses where their route is asked for: of documentation (RFC 5737), so nobody's."""


def is_local(address: str) -> bool:
    """Whether an interface of this machine has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def towards(peer: str) -> str | None:
    """The local address from which `peer` is reached; None where there is no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))  # Sends nothing.
        except OSError:
            return None
        return str(probe.getsockname()[0])


async def check(
    config: Config,
    is_local: Callable[[str], bool] = is_local,
    towards: Callable[[str], str | None] = towards,
) -> list[Finding]:
    """The address in SDP against where callers are."""
    sip = config.sip
    for name, value in (("bind", sip.bind), ("public_address", sip.public_address)):
        if value is not None and not _is_ipv4(value):
            return [_failed(f"sip.{name} is {value}, which is no IPv4 address", f"set sip.{name} to one")]
    outside = [network for network in sip.allowed_peers if network.version == 4 and network.is_global]
    abroad = [network for network in sip.allowed_peers if not network.is_loopback]
    if sip.public_address is not None:
        return [_public(sip, sip.public_address, outside=bool(outside), abroad=bool(abroad), is_local=is_local)]
    told = sip.bind if sip.bind != WILDCARD else None
    if told is None and outside:
        first = outside[0].network_address
        told = towards(ANYWHERE if first.is_unspecified else str(first))
        if told is None:
            return [_failed(f"there is no route to {outside[0]}", "mend the network, or sip.allowed_peers")]
    if told is not None and ipaddress.ip_address(told).is_loopback and abroad:
        return [_failed(f"sip.bind is {told}: only this machine can call", f"set sip.bind to {WILDCARD}")]
    if told is not None and ipaddress.ip_address(told).is_private and outside:
        return [
            Finding(
                "address",
                "warning",
                f"callers from {outside[0]} are told to send their audio to {told}, a private address",
                f"set sip.public_address, and forward {_ports(sip)} unchanged, unless that network is reached directly",
            )
        ]
    return [Finding("address", "ok", f"callers are told {told or 'the address of the route to them'}")]


def _public(sip: Sip, address: str, *, outside: bool, abroad: bool, is_local: Callable[[str], bool]) -> Finding:
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified or ip.is_multicast or (ip.is_loopback and abroad):
        return _failed(f"sip.public_address is {address}: callers cannot send audio there", "set what they can reach")
    if ip.is_private and outside:
        return Finding(
            "address",
            "warning",
            f"sip.public_address is {address}, a private address, and sip.allowed_peers has public networks",
            "set the address that the trunk reaches",
        )
    if not is_local(address):
        return Finding(
            "address",
            "warning",
            f"sip.public_address {address} is not on this machine, and whether it leads here cannot be seen from here",
            f"forward {_ports(sip)} to this machine unchanged; then call it once from outside",
        )
    return Finding("address", "ok", f"callers are told {address}, which is on this machine")


def _ports(sip: Sip) -> str:
    return f"UDP and TCP {sip.port} and UDP {sip.rtp_port_min} to {sip.rtp_port_max}"


def _failed(says: str, mend: str) -> Finding:
    return Finding("address", "failed", says, mend)


def _is_ipv4(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True
