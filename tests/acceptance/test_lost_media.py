"""A caller whose RTP stops without a BYE does not hold a line, a session and its cost for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import peers
from tests.acceptance.far_end import far_end
from tests.acceptance.product import serving

pytestmark = pytest.mark.real


async def test_a_call_without_rtp_is_ended(tmp_path: Path) -> None:
    settings = {"SIP__MEDIA_TIMEOUT_S": "1.5"}
    async with far_end() as server, serving(tmp_path, server.url, **settings) as service:
        call = await peers.sipp(
            "wait_for_bye", service.sip_port, tmp_path, rtp_port=40000, pt=0, codec="PCMU", talk_ms=300
        )
        assert call.code == 0, call.messages
        assert await service.endings(1) == [("client_error", "media_lost")]
