"""Where webhooks may go: nowhere inside, unless it is named.

A name that is pointed at a private or metadata address must not make the service post callers' words, or its signature,
there. Names are resolved once per connection, and the connection goes to the address that was looked at.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out. Beside it lie IPv4 addresses in other forms (RFC 8215, ::/96) and site-local ones, which
`is_global` of some Pythons lets pass."""


class TargetError(OSError):
    """The address is not one that webhooks may go to; the message names the setting that allows it."""


class Targets:
    """Which addresses a URL may lead to."""

    def __init__(self, url: str, allowed_networks: Sequence[Network]) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._plain = parts.scheme == "http"
        self._networks = tuple(allowed_networks)

    def check_literal(self) -> None:
        """Raises TargetError where the URL's host is an address that it may not lead to."""
        try:
            ip_address(self._host)
        except ValueError:
            return
        self.check(self._host)

    def check(self, address: str) -> None:
        """Raises TargetError for an address that is not allowed: without TLS, all but those named."""
        ip = _innermost(ip_address(address.partition("%")[0]))
        if any(ip in network for network in self._networks):
            return
        if self._plain:
            raise TargetError(f"{self._host} is {ip}: use https, or add it to webhook.allowed_networks")
        if not ip.is_global or ip.is_multicast or (ip.version == 6 and ip not in GLOBAL_UNICAST):
            raise TargetError(f"{self._host} is {ip}, a private address: add it to webhook.allowed_networks")


class GuardedResolver(AbstractResolver):
    """Resolves names by the system, and keeps what `targets` allows."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of `host`. Raises TargetError where none is allowed, OSError where there is none."""
        kept, refused = [], None
        for result in await self._system.resolve(host, port, family):
            try:
                self._targets.check(result["host"])
            except TargetError as error:
                refused = error
            else:
                kept.append(result)
        if refused is not None and not kept:
            raise refused
        return kept

    async def close(self) -> None:
        """Nothing is held."""
        await self._system.close()


def _innermost(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or ip
