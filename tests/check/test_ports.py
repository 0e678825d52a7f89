"""Ports that are taken, and an RTP range that is too small."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from service.check import ports
from service.config import Config


def config(**sections: object) -> Config:
    return Config(**sections)  # type: ignore[arg-type]


@pytest.fixture
def held() -> Iterator[int]:
    """A port of loopback that is taken for UDP and TCP."""
    with socket.socket() as listener, socket.socket(type=socket.SOCK_DGRAM) as bound:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        bound.bind(listener.getsockname())
        yield int(listener.getsockname()[1])


async def test_a_taken_sip_port_fails_and_names_both_protocols(held: int) -> None:
    sip = {"bind": "127.0.0.1", "port": held}
    (finding,) = await ports.sip(config(sip=sip), running=False)
    assert finding.level == "failed"
    assert finding.says == f"sip.port {held} on 127.0.0.1: UDP: Address already in use; TCP: Address already in use"
    (finding,) = await ports.sip(config(sip={**sip, "port": 0}), running=False)
    assert finding.level == "ok"


async def test_an_address_that_is_not_here_fails() -> None:
    (finding,) = await ports.sip(config(sip={"bind": "192.0.2.1"}), running=False)
    assert finding.level == "failed"
    assert "Cannot assign requested address" in finding.says


async def test_a_port_that_our_own_worker_holds_is_only_a_warning(held: int) -> None:
    http = {"bind": "127.0.0.1", "port": held}
    assert [finding.level for finding in await ports.http(config(http=http), running=False)] == ["failed"]
    assert [finding.level for finding in await ports.http(config(http=http), running=True)] == ["warning"]


def rtp(low: int, high: int) -> Config:
    return config(sip={"rtp_port_min": low, "rtp_port_max": high})


async def test_the_rtp_range_has_a_pair_for_each_call() -> None:
    def none(*_: object) -> None:
        return None

    (finding,) = await ports.rtp(rtp(10000, 10031), 4, probe=none, ephemeral=lambda: range(32768, 61000))
    assert (finding.level, finding.says) == (
        "ok",
        "16 of 16 pairs of sip.rtp_port_min to sip.rtp_port_max are free, for 4 calls",
    )
    (finding,) = await ports.rtp(rtp(10001, 10031), 9, probe=none, ephemeral=lambda: range(0))
    assert finding.level == "warning"
    assert "15 of 15" in finding.says
    (finding,) = await ports.rtp(rtp(10000, 10031), 17, probe=none, ephemeral=lambda: range(0))
    assert finding.level == "failed"


async def test_taken_rtp_ports_are_not_counted() -> None:
    def odd(_kind: socket.SocketKind, _host: str, port: int) -> str | None:
        return "Address already in use" if port in {10000, 10003} else None

    (finding,) = await ports.rtp(rtp(10000, 10031), 4, probe=odd, ephemeral=lambda: range(0))
    assert finding.says.startswith("14 of 16 pairs")


async def test_an_rtp_range_that_outgoing_connections_use_is_a_warning() -> None:
    (finding,) = await ports.rtp(rtp(32000, 33000), 4, probe=lambda *_: None, ephemeral=lambda: range(32768, 61000))
    assert finding.level == "warning"
    assert "ip_local_reserved_ports" in finding.mend
