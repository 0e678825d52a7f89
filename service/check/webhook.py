"""Sends one signed test event to the webhook's endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import uuid4

from service.check.finding import Finding, ServerDate, shown
from service.clock import rfc3339
from service.config import Config
from service.outbox.backoff import Outcome, Verdict
from service.outbox.message import Claim, encode_data
from service.outbox.sender import Sender

TEST_TYPE = "claimline.check"
"""Of the signed test event, the only one of a call that never was; a receiver takes it and ignores its type."""


async def check(config: Config, on_date: Callable[[ServerDate], None]) -> list[Finding]:
    """`on_date` is told the endpoint's clock, where it sent it. Raises `ConfigError` for a secret that is none."""
    webhook = config.webhook
    if webhook.secret is None and webhook.url is not None:
        return [Finding("webhook", "failed", "webhook.secret is not set", "set webhook.secret_file")]
    if webhook.url is None or webhook.secret is None:
        says = "webhook.url is not set: messages stay in the outbox"
        return [Finding("webhook", "warning", says, "set webhook.url and webhook.secret_file")]
    asked_s = time.time()
    call_id = f"check_{uuid4().hex}"
    body = encode_data({"type": TEST_TYPE, "timestamp": rfc3339(asked_s), "data": {"call_id": call_id, "seq": 1}})
    event = Claim(f"msg_{uuid4().hex}", call_id, 1, TEST_TYPE, body, 1, 0, asked_s + webhook.timeout_s)
    async with Sender.to(webhook.url, webhook.secret, webhook) as sender:
        outcome = await sender.send(event)
    answered_s = time.time()
    if outcome.date is not None:
        on_date(ServerDate(urlsplit(webhook.url).hostname or webhook.url, outcome.date, asked_s, answered_s))
    return [judge(webhook.url, outcome, answered_s - asked_s)]


def judge(url: str, outcome: Outcome, took_s: float) -> Finding:
    """What an answer to the test event means."""
    if outcome.verdict is Verdict.DELIVERED:
        return Finding("webhook", "ok", f"{shown(url)} took a signed test event in {took_s * 1000:.0f} ms")
    says = f"{shown(url)} did not take a signed test event: {outcome.error}"
    match outcome.verdict:
        case Verdict.DEAD:
            return Finding(
                "webhook",
                "warning",
                says,
                f"let it answer 2xx to types it does not know, such as {TEST_TYPE}; it must take those in /schemas",
            )
        case Verdict.DISABLED:
            mend = "it wants no more messages: set webhook.url to another endpoint"
        case Verdict.THROTTLED:
            mend = "it asks for time: try again, and lower webhook.max_per_s if it stays so"
        case _:
            mend = _mend(outcome.detail)
    return Finding("webhook", "failed", says, mend)


def _mend(detail: str) -> str:
    status = detail.removeprefix("HTTP ")
    if status in {"401", "403"}:
        return "webhook.secret must be the endpoint's, and the clocks must agree within five minutes"
    if status in {"404", "405"}:
        return "webhook.url: nobody takes POST there"
    if status.startswith("3"):
        return "webhook.url: name where it leads; redirects are not followed"
    if "webhook.allowed_networks" in detail:
        return "add the endpoint's network to webhook.allowed_networks, or use its public https address"
    if detail.startswith("TLS"):
        if "certificate" in detail.lower():
            mend = "the endpoint's certificate must be valid for this name, by an authority that this machine trusts"
        else:
            mend = "check webhook.url: what answers at that port speaks no TLS that is understood here"
        return mend
    return "check webhook.url, and that the endpoint runs and can be reached from here"
