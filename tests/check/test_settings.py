"""What is wrong with a configuration by itself."""

from __future__ import annotations

from datetime import date

import pytest

from service.billing.prices import PriceTable
from service.check import settings
from service.config import Config
from service.errors import ConfigError

TABLE = PriceTable.load().as_of


def config(**sections: object) -> Config:
    return Config(**sections)  # type: ignore[arg-type]


async def test_what_serve_would_refuse_is_said() -> None:
    with pytest.raises(ConfigError, match=r"webhook\.secret"):
        await settings.configuration(config(webhook={"url": "https://claims.example/"}))
    with pytest.raises(ConfigError, match=r"http\.token"):
        await settings.configuration(config(http={"bind": "0.0.0.0"}))
    assert [finding.level for finding in await settings.configuration(config())] == ["ok"]


async def test_a_model_without_a_price_is_a_warning_and_with_limits_a_failure() -> None:
    house = {"realtime": {"model": "house"}}
    (finding,) = await settings.prices(config(**house), TABLE)
    assert (finding.level, finding.mend) == ("warning", 'set [prices.overrides."house"]')
    (finding,) = await settings.prices(config(**house, limits={"call_usd": "1"}), TABLE)
    assert finding.level == "failed"
    assert finding.says == "no price for house: its costs are unknown and no limit sees them"
    (finding,) = await settings.prices(config(transcription={"asr_model": "house-asr"}), TABLE)
    assert "house-asr" in finding.says


async def test_an_old_price_table_is_a_warning() -> None:
    assert [finding.level for finding in await settings.prices(config(), TABLE)] == ["ok"]
    (finding,) = await settings.prices(config(), date.fromordinal(TABLE.toordinal() + 181))
    assert finding.level == "warning"
    assert "181 days ago" in finding.says


async def test_an_open_door_is_a_warning_and_a_closed_one_a_failure() -> None:
    (finding,) = await settings.callers(config(sip={"allowed_peers": ["10.0.0.0/8", "0.0.0.0/0"]}))
    assert finding.level == "warning"
    (finding,) = await settings.callers(config(sip={"allowed_peers": []}))
    assert finding.level == "failed"
    (finding,) = await settings.callers(config())
    assert finding.level == "ok"
