"""The console's routes: its page and what that loads, the event stream, a call's messages, logging in and out."""

from __future__ import annotations

import time
from importlib import resources
from urllib.parse import parse_qs

from aiohttp import web

from service.http.feed import Deliveries
from service.http.login import LOGIN_S, Logins, same_token
from service.http.stream import EventStreams
from service.outbox.message import MessageFilter
from service.outbox.store import OutboxError

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere, and no text can become markup (Trusted Types) where a browser knows how."""
ASSETS = {".css": "text/css", ".js": "text/javascript"}
MESSAGES = 200
WRONG = b'<p class="wrong" role="alert">That is not the token of this worker.</p>'
LOG_OUT = b'<form method="post" action="/logout"><button>Log out</button></form>'


class Console:
    """`token` is empty where none is needed."""

    def __init__(self, deliveries: Deliveries, streams: EventStreams, token: str) -> None:
        self._deliveries = deliveries
        self._token = token.encode()
        self._logins = Logins()
        folder = resources.files("service.http").joinpath("page")
        files = {one.name: one.read_bytes() for one in folder.iterdir()}
        self._page = files.pop("console.html").replace(b"<!-- log out -->", LOG_OUT if token else b"")
        self._login = files.pop("login.html")
        self._assets = {
            name: (data, kind) for name, data in files.items() if (kind := ASSETS.get(f".{name.rpartition('.')[2]}"))
        }
        self.routes = [
            web.get("/", self.page),
            web.get("/console/{name}", self.asset),
            web.get("/events", streams.serve, allow_head=False),
            web.get("/calls/{call_id}/messages", self.messages),
            web.post("/login", self.log_in),
            web.post("/logout", self.log_out),
        ]

    def logged_in(self, request: web.Request) -> bool:
        """Whether the request's cookie is of a login."""
        return self._logins.valid(request.cookies.get(_cookie_name(request), ""), time.monotonic())

    async def page(self, _request: web.Request) -> web.Response:
        """The console."""
        return _html(self._page)

    def login_form(self, *, wrong: bool = False) -> web.Response:
        """The form in which the token is given: 401 and no word about any call."""
        page = self._login.replace(b"<!-- wrong -->", WRONG if wrong else b"")
        return _html(page, status=401, headers={"WWW-Authenticate": "Bearer"})

    async def asset(self, request: web.Request) -> web.Response:
        """A script or style of the page."""
        found = self._assets.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(reason="the console has no such file")
        data, kind = found
        return web.Response(body=data, content_type=kind, charset="utf-8")

    async def messages(self, request: web.Request) -> web.Response:
        """The last webhook messages of a call, known to this worker or not."""
        try:
            found = await self._deliveries.find(MessageFilter(call_id=request.match_info["call_id"]), MESSAGES)
        except OutboxError as error:
            raise web.HTTPServiceUnavailable(reason="the outbox cannot be read") from error
        messages = [message.as_json() for message in found]
        for message in messages:
            del message["call_id"]  # it is in the path
        return web.json_response({"messages": messages})

    async def log_in(self, request: web.Request) -> web.Response:
        """Take the token from the form, give the cookie."""
        if request.content_type != "application/x-www-form-urlencoded":
            raise web.HTTPUnsupportedMediaType(reason="post the form")
        try:
            form = (await request.read()).decode("utf-8", "replace")  # whatever charset the request claims
        except (web.RequestPayloadError, ConnectionError) as error:
            raise web.HTTPBadRequest(reason="the form cannot be read") from error
        given = parse_qs(form).get("token", [""])[0]
        if not self._token or not same_token(given, self._token):
            return self.login_form(wrong=True)
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie(
            _cookie_name(request),
            self._logins.open(time.monotonic()),
            max_age=round(LOGIN_S),
            httponly=True,
            samesite="Strict",
            # The header is from a proxy that ends TLS; who forges it only hides the cookie from themselves.
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
        )
        return answer

    async def log_out(self, request: web.Request) -> web.Response:
        """Forget the cookie, here and there."""
        name = _cookie_name(request)
        self._logins.close(request.cookies.get(name, ""))
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.del_cookie(name)
        return answer


def _cookie_name(request: web.Request) -> str:
    # A host's workers share its cookies: the port tells them apart.
    return f"claimline_{request.url.port}"


def _html(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    policy = {"Content-Security-Policy": PAGE_POLICY, **(headers or {})}
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=policy)
