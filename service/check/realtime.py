"""Opens a session at the Realtime server, as a call would; nothing is said in it, so it costs nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.app import agent_instructions, session_target
from service.call.sessions import Target
from service.check.finding import Finding, ServerDate, shown
from service.config import Config, is_loopback_url
from service.realtime.client import SessionError, open_session

SLOW_SHARE = 0.5
"""Of `realtime.connect_timeout_s`: from there on a bad day will refuse calls."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was opened and closed again."""

    model: str | None
    """What the server says it is."""
    took_s: float


async def check(config: Config, on_date: Callable[[ServerDate], None]) -> list[Finding]:
    """`on_date` is told the server's clock, where it sent it."""
    target = session_target(config, agent_instructions(config))
    try:
        async with asyncio.timeout(target.connect_timeout_s):
            opened = await _open(target, on_date)
    except SessionError as error:
        return [refused(config, error)]
    except TimeoutError:
        return [refused(config, SessionError("timeout", f"no session within {target.connect_timeout_s:g} s"))]
    return [judge(config, opened)]


async def _open(target: Target, on_date: Callable[[ServerDate], None]) -> Opened:
    asked_s, started_s = time.time(), time.monotonic()
    session, seen = await open_session(target.url, target.model, target.api_key, target.payload, None)
    took_s = time.monotonic() - started_s
    if session.server_date is not None:
        # Of the answer to the handshake, which came first.
        on_date(ServerDate(urlsplit(target.url).hostname or target.url, session.server_date, asked_s, time.time()))
    await session.close()
    model = seen[-1].as_dict().get("session", {}).get("model")
    return Opened(model if isinstance(model, str) else None, took_s)


def judge(config: Config, opened: Opened) -> Finding:
    """What was opened against what was configured."""
    wanted, limit_s = config.realtime.model, config.realtime.connect_timeout_s
    says = f"{shown(config.realtime_url)} opened a session of {opened.model or 'a model it does not name'}"
    says += f" in {opened.took_s * 1000:.0f} ms"
    if opened.model is not None and opened.model != wanted:
        return Finding(
            "realtime",
            "warning",
            f"{says}, but realtime.model is {wanted}",
            "set realtime.model to a model that the server has; costs are counted as the server's",
        )
    if opened.took_s > SLOW_SHARE * limit_s:
        return Finding(
            "realtime",
            "warning",
            f"{says}; beyond realtime.connect_timeout_s ({limit_s:g} s) a caller gets 503",
            "look at the network between here and the server, or raise realtime.connect_timeout_s",
        )
    plain = urlsplit(config.realtime_url).scheme == "ws" and not is_loopback_url(config.realtime_url)
    if plain and config.realtime.api_key:
        return Finding("realtime", "warning", f"{says}; the key travels unencrypted", "use wss:// in realtime.url")
    return Finding("realtime", "ok", says)


def refused(config: Config, error: SessionError) -> Finding:
    """No session: what to mend, by reason."""
    match error.reason:
        case "unauthorized" | "invalid_api_key" if not config.realtime.api_key:
            mend = "set realtime.api_key_file, or OPENAI_API_KEY: no key is set"
        case "unauthorized" | "invalid_api_key":
            mend = "check realtime.api_key: it is not the server's, or may not use this model"
        case "insufficient_quota" | "billing_hard_limit_reached" | "credit_balance_exhausted" | "account_deactivated":
            mend = "mend the provider's account: it may spend no more"
        case "unreachable" | "timeout" if config.realtime.url is None:
            mend = "start `claimline engine`, or set realtime.url to another server"
        case "unreachable" | "timeout":
            mend = "check realtime.url, name resolution and the firewall (outgoing TCP)"
        case "refused" | "protocol":
            mend = "check realtime.url: it must be a GA Realtime endpoint, such as wss://api.openai.com/v1/realtime"
        case _:
            mend = "check realtime.model, realtime.voice and realtime.session: the server refuses what they say"
    return Finding("realtime", "failed", f"{shown(config.realtime_url)}: {error}", mend)
