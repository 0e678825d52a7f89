"""Where webhooks may go: a name that leads inside is refused, whatever form its address has."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from service.config import LOOPBACK
from service.outbox.backoff import Verdict
from service.outbox.message import Claim
from service.outbox.receiver import Receiver
from service.outbox.sender import Sender
from service.outbox.signature import Secret
from service.outbox.target import TargetError, Targets

CLAIM = Claim("msg_1", "call_1", 1, "t", b'{"type":"t","timestamp":"x","data":{"call_id":"c","seq":1}}', 1, 0, 0.0)
INSIDE = [
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b:1::169.254.169.254",
    "::127.0.0.1",
    "fec0::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_inner_address_is_refused(address: str) -> None:
    with pytest.raises(TargetError, match=r"webhook\.allowed_networks"):
        Targets("https://claims.example/", ()).check(address)


def test_an_outer_address_is_allowed_with_tls_only() -> None:
    Targets("https://claims.example/", ()).check("93.184.216.34")
    Targets("https://claims.example/", ()).check("2606:2800:220:1::1")
    with pytest.raises(TargetError, match="use https"):
        Targets("http://claims.example/", ()).check("93.184.216.34")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_network_that_is_named_is_allowed(scheme: str) -> None:
    targets = Targets(f"{scheme}://claims.internal/", [ip_network("10.0.0.0/8")])
    targets.check("10.9.9.9")
    with pytest.raises(TargetError):
        targets.check("11.9.9.9" if scheme == "http" else "192.168.0.1")


async def test_nothing_is_sent_to_an_address_inside(secrets: tuple[Secret, ...]) -> None:
    async with (
        Receiver(secrets) as receiver,
        Sender(receiver.url, secrets, allowed_networks=(), connect_timeout_s=1.0, timeout_s=2.0) as sender,
    ):
        outcome = await sender.send(CLAIM)
        assert outcome.verdict is Verdict.RETRY
        assert "webhook.allowed_networks" in outcome.detail
        assert receiver.messages == []


async def test_a_name_that_is_pointed_inside_is_not_followed(
    secrets: tuple[Secret, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inside(
        self: ThreadedResolver, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    monkeypatch.setattr(ThreadedResolver, "resolve", inside)
    async with Receiver(secrets) as receiver:
        url = f"http://claims.example:{receiver.url.rsplit(':', 1)[1]}"
        for networks, verdict in ((LOOPBACK, Verdict.DELIVERED), ((), Verdict.RETRY)):
            async with Sender(url, secrets, allowed_networks=networks, connect_timeout_s=1.0, timeout_s=2.0) as sender:
                assert (await sender.send(CLAIM)).verdict is verdict
        assert len(receiver.messages) == 1
