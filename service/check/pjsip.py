"""How many calls this build of PJSIP holds: it is started on loopback, asked, and put away."""

from __future__ import annotations

from service.check.finding import Finding
from service.config import Config
from sip.endpoint import Endpoint
from sip.stack import Bound


async def start_and_ask(config: Config) -> Bound:
    """Raises `ConfigError` where PJSIP does not start as configured."""
    settings = config.sip.model_copy(update={"bind": "127.0.0.1", "port": 0, "public_address": None})
    endpoint = Endpoint(settings, lambda leg: leg.refuse(503, "Checking"), lambda _: None, lambda _level, _line: None)
    try:
        return await endpoint.start()
    finally:
        await endpoint.stop()


def judge(bound: Bound) -> Finding:
    """Whether a slot is left to refuse with."""
    says = f"holds {bound.slots} calls, {bound.max_calls} of them are answered"
    if bound.max_calls == bound.slots:
        return Finding(
            "pjsip",
            "warning",
            f"{says}: no slot is left to answer 503, and trunks do not fail over on the 486 that callers get instead",
            f"set sip.max_calls to {max(1, bound.slots - 1)}, unless a proxy in front knows the limit",
        )
    return Finding("pjsip", "ok", says)
