"""The composition root: builds the parts of a worker, starts them, drains them. Nobody else knows all of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import structlog

from service.billing.limits import Budget
from service.billing.prices import PriceTable
from service.call import ending
from service.call.journal import Backlog
from service.call.leg import Leg
from service.call.registry import Registry
from service.call.runner import CallRunner
from service.call.services import CallServices
from service.call.sessions import Target
from service.call.tools import CLAIM_TOOLS, TOOLS
from service.clock import Clock
from service.config import Config, check_serve, local_host
from service.http.server import HttpServer, check_exposure
from service.outbox.delivery import Deliverer
from service.outbox.outbox import CALL_LEASE_S, Outbox
from service.outbox.presence import Presence
from service.outbox.sender import Sender
from service.outbox.store import OutboxError
from service.outbox.takeover import Takeover
from service.prompts import announcing_recording, load_instructions, packaged_instructions
from service.realtime.payload import session_payload
from service.recording.recorder import check_directory
from service.telemetry.metrics import Metrics
from service.telemetry.pulse import Pulse
from service.transcript.redaction import Redaction
from sip.admission import Refusal
from sip.endpoint import Endpoint
from sip.stack import Bound

PURGE_S = 3600.0
STATS_S = 5.0
"""Outbox gauges are read, and the outbox tried for writing, this often."""
FINAL_DELIVERY_S = 5.0
"""How long a stopping worker goes on delivering; what is left waits in the outbox."""
COST_LIMIT = "limits.hour_usd reached"
"""Why new calls are refused while the last hour has cost its limit."""
LAST_WORDS_S = 15.0
"""After the drain's time is up: how long the calls that were ended may take to be written."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker listens."""

    sip: Bound
    http_port: int


class Worker:
    """One process that answers calls."""

    def __init__(self, config: Config) -> None:
        check_serve(config)
        check_exposure(config.http)
        if config.recording.directory is not None:
            check_directory(config.recording.directory)
        self._config = config
        self._log = structlog.get_logger()
        self._clock = Clock()
        self._metrics = Metrics()
        self._prices = PriceTable.load(config.prices.overrides)
        self._budget = Budget(**config.limits.model_dump())
        self._warn_of_unseen_costs()
        self._backlog = Backlog()
        self._registry = Registry(config.http.recent_calls)
        self._worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._agent_instructions = agent_instructions(config)
        self._transcription_instructions = transcription_instructions(config)
        self._claim_instructions = packaged_instructions("service.claim")
        self._runners: dict[str, CallRunner] = {}
        self._calls: asyncio.TaskGroup | None = None
        self._services: CallServices | None = None
        self._hung_up = asyncio.Event()
        self._not_ready = ["starting"]
        self._dial = ""
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin to drain: what SIGTERM does."""
        self._stop.set()

    async def run(self, ready: Callable[[Address], None]) -> None:
        """Answer calls until `stop`, then drain. `ready` is told the addresses once calls are answered."""
        config = self._config
        async with contextlib.AsyncExitStack() as stack:
            outbox = await stack.enter_async_context(await Outbox.open(config.outbox.path))
            presence = stack.enter_context(Presence(config.outbox.path, self._worker_id))
            takeover = Takeover(outbox, presence, self._worker_id, self._clock.wall)
            self._services = self._call_services(outbox)
            http = await stack.enter_async_context(
                HttpServer(
                    config.http,
                    self._metrics,
                    self._registry,
                    readiness=lambda: self._not_ready_because(outbox),
                    deliveries=outbox,
                    dial=lambda: self._dial,
                )
            )
            sender = self._sender()
            if sender is not None:
                await stack.enter_async_context(sender)
            endpoint = Endpoint(config.sip, self._on_invite, self._on_refused, self._on_sip_line)
            bound = await endpoint.start()
            stack.push_async_callback(endpoint.stop)
            self._metrics.slots(bound.max_calls)
            self._dial = sip_uri(config, bound)
            async with asyncio.TaskGroup() as group:
                pulse = Pulse(self._metrics.worker, endpoint, bound.slots, lambda: not self._not_ready_because(outbox))
                beside = [group.create_task(self._tend(outbox, takeover)), group.create_task(pulse.run())]
                deliverer = self._deliverer(outbox, sender) if sender is not None else None
                if deliverer is not None:
                    beside.append(group.create_task(deliverer.run()))
                async with asyncio.TaskGroup() as calls:
                    self._calls = calls
                    self._not_ready.clear()
                    self._log.info(
                        "worker_ready", sip_port=bound.udp_port, http_port=http.port, max_calls=bound.max_calls
                    )
                    ready(Address(bound, http.port))
                    await self._stop.wait()
                    await self._drain(endpoint)
                if deliverer is not None:
                    left = await deliverer.drain(FINAL_DELIVERY_S)
                    self._log.info("outbox_left", pending=left.pending)
                for task in beside:
                    task.cancel()
        self._log.info("worker_stopped")

    async def _drain(self, endpoint: Endpoint) -> None:
        self._not_ready.append("draining")
        endpoint.drain()
        self._log.info("worker_draining", live_calls=len(self._runners))
        if not await self._calls_over(self._config.sip.drain_timeout_s):
            for runner in list(self._runners.values()):
                runner.hang_up(ending.DRAINED)
            await self._calls_over(LAST_WORDS_S)

    async def _calls_over(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while self._runners:
                    self._hung_up.clear()
                    await self._hung_up.wait()
        except TimeoutError:
            return False
        return True

    # -- what comes in ---------------------------------------------------------------------------------------------

    def _on_invite(self, leg: Leg) -> None:
        services, calls = self._services, self._calls
        reasons = self._not_ready if services is None else self._not_ready_because(services.outbox)
        if services is None or calls is None or reasons:
            # Between the drain's order and its arrival on the SIP thread, with nowhere to write to, or no money left.
            leg.refuse(503, "Service Unavailable", self._config.sip.retry_after_s)
            self._metrics.call_refused("cost_limit" if reasons == [COST_LIMIT] else "not_ready")
            return
        call_id = f"call_{uuid4().hex}"
        runner = self._runners[call_id] = CallRunner(call_id, leg, services)
        calls.create_task(self._carry(call_id, runner), name=call_id)

    async def _carry(self, call_id: str, runner: CallRunner) -> None:
        with structlog.contextvars.bound_contextvars(call_id=call_id):
            try:
                await runner.run()
            except Exception:  # noqa: BLE001 -- one broken call must not take the others with it
                self._log.exception("call_lost")
            finally:
                del self._runners[call_id]
                self._hung_up.set()

    def _on_refused(self, refusal: Refusal) -> None:
        if refusal.reason == "bad_request":
            self._metrics.call_refused(ending.sip_reason(refusal.code, refusal.reason), "client_error")
        else:
            self._metrics.call_refused(refusal.reason)
        hint = {"hint": "add the peer to sip.allowed_peers, if it may call"} if refusal.reason == "not_allowed" else {}
        self._log.info("call_refused", code=refusal.code, reason=refusal.reason, peer=refusal.invite.peer, **hint)

    def _on_sip_line(self, level: int, line: str) -> None:
        if level == 0:
            self._log.error("sip_failed", line=line)
        else:
            self._log.warning("sip_warned", line=line)

    # -- what goes on beside the calls -----------------------------------------------------------------------------

    async def _tend(self, outbox: Outbox, takeover: Takeover) -> None:
        """Renew leases, close what dead workers left, read the outbox's gauges, remove what was delivered long ago."""
        renewed_s = self._clock.monotonic()
        purged_s = float("-inf")
        retention_s = self._config.outbox.retention_days * 86_400
        while True:
            try:
                stats = await outbox.stats()
                self._metrics.outbox(stats.pending, stats.oldest_age_s, stats.dead)
                self._metrics.webhook_endpoint(stats.endpoint)
                await self._take_over(takeover)
                if retention_s and self._clock.monotonic() - purged_s > PURGE_S:
                    purged_s = self._clock.monotonic()
                    await outbox.purge(retention_s)
                if self._clock.monotonic() - renewed_s > CALL_LEASE_S / 4:
                    await outbox.renew_calls(self._worker_id)
                    renewed_s = self._clock.monotonic()
                if not await outbox.check():
                    # Without calls nobody else may have tried to write.
                    self._log.error("outbox_unusable", problem=outbox.problem)
            except OutboxError as error:
                self._log.error("outbox_unusable", problem=str(error))
            self._metrics.journal(self._backlog.messages, writable=self._is_written(outbox))
            await asyncio.sleep(STATS_S)

    async def _take_over(self, takeover: Takeover) -> None:
        for call in await takeover.finish():
            self._metrics.call_taken_over(ending.INTERRUPTED)
            self._log.warning("call_taken_over", call_id=call.call_id, worker_id=call.worker_id)

    def _sender(self) -> Sender | None:
        webhook = self._config.webhook
        if webhook.url is None or webhook.secret is None:
            self._log.warning("webhook_not_set", hint="messages stay in the outbox until webhook.url is set")
            return None
        return Sender.to(webhook.url, webhook.secret, webhook)

    def _deliverer(self, outbox: Outbox, sender: Sender) -> Deliverer:
        return Deliverer(
            outbox,
            sender,
            parallel_calls=self._config.webhook.parallel_calls,
            max_per_s=self._config.webhook.max_per_s,
            max_age_s=self._config.webhook.max_age_s,
            on_attempt=lambda _claim, outcome, _took_s: self._metrics.webhook_attempt(outcome.verdict.value),
        )

    def _is_written(self, outbox: Outbox) -> bool:
        """Whether the outbox takes what is written, and what it refused is on disk by now."""
        return outbox.writable and not self._backlog.refused

    def _not_ready_because(self, outbox: Outbox) -> list[str]:
        reasons = self._not_ready if self._is_written(outbox) else [*self._not_ready, "outbox unwritable"]
        return [*reasons, COST_LIMIT] if self._budget.refuses(self._clock.monotonic()) else reasons

    def _warn_of_unseen_costs(self) -> None:
        unseen = unseen_costs(self._config, self._prices)
        if unseen:
            self._log.warning(
                "limits_blind", models=unseen, hint="without a price nothing counts: see prices.overrides"
            )

    def _call_services(self, outbox: Outbox) -> CallServices:
        config = self._config
        return CallServices(
            realtime=config.realtime,
            target=session_target(config, self._agent_instructions),
            transcription=config.transcription,
            transcription_instructions=self._transcription_instructions,
            claim=config.claim,
            claim_instructions=self._claim_instructions,
            redaction=Redaction(config.redaction.patterns, card_numbers=config.redaction.card_numbers),
            worker_id=self._worker_id,
            retry_after_s=config.sip.retry_after_s,
            max_call_s=config.agent.max_call_s,
            echo_tail_ms=config.sip.echo_tail_ms,
            prices=self._prices,
            outbox=outbox,
            metrics=self._metrics,
            registry=self._registry,
            clock=self._clock,
            budget=self._budget,
            backlog=self._backlog,
            summarize_above_tokens=config.agent.summarize_above_tokens,
            recordings=config.recording.directory,
        )


def sip_uri(config: Config, bound: Bound) -> str:
    """What to dial, as far as this machine can know."""
    return f"sip:claims@{config.sip.public_address or local_host(bound.host)}:{bound.udp_port}"


def session_target(config: Config, instructions: str) -> Target:
    """Where and how this worker opens its sessions."""
    key = config.realtime.api_key
    tools = TOOLS if config.claim.extract == "off" else [*TOOLS, *CLAIM_TOOLS]
    return Target(
        url=config.realtime_url,
        model=config.realtime.model,
        api_key=key.get_secret_value() if key is not None else None,
        payload=session_payload(config.realtime, config.transcription, instructions=instructions, tools=tools),
        connect_timeout_s=config.realtime.connect_timeout_s,
    )


def unseen_costs(config: Config, prices: PriceTable) -> list[str]:
    """Models in use whose costs no limit can see, where there are limits."""
    if config.limits.call_usd is None and config.limits.hour_usd is None:
        return []
    return prices.without_price(config.realtime.model, config.transcription.asr_model)


def agent_instructions(config: Config) -> str:
    """What the agent is told, with its name and company filled in, and that the call is recorded where it is."""
    text = load_instructions(
        "service.call", "instructions.txt", config.agent.instructions_file, "agent.instructions_file"
    )
    text = text.replace("{name}", config.agent.name).replace("{company}", config.agent.company)
    return announcing_recording(text) if config.recording.directory is not None else text


def transcription_instructions(config: Config) -> str:
    """What the sidecar's requests say."""
    return load_instructions(
        "service.transcript",
        "instructions.txt",
        config.transcription.instructions_file,
        "transcription.instructions_file",
    )


async def serve(config: Config, ready: Callable[[Address], None]) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    worker = Worker(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run(ready)
