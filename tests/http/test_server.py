"""Health for orchestrators, metrics for Prometheus, calls for those who hold the token, and nothing for others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from service.config import Http
from service.errors import ConfigError
from service.http.server import HttpServer, build_app, check_exposure
from service.schemas import TYPES, schema_json
from service.telemetry.metrics import Metrics
from tests.http.in_memory import Calls, Outbox

BEARER = "a token with ümlaut"
Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def served(token: str | None = None, reasons: list[str] | None = None) -> AsyncIterator[Client]:
    settings = Http(token=SecretStr(token) if token is not None else None)
    metrics = Metrics()
    metrics.responded("call_1", 0.2)
    app = build_app(settings, metrics, Calls(), lambda: reasons or [], deliveries=Outbox(), dial=str)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


async def test_alive_and_ready() -> None:
    async with served() as client:
        assert (await client.get("/healthz")).status == 200
        ready = await client.get("/readyz")
        assert ready.status == 200
        assert await ready.json() == {"ready": True, "reasons": []}


async def test_not_ready_says_why_and_is_still_alive() -> None:
    async with served(reasons=["draining", "outbox unwritable"]) as client:
        ready = await client.get("/readyz")
        assert ready.status == 503
        assert (await ready.json())["reasons"] == ["draining", "outbox unwritable"]
        assert (await client.get("/healthz")).status == 200


async def test_metrics_in_both_formats() -> None:
    async with served() as client:
        plain = await client.get("/metrics")
        assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "claimline_calls_active 0.0" in await plain.text()
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        rich = await client.get("/metrics", headers={"Accept": accept})
        assert rich.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        text = await rich.text()
        assert text.endswith("# EOF\n")
        assert 'call_id="call_1"' in text


async def test_calls_and_one_call() -> None:
    async with served() as client:
        calls = await (await client.get("/calls")).json()
        assert [call["call_id"] for call in calls["calls"]] == ["call_1", "call_2"]
        assert await (await client.get("/calls/call_1")).json() == {"call_id": "call_1", "cost_usd": "0.0042616"}
        missing = await client.get("/calls/call_3")
        assert missing.status == 404
        assert await missing.json() == {"error": "no such call"}


@pytest.mark.parametrize("path", ["/calls", "/calls/call_1", "/calls/none", "/", "/anything"])
async def test_with_a_token_nothing_is_shown_without_it(path: str) -> None:
    async with served(token=BEARER) as client:
        for authorization in ("", "Bearer wrong", BEARER, f"Basic {BEARER}", "Bearer", "Bearer "):
            answer = await client.get(path, headers={"Authorization": authorization})
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "call_1" not in await answer.text()


async def test_with_a_token_health_and_metrics_stay_open() -> None:
    async with served(token=BEARER) as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await client.get(path)).status == 200
        for scheme in ("Bearer", "bearer"):
            answer = await client.get("/calls", headers={"Authorization": f"{scheme} {BEARER}"})
            assert answer.status == 200


async def test_without_a_token_only_this_machine_by_its_own_name() -> None:
    async with served() as client:
        assert (await client.get("/calls", headers={"Host": "rebound.example:8080"})).status == 403
        assert (await client.get("/calls", headers={"Host": "localhost:8080"})).status == 200
        assert (await client.get("/calls", headers={"Host": "[::1]:8080"})).status == 200
        assert (await client.get("/metrics", headers={"Host": "worker.example"})).status == 200


@pytest.mark.parametrize("token", [None, BEARER])
@pytest.mark.parametrize("host", ["a:99999", "a:b"])
async def test_a_host_that_is_none_is_a_bad_request_and_no_fault_of_ours(host: str, token: str | None) -> None:
    async with served(token) as client:
        for method, path in (("GET", "/calls"), ("GET", "/healthz"), ("POST", "/logout")):
            with structlog.testing.capture_logs() as logged:
                answer = await client.request(method, path, headers={"Host": host})
            assert (answer.status, logged) == (400, [])


async def test_scrapes_side_by_side_are_rendered_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rendering: list[int] = []

    def render(_self: Metrics, _accept: str) -> tuple[bytes, str]:
        rendering.append(1)
        assert len(rendering) == 1
        time.sleep(0.005)  # gives the other threads their chance
        rendering.pop()
        return b"", "text/plain"

    monkeypatch.setattr(Metrics, "render", render)
    async with served() as client:
        answers = await asyncio.gather(*(client.get("/metrics") for _ in range(8)))
    assert [answer.status for answer in answers] == [200] * 8


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/calls", "/nothing", "/calls/broken"])
async def test_every_answer_carries_the_security_headers(path: str) -> None:
    async with served() as client:
        answer = await client.get(path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "claimline"


async def test_errors_are_json_and_tell_nothing_of_the_inside() -> None:
    async with served() as client:
        broken = await client.get("/calls/broken")
        assert broken.status == 500
        assert await broken.json() == {"error": "internal error"}
        assert (await (await client.post("/calls")).json())["error"] == "Method Not Allowed"


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.7", "worker.example", ""])
def test_it_refuses_to_be_reached_by_others_without_a_token(bind: str) -> None:
    with pytest.raises(ConfigError, match=r"http\.token"):
        check_exposure(Http(bind=bind))
    with pytest.raises(ConfigError, match=r"http\.token"):
        check_exposure(Http(bind=bind, token=SecretStr("")))
    check_exposure(Http(bind=bind, token=SecretStr("t")))


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(bind: str) -> None:
    check_exposure(Http(bind=bind))


async def test_it_listens_on_a_free_port_and_lets_it_go() -> None:
    async with HttpServer(Http(port=0), Metrics(), Calls(), list, deliveries=Outbox(), dial=str) as server:
        assert server.port > 0
        url = f"http://127.0.0.1:{server.port}/healthz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 200
        same = HttpServer(Http(port=server.port), Metrics(), Calls(), list, deliveries=Outbox(), dial=str)
        with pytest.raises(ConfigError, match=rf"http\.port: cannot listen on 127\.0\.0\.1 port {server.port}"):
            async with same:
                pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


async def test_the_schemas_of_all_webhooks_are_public() -> None:
    async with served(BEARER) as client:
        listed = (await (await client.get("/schemas")).json())["schemas"]
        assert set(listed) == set(TYPES)
        for type_, path in listed.items():
            answer = await client.get(path)
            assert answer.content_type == "application/schema+json"
            assert json.loads(await answer.read()) == json.loads(schema_json(type_) or b"")
        assert (await client.get("/schemas/call.unheard")).status == 404
        assert (await client.get("/schemas/..%2F__init__.py")).status == 404
