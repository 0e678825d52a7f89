"""The Realtime server, the webhook's endpoint and a worker that runs already, over loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from service.check import pjsip, realtime, webhook, worker
from service.check.finding import ServerDate
from service.check.realtime import Opened
from service.config import Config, Http
from service.outbox.backoff import Outcome, Verdict
from service.outbox.receiver import Fault, Receiver
from service.outbox.signature import parse_secrets
from service.realtime.client import SessionError
from sip.stack import Bound

SECRET = "whsec_" + "MfKQ" * 8
MODEL = "gpt-realtime-2.1"


def config(**sections: object) -> Config:
    return Config(**sections)  # type: ignore[arg-type]


async def tells(connection: ServerConnection) -> None:
    await connection.send(json.dumps({"type": "session.created", "event_id": "e", "session": {"model": MODEL}}))
    async for _ in connection:
        await connection.send(json.dumps({"type": "session.updated", "event_id": "e", "session": {"model": MODEL}}))


async def test_a_session_is_opened_and_its_model_latency_and_date_told() -> None:
    dates: list[ServerDate] = []
    async with serve(tells, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/v1/realtime"
        (finding,) = await realtime.check(config(realtime={"url": url}), dates.append)
    assert finding.level == "ok"
    assert finding.says.startswith(f"{url} opened a session of {MODEL} in ")
    assert [(date.host, date.header[-3:]) for date in dates] == [("127.0.0.1", "GMT")]


async def test_an_engine_that_was_not_started_is_named() -> None:
    async with serve(tells, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    (finding,) = await realtime.check(config(engine={"port": port}), lambda _: None)
    assert (finding.level, finding.mend) == (
        "failed",
        "start `claimline engine`, or set realtime.url to another server",
    )


REMOTE = {"url": "wss://api.openai.com/v1/realtime"}


@pytest.mark.parametrize(
    ("settings", "reason", "mend"),
    [
        (REMOTE, "unauthorized", "no key is set"),
        ({**REMOTE, "api_key": "k"}, "unauthorized", "check realtime.api_key"),
        ({**REMOTE, "api_key": "k"}, "insufficient_quota", "account"),
        (REMOTE, "unreachable", "firewall"),
        (REMOTE, "timeout", "firewall"),
        (REMOTE, "refused", "wss://api.openai.com"),
        (REMOTE, "model_not_found", "realtime.model"),
    ],
)
def test_each_refusal_says_what_to_mend(settings: dict[str, Any], reason: str, mend: str) -> None:
    finding = realtime.refused(config(realtime=settings), SessionError(reason, "it said no"))
    assert finding.level == "failed"
    assert "it said no" in finding.says
    assert mend in finding.mend


def test_a_session_that_works_may_still_deserve_a_warning() -> None:
    assert realtime.judge(config(), Opened(MODEL, 0.2)).level == "ok"
    assert "realtime.model" in realtime.judge(config(), Opened("other", 0.2)).mend
    assert "503" in realtime.judge(config(), Opened(MODEL, 2.6)).says
    keyed = config(realtime={"url": "ws://example.com/v1/realtime", "api_key": "k"})
    assert "unencrypted" in realtime.judge(keyed, Opened(MODEL, 0.2)).says
    assert realtime.judge(config(realtime={"api_key": "k"}), Opened(MODEL, 0.2)).level == "ok", "it stays on loopback"


async def test_the_endpoint_takes_a_signed_event_and_tells_its_date() -> None:
    dates: list[ServerDate] = []
    async with Receiver(parse_secrets(SECRET)) as receiver:
        (finding,) = await webhook.check(config(webhook={"url": receiver.url, "secret": SECRET}), dates.append)
    assert finding.level == "ok"
    assert [arrival.verdict for arrival in receiver.arrivals] == ["taken"]
    assert len(dates) == 1


async def test_another_secret_is_found_out() -> None:
    other = "whsec_" + "AAAA" * 8
    async with Receiver(parse_secrets(SECRET)) as receiver:
        (finding,) = await webhook.check(config(webhook={"url": receiver.url, "secret": other}), lambda _: None)
    assert finding.level == "failed"
    assert "webhook.secret" in finding.mend
    assert other not in f"{finding}"


async def test_a_target_inside_is_refused_by_name() -> None:
    (finding,) = await webhook.check(
        config(webhook={"url": "https://10.1.2.3/", "secret": SECRET, "connect_timeout_s": 1}), lambda _: None
    )
    assert finding.level == "failed"
    assert "10.1.2.3, a private address" in finding.says
    assert "webhook.allowed_networks" in finding.mend


async def test_an_endpoint_that_refuses_the_test_event_only_is_a_warning() -> None:
    async with Receiver(parse_secrets(SECRET), fault=Fault(status=422, first=1)) as receiver:
        (finding,) = await webhook.check(config(webhook={"url": receiver.url, "secret": SECRET}), lambda _: None)
    assert finding.level == "warning"
    assert "claimline.check" in finding.mend


@pytest.mark.parametrize(
    ("outcome", "mend"),
    [
        (Outcome(Verdict.RETRY, "HTTP 404"), "POST"),
        (Outcome(Verdict.RETRY, "HTTP 301"), "redirects"),
        (Outcome(Verdict.RETRY, "TLS: self-signed certificate"), "certificate"),
        (Outcome(Verdict.RETRY, "TLS: [SSL: WRONG_VERSION_NUMBER] wrong version number"), "speaks no TLS"),
        (Outcome(Verdict.RETRY, "no connection in time"), "reached"),
        (Outcome(Verdict.DISABLED, "HTTP 410"), "another endpoint"),
        (Outcome(Verdict.THROTTLED, "HTTP 429"), "max_per_s"),
    ],
)
def test_each_answer_says_what_to_mend(outcome: Outcome, mend: str) -> None:
    finding = webhook.judge("https://claims.example/", outcome, 0.1)
    assert finding.level == "failed"
    assert mend in finding.mend


async def test_without_an_endpoint_messages_stay_and_that_is_said() -> None:
    assert [finding.level for finding in await webhook.check(config(), lambda _: None)] == ["warning"]
    unsigned = config(webhook={"url": "https://claims.example/"})
    assert [finding.level for finding in await webhook.check(unsigned, lambda _: None)] == ["failed"]


@asynccontextmanager
async def answering(server: str, told: object, bind: str = "127.0.0.1") -> AsyncIterator[Http]:
    async def ready(_request: web.Request) -> web.Response:
        return web.json_response(told, headers={"Server": server})

    app = web.Application()
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, bind, 0).start()
        yield Http(bind=bind, port=runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def test_a_worker_that_runs_says_whether_it_takes_calls() -> None:
    async with answering("claimline", {"ready": True, "reasons": []}) as http:
        assert [finding.level for finding in await worker.check(http)] == ["ok"]
    async with answering("claimline", {"ready": False, "reasons": ["outbox unwritable"]}) as http:
        (finding,) = await worker.check(http)
    assert (finding.level, finding.says) == ("warning", "one runs here and refuses calls: outbox unwritable")
    assert await worker.check(http) == []


async def test_a_worker_on_ipv6_is_found() -> None:
    async with answering("claimline", {"ready": True, "reasons": []}, bind="::1") as http:
        assert [finding.level for finding in await worker.check(http)] == ["ok"]


async def test_somebody_elses_server_is_no_worker() -> None:
    async with answering("nginx", {"ready": True, "reasons": []}) as http:
        assert await worker.check(http) == []
    async with answering("claimline", ["strange"]) as http:
        assert await worker.check(http) == []


def test_a_pjsip_without_a_slot_to_refuse_with_is_a_warning() -> None:
    assert pjsip.judge(Bound("127.0.0.1", 1, 1, slots=4, max_calls=3)).level == "ok"
    full = pjsip.judge(Bound("127.0.0.1", 1, 1, slots=4, max_calls=4))
    assert (full.level, full.mend) == ("warning", "set sip.max_calls to 3, unless a proxy in front knows the limit")


async def test_pjsip_tells_what_it_holds() -> None:
    bound = await pjsip.start_and_ask(config(sip={"public_address": "192.0.2.1"}))
    assert bound.slots > bound.max_calls >= 1


def test_keys_in_an_address_are_not_shown() -> None:
    address = "://user:hidden@far.example:8443/hooks?key=hidden#hidden"
    keyed = config(realtime={"url": f"wss{address}"})
    found = [
        webhook.judge(f"https{address}", Outcome(Verdict.DELIVERED, "HTTP 200"), 0.1),
        webhook.judge(f"https{address}", Outcome(Verdict.RETRY, "HTTP 500"), 0.1),
        realtime.judge(keyed, Opened(MODEL, 0.2)),
        realtime.refused(keyed, SessionError("timeout", "no session")),
    ]
    for finding in found:
        assert "://far.example:8443/hooks" in finding.says
        assert "hidden" not in finding.says
