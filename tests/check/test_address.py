"""Addresses that callers are told and cannot reach."""

from __future__ import annotations

import pytest

from service.check import address
from service.config import Config

TRUNK = "54.172.60.0/30"


async def level(here: str = "10.0.0.5", **sip: object) -> str:
    config = Config(sip=sip)  # type: ignore[arg-type]
    (finding,) = await address.check(config, is_local=lambda asked: asked == here, towards=lambda _: here)
    assert bool(finding.mend) is (finding.level != "ok")
    return finding.level


@pytest.mark.parametrize(
    ("sip", "expected"),
    [
        ({}, "ok"),
        ({"allowed_peers": ["10.0.0.0/8"]}, "ok"),
        ({"allowed_peers": [TRUNK], "public_address": "10.0.0.5"}, "warning"),
        ({"allowed_peers": [TRUNK], "public_address": "34.1.2.3"}, "warning"),
        ({"allowed_peers": [TRUNK], "public_address": "34.1.2.3", "here": "34.1.2.3"}, "ok"),
        ({"allowed_peers": [TRUNK], "public_address": "127.0.0.1"}, "failed"),
        ({"public_address": "127.0.0.1", "here": "127.0.0.1"}, "ok"),
        ({"public_address": "0.0.0.0"}, "failed"),
        ({"public_address": "sip.example"}, "failed"),
        ({"bind": "::"}, "failed"),
        ({"allowed_peers": [TRUNK]}, "warning"),
        ({"allowed_peers": [TRUNK], "here": "34.1.2.3"}, "ok"),
        ({"allowed_peers": [TRUNK], "bind": "10.0.0.5"}, "warning"),
        ({"allowed_peers": [TRUNK], "bind": "127.0.0.1"}, "failed"),
    ],
)
async def test_the_address_is_judged_by_where_callers_are(sip: dict[str, object], expected: str) -> None:
    assert await level(**sip) == expected  # type: ignore[arg-type]


async def test_the_route_to_everybody_is_that_to_the_outside() -> None:
    config = Config(sip={"allowed_peers": ["0.0.0.0/0"]})  # type: ignore[arg-type]
    # A socket that is connected to 0.0.0.0 is on loopback.
    (finding,) = await address.check(config, towards=lambda to: "127.0.0.1" if to == "0.0.0.0" else "34.1.2.3")
    assert (finding.level, finding.says) == ("ok", "callers are told 34.1.2.3")


async def test_no_route_to_the_trunk_fails() -> None:
    config = Config(sip={"allowed_peers": [TRUNK]})  # type: ignore[arg-type]
    (finding,) = await address.check(config, towards=lambda _: None)
    assert (finding.level, finding.says) == ("failed", f"there is no route to {TRUNK}")


def test_loopback_is_here_and_a_documentation_address_is_not() -> None:
    assert address.is_local("127.0.0.1")
    assert not address.is_local("192.0.2.1")
    assert address.towards("127.0.0.1") == "127.0.0.1"
