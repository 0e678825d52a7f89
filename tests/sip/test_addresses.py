"""The address that a caller is told to send to, in Contact and SDP."""

from __future__ import annotations

import re

import pytest

from service.errors import ConfigError
from sip.endpoint import Endpoint
from tests.sip.desk import SETTINGS, desk
from tests.sip.raw import SDP, RawPeer, to_tag

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("bind", "public_address", "told"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("0.0.0.0", None, "127.0.0.1"),  # The route to this caller, not the address of the default route.
        ("0.0.0.0", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
    ],
)
async def test_contact_and_sdp(bind: str, public_address: str | None, told: str) -> None:
    settings = SETTINGS.model_copy(update={"bind": bind, "public_address": public_address})
    async with desk(settings=settings) as party, RawPeer(party.port) as raw:
        raw.send(raw.request("INVITE", call="where", body=SDP))
        answer = await raw.answer("where", "INVITE", 1)
        raw.send(raw.request("ACK", call="where", to_tag=to_tag(answer)))
        await raw.hang_up("where", to_tag(answer))
    assert re.findall(r"^c=IN IP4 (\S+)\r$", answer, re.MULTILINE) == [told]
    contact = re.search(r"^Contact: <sip:claimline@([\d.]+):(\d+)", answer, re.MULTILINE)
    assert contact is not None
    assert contact.groups() == (told, str(party.port))
    media = re.search(r"^m=audio (\d+) RTP/AVP 0 ?", answer, re.MULTILINE)
    assert media is not None
    assert settings.rtp_port_min <= int(media[1]) <= settings.rtp_port_max


@pytest.mark.parametrize("setting", ["bind", "public_address"])
async def test_what_is_no_ipv4_address_is_a_wrong_setting(setting: str) -> None:
    settings = SETTINGS.model_copy(update={setting: "::1"})
    with pytest.raises(ConfigError, match=rf"sip.{setting} is '::1'"):
        await Endpoint(settings, lambda leg: None, lambda refusal: None, lambda level, line: None).start()
