"""The worker's HTTP side: ``/healthz``, ``/readyz``, ``/metrics``, ``/schemas``, ``/calls``, and the console.

Calls are personal data. Off loopback they need the token, as a bearer header or by the console's login; on loopback
without one they are only shown to requests whose Host is this machine, so that a web page cannot read them through a
name that it points at 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol, Self

import structlog
from aiohttp import web

from service.config import Http, is_loopback
from service.errors import ConfigError
from service.http.console import Console
from service.http.feed import Deliveries, Feed, WatchedCalls
from service.http.listener import IDLE_S, listen
from service.http.login import same_token
from service.http.stream import EventStreams
from service.schemas import TYPES, schema_json
from service.telemetry.metrics import Metrics

Readiness = Callable[[], list[str]]
"""Why new calls would be refused now; empty when they would be answered."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "claimline",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/schemas", "/login"})
PUBLIC_FOLDERS = ("/schemas/", "/console/")
MAX_BODY_BYTES = 4096
"""Nothing larger than the login form is ever posted."""
SHUTDOWN_S = 1.0

_unheard = logging.Logger("http", logging.CRITICAL)
"""aiohttp would log each request that is no HTTP as an error, with a traceback and the bytes: strangers send those."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CallDirectory(WatchedCalls, Protocol):
    """Where calls are looked up; `service.call.registry.Registry` is one."""

    def live_and_recent(self) -> list[dict[str, Any]]:
        """Summaries, live calls first."""
        ...

    def find(self, call_id: str) -> dict[str, Any] | None:
        """All of one call; None where it is not known."""
        ...


def check_exposure(settings: Http) -> None:
    """Refuse to listen off loopback without a token. Raises ConfigError."""
    if not is_loopback(settings.bind) and not _token(settings):
        raise ConfigError(
            f"http.token: set it (or http.token_file), since http.bind is {settings.bind}, which others can reach"
        )


def build_app(
    settings: Http,
    metrics: Metrics,
    calls: CallDirectory,
    readiness: Readiness,
    *,
    deliveries: Deliveries,
    dial: Callable[[], str],
) -> web.Application:
    """The application, not yet listening. `dial` gives the URI that reaches the worker, once there is one."""
    routes = _Routes(metrics, calls, readiness)
    streams = EventStreams(Feed(calls, deliveries, readiness, dial))
    console = Console(deliveries, streams, _token(settings))
    app = web.Application(
        middlewares=[_errors_as_json, _guard(_token(settings), console)], client_max_size=MAX_BODY_BYTES
    )
    app.add_routes(
        [
            web.get("/healthz", routes.health),
            web.get("/readyz", routes.ready),
            web.get("/metrics", routes.metrics),
            web.get("/schemas", routes.schemas),
            web.get("/schemas/{type}", routes.schema),
            web.get("/calls", routes.calls),
            web.get("/calls/{call_id}", routes.call),
            *console.routes,
        ]
    )
    app.on_shutdown.append(streams.close)
    app.on_response_prepare.append(_add_headers)
    return app


class HttpServer:
    """Serves the application while its context lasts. Not reusable."""

    def __init__(
        self,
        settings: Http,
        metrics: Metrics,
        calls: CallDirectory,
        readiness: Readiness,
        *,
        deliveries: Deliveries,
        dial: Callable[[], str],
    ) -> None:
        check_exposure(settings)
        self._settings = settings
        app = build_app(settings, metrics, calls, readiness, deliveries=deliveries, dial=dial)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_unheard,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=IDLE_S,
            auto_decompress=False,  # nothing that is posted is large enough to be compressed
        )
        self._listening: asyncio.Server | None = None
        self.port = settings.port
        """Where it listens; known for http.port = 0 once the context was entered."""

    async def __aenter__(self) -> Self:
        """Listen. Raises ConfigError where the address cannot be had."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None  # noqa: S101 -- it was set up
        bind, port = self._settings.bind, self._settings.port
        try:
            self._listening = await listen(server, bind, port)
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(f"http.bind, http.port: cannot listen on {bind} port {port}: {error.strerror}") from error
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and close what is open."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()


class _Routes:
    def __init__(self, metrics: Metrics, calls: CallDirectory, readiness: Readiness) -> None:
        self._metrics = metrics
        self._calls = calls
        self._readiness = readiness
        self._rendering = asyncio.Lock()

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(self, _request: web.Request) -> web.Response:
        reasons = self._readiness()
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        # Milliseconds of work: on the loop they would hold up the audio of live calls, and in many threads at once too.
        async with self._rendering:
            body, content_type = await asyncio.to_thread(self._metrics.render, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def schemas(self, _request: web.Request) -> web.Response:
        return web.json_response({"schemas": {type_: f"/schemas/{type_}.json" for type_ in TYPES}})

    async def schema(self, request: web.Request) -> web.Response:
        schema = schema_json(request.match_info["type"].removesuffix(".json"))
        if schema is None:
            raise web.HTTPNotFound(reason="no such type of webhook")
        return web.Response(body=schema, content_type="application/schema+json")

    async def calls(self, _request: web.Request) -> web.Response:
        return web.json_response({"calls": self._calls.live_and_recent()})

    async def call(self, request: web.Request) -> web.Response:
        call = self._calls.find(request.match_info["call_id"])
        if call is None:
            raise web.HTTPNotFound(reason="no such call")
        return web.json_response(call)


def _guard(token: str, console: Console) -> Any:
    """Middleware: who may see what is not public."""
    expected = token.encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _names_a_host(request):
            raise web.HTTPBadRequest(reason="the Host header names no host")
        if request.path in PUBLIC_PATHS or request.path.startswith(PUBLIC_FOLDERS):
            return await handler(request)
        if not expected:
            if not is_loopback(request.url.host or ""):
                raise web.HTTPForbidden(reason="ask for this machine by a loopback address, or set http.token")
            return await handler(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        right = same_token(given, expected)
        if not (scheme.lower() == "bearer" and right) and not console.logged_in(request):
            if request.path == "/":
                return console.login_form()
            raise web.HTTPUnauthorized(reason="a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return guard


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {name: value for name, value in error.headers.items() if name != "Content-Type"}
        return web.json_response({"error": error.reason}, status=error.status, headers=headers)
    except Exception:  # noqa: BLE001 -- a request must not end the worker
        structlog.get_logger().exception("request_failed", path=request.path)
        return web.json_response({"error": "internal error"}, status=500)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    policy = response.headers.get("Content-Security-Policy", HEADERS["Content-Security-Policy"])
    response.headers.update({**HEADERS, "Content-Security-Policy": policy})


def _token(settings: Http) -> str:
    return settings.token.get_secret_value() if settings.token is not None else ""


def _names_a_host(request: web.Request) -> bool:
    try:
        return request.url.port is not None
    except ValueError:
        return False
