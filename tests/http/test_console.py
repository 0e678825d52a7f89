"""The console: a page for who may see it, a form for who has the token, and nothing that a caller's words could do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from service.config import Http
from service.http.server import build_app
from service.outbox.message import Message
from service.telemetry.metrics import Metrics
from tests.http.in_memory import Calls, Outbox

TOKEN = "a token with ümlaut & more"  # noqa: S105 -- of this test's own worker
Client = TestClient[web.Request, web.Application]
PAGE = Path(str(resources.files("service.http").joinpath("page")))
FILES = sorted(PAGE.iterdir())
MARKUP_FROM_WORDS = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "createContextualFragment",
    "DOMParser",
    "srcdoc",
    "document.write",
    "eval(",
    "Function(",
)


@asynccontextmanager
async def served(token: str | None = None, outbox: Outbox | None = None) -> AsyncIterator[Client]:
    settings = Http(token=SecretStr(token) if token is not None else None)
    app = build_app(settings, Metrics(), Calls(), list, deliveries=outbox or Outbox(), dial=str)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture(autouse=True)
def log() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


# -- who may see it ----------------------------------------------------------------------------------------------------


async def test_asking_for_the_head_of_the_stream_takes_none() -> None:
    async with served() as client, asyncio.timeout(5.0):
        assert (await client.head("/events")).status == 405


async def test_on_loopback_without_a_token_the_page_is_there_and_has_no_log_out() -> None:
    async with served() as client:
        page = await client.get("/")
        assert (page.status, page.content_type) == (200, "text/html")
        assert "/logout" not in await page.text()
        assert (await client.get("/", headers={"Host": "rebound.example"})).status == 403
        assert (await client.get("/events", headers={"Host": "rebound.example"})).status == 403


@pytest.mark.parametrize("path", ["/", "/events", "/calls", "/calls/call_1/messages"])
async def test_without_the_token_401_and_no_word_of_a_call(path: str) -> None:
    async with served(TOKEN) as client:
        for cookie in ({}, {"Cookie": f"claimline_{client.port}=guessed"}, {"Cookie": "claimline_=; x=\xff"}):
            answer = await client.get(path, headers=cookie)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.content_type == ("text/html" if path == "/" else "application/json")
            text = await answer.text()
            assert "call_1" not in text
            assert "Recent calls" not in text
        assert (await client.get(path, params={"token": TOKEN})).status == 401, "a token in a URL ends up in logs"


async def test_the_token_in_the_form_opens_page_stream_and_calls_until_logging_out() -> None:
    async with served(TOKEN) as client:
        form = await client.get("/")
        assert 'action="/login"' in await form.text()
        answer = await client.post("/login", data={"token": f" {TOKEN} "}, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        assert "/logout" in await (await client.get("/")).text()
        assert (await client.get("/calls")).status == 200
        assert (await client.get("/events")).status == 200
        left = await client.post("/logout", allow_redirects=False)
        assert left.status == 303
        assert (await client.get("/calls")).status == 401


async def test_a_bearer_header_opens_the_console_as_well() -> None:
    async with served(TOKEN) as client:
        header = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/", headers=header)).status == 200
        assert (await client.get("/events", headers=header)).status == 200


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    async with served(TOKEN) as client:
        plain = await client.post("/login", data={"token": TOKEN}, allow_redirects=False)
        cookie = plain.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(re.split(r";\s*", cookie))
        assert re.search(r"Max-Age=\d+", cookie)
        assert "Secure" not in cookie
        assert "token" not in cookie
        behind_tls = await client.post(
            "/login", data={"token": TOKEN}, allow_redirects=False, headers={"X-Forwarded-Proto": "https"}
        )
        assert "Secure" in behind_tls.headers["Set-Cookie"]


@pytest.mark.parametrize("wrong", ["", "guess", TOKEN[:-1], TOKEN.upper()])
async def test_a_wrong_token_gets_the_form_again_and_no_cookie(
    wrong: str, log: list[structlog.typing.EventDict]
) -> None:
    async with served(TOKEN) as client:
        answer = await client.post("/login", data={"token": wrong}, allow_redirects=False)
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers
        text = await answer.text()
        assert "not the token" in text
        assert not wrong or wrong not in text
    assert TOKEN not in str(log)


async def test_where_no_token_is_set_there_is_nothing_to_log_in_to() -> None:
    async with served() as client:
        answer = await client.post("/login", data={"token": ""}, allow_redirects=False)
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers


async def test_a_login_takes_nothing_but_a_small_form() -> None:
    async with served(TOKEN) as client:
        assert (await client.post("/login", json={"token": TOKEN})).status == 415
        assert (await client.post("/login", data={"token": "x" * 100_000})).status == 413
        assert (await client.get("/login")).status == 405


# -- what it is made of ------------------------------------------------------------------------------------------------


async def test_the_policy_of_both_pages_lets_nothing_inline_and_nothing_foreign_run() -> None:
    async with served(TOKEN) as client:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
            answer = await client.get("/", headers=headers)
            parts = answer.headers["Content-Security-Policy"].split("; ")
            policy = dict(part.partition(" ")[::2] for part in parts)
            assert policy["default-src"] == "'none'"
            assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}
            assert policy["img-src"] == "data:"
            assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert policy["require-trusted-types-for"] == "'script'"
            assert policy["trusted-types"] == "'none'"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            text = await answer.text()
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|javascript:", text)


async def test_everything_that_the_page_loads_is_served_by_the_worker() -> None:
    wanted = {"console.css", "console.js"}
    async with served(TOKEN) as client:
        page = (PAGE / "console.html").read_text("utf-8")
        assert set(re.findall(r'(?:href|src)="/console/([^"]+)"', page)) == wanted
        seen: set[str] = set()
        while wanted - seen:
            name = min(wanted - seen)
            seen.add(name)
            answer = await client.get(f"/console/{name}")
            assert answer.status == 200
            assert answer.content_type == ("text/css" if name.endswith(".css") else "text/javascript")
            wanted |= set(re.findall(r'from "\./([^"]+)"', await answer.text()))
        for name in ("console.html", "..%2Fserver.py", "none.js"):
            assert (await client.get(f"/console/{name}")).status == 404
    assert seen == {path.name for path in FILES} - {"console.html", "login.html"}, "a file that nothing loads"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_of_the_page_makes_markup_of_words_or_names_another_host(path: Path) -> None:
    text = path.read_text("utf-8")
    assert [way for way in MARKUP_FROM_WORDS if way in text] == []
    assert re.findall(r"(?:https?:)?//[a-z][\w.-]*\.[a-z]{2,}", text) in ([], ["http://www.w3.org"])


# -- a call's messages -------------------------------------------------------------------------------------------------


async def test_the_messages_of_a_call_say_how_often_they_were_tried_and_why_they_wait() -> None:
    one = Message("msg_1", "call_1", 1, "call.started", "sent", 1, None, 1_800_000_000.0, 1_800_000_000.5)
    two = Message("msg_2", "call_1", 2, "call.ended", "ready", 3, "HTTP 503", 1_800_000_009.0, None)
    other = Message("msg_3", "call_2", 1, "call.started", "sent", 1, None, 1_800_000_000.0, 1_800_000_000.5)
    async with served(outbox=Outbox(messages=[one, two, other])) as client:
        messages = (await (await client.get("/calls/call_1/messages")).json())["messages"]
        assert [message["webhook_id"] for message in messages] == ["msg_1", "msg_2"]
        assert messages[1] == {
            "webhook_id": "msg_2",
            "seq": 2,
            "type": "call.ended",
            "state": "ready",
            "attempts": 3,
            "last_error": "HTTP 503",
            "created_at": "2027-01-15T08:00:09.000Z",
            "sent_at": None,
        }


async def test_messages_of_an_outbox_that_cannot_be_read_are_a_503() -> None:
    async with served(outbox=Outbox(broken="outbox.path: disk full")) as client:
        answer = await client.get("/calls/call_1/messages")
        assert answer.status == 503
        assert await answer.json() == {"error": "the outbox cannot be read"}
