"""What can be said of the configuration by itself. Nothing is opened but the files it names."""

from __future__ import annotations

from datetime import date

from service.app import agent_instructions, transcription_instructions, unseen_costs
from service.billing.prices import PriceTable
from service.check.finding import Finding
from service.config import Config, check_serve
from service.http.server import check_exposure

PRICES_OLD_DAYS = 180


async def configuration(config: Config) -> list[Finding]:
    """Combinations that `serve` refuses. Raises `ConfigError` for one."""
    check_serve(config)
    check_exposure(config.http)
    return [Finding("configuration", "ok", "every key is known and in range")]


async def prompts(config: Config) -> list[Finding]:
    """Raises `ConfigError` for a prompt that cannot be read."""
    agent, sidecar = agent_instructions(config), transcription_instructions(config)
    return [Finding("prompts", "ok", f"agent {len(agent)} characters, transcription {len(sidecar)} characters")]


async def callers(config: Config) -> list[Finding]:
    """Who may call."""
    peers = config.sip.allowed_peers
    names = ", ".join(str(network) for network in peers)
    if not peers:
        return [Finding("callers", "failed", "sip.allowed_peers is empty: every call is refused", "name the trunk's")]
    if any(network.prefixlen == 0 for network in peers):
        return [
            Finding(
                "callers",
                "warning",
                f"sip.allowed_peers holds {names}: whoever reaches sip.port may call, and each call costs money",
                "name the trunk's signalling networks, or let a proxy or firewall admit callers",
            )
        ]
    return [Finding("callers", "ok", f"may call from {names}")]


async def prices(config: Config, today: date) -> list[Finding]:
    """Whether costs are known, of every model in use."""
    table = PriceTable.load(config.prices.overrides)
    missing = table.without_price(config.realtime.model, config.transcription.asr_model)
    if missing:
        blind = bool(unseen_costs(config, table))
        return [
            Finding(
                "prices",
                "failed" if blind else "warning",
                f"no price for {', '.join(missing)}: its costs are unknown" + (" and no limit sees them" * blind),
                f'set [prices.overrides."{missing[0]}"]',
            )
        ]
    age_days = (today - table.as_of).days
    if age_days > PRICES_OLD_DAYS:
        return [
            Finding(
                "prices",
                "warning",
                f"known for {config.realtime.model}, but as of {table.as_of}, {age_days} days ago",
                "compare them with the provider's page; set prices.overrides where they differ",
            )
        ]
    return [Finding("prices", "ok", f"known for {config.realtime.model}, as of {table.as_of}")]
