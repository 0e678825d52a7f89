"""Delivers what is in the outbox: calls side by side, each call's messages one by one.

Tries belong to the endpoint. While it fails, one message at a time probes it, on the table in
`service.outbox.backoff`, and all others wait without spending tries. A message that fails while others get through
waits by itself, for minutes at most.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from service.outbox.backoff import Outcome, Verdict, endpoint_delay_s, message_delay_s
from service.outbox.message import Claim, OutboxStats
from service.outbox.outbox import Outbox
from service.outbox.pace import Pace
from service.outbox.store import OutboxError

POLL_S = 0.5
"""How often due retries, and messages of other workers, are looked for."""
EXPIRE_S = 60.0
"""How often messages that are too old are looked for."""
LEASE_MARGIN_S = 10.0
"""By how much a message's lease outlasts the longest try."""

_log = structlog.get_logger()


class MessageSender(Protocol):
    """Tries a message once: `service.outbox.sender.Sender`."""

    timeout_s: float

    async def send(self, claim: Claim) -> Outcome:
        """Every failure is an outcome; nothing is raised."""
        ...


AttemptObserver = Callable[[Claim, Outcome, float], None]
"""Told of every try: what, how it ended, how many seconds it took."""


class Deliverer:
    """One worker's deliverer. Several may run on one file."""

    def __init__(
        self,
        outbox: Outbox,
        sender: MessageSender,
        *,
        parallel_calls: int,
        max_per_s: float,
        max_age_s: float,
        on_attempt: AttemptObserver = lambda claim, outcome, took_s: None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """`clock` gives monotonic seconds."""
        self._outbox = outbox
        self._sender = sender
        self._parallel_calls = parallel_calls
        self._pace = Pace(max_per_s)
        self._max_age_s = max_age_s
        self._expired_at_s = float("-inf")
        self._on_attempt = on_attempt
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._poll_s = poll_s
        self._in_flight = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        outbox.on_ready(self._wake.set)

    async def run(self) -> None:
        """Deliver until cancelled. What is in flight then is tried again when its lease has lapsed: `drain` first."""
        async with asyncio.TaskGroup() as tries:
            while True:
                self._wake.clear()
                await self._expire()
                claims = await self._claim()
                for claim in claims:
                    self._in_flight += 1
                    tries.create_task(self._try(claim), name=f"webhook {claim.webhook_id}")
                if not self._in_flight:
                    self._idle.set()
                await self._sleep()

    async def drain(self, timeout_s: float) -> OutboxStats:
        """Wait, while `run` runs, until all is delivered, the endpoint takes no more, or time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    stats = await self._outbox.stats()
                    if not self._in_flight and (stats.pending == 0 or stats.endpoint == "disabled"):
                        return stats
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return await self._outbox.stats()

    async def _claim(self) -> list[Claim]:
        free = min(self._parallel_calls - self._in_flight, self._pace.allowed(self._clock()))
        if free <= 0:
            return []
        try:
            claims = await self._outbox.claim(free, self._sender.timeout_s + LEASE_MARGIN_S)
        except OutboxError as error:
            _log.error("outbox_unusable", problem=str(error))
            return []
        self._pace.took(len(claims))
        return claims

    async def _expire(self) -> None:
        now_s = self._clock()
        if now_s - self._expired_at_s < EXPIRE_S:
            return
        self._expired_at_s = now_s
        try:
            died = await self._outbox.expire(self._max_age_s)
        except OutboxError as error:
            _log.error("outbox_unusable", problem=str(error))
            return
        if died:
            _log.error("webhooks_too_old", messages=died, max_age_s=self._max_age_s)

    async def _sleep(self) -> None:
        # Many waits are shorter than a poll: what the pace held back is due sooner.
        wait_s = min(self._poll_s, self._pace.wait_s() or self._poll_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _try(self, claim: Claim) -> None:
        started_s = self._clock()
        try:
            outcome = await self._sender.send(claim)
            self._on_attempt(claim, outcome, self._clock() - started_s)
            await self._settle(claim, outcome)
        except OutboxError as error:
            # The lease lapses and the message is sent again, under the same id.
            _log.error("outbox_unusable", problem=str(error), webhook_id=claim.webhook_id)
        finally:
            self._in_flight -= 1
            self._wake.set()

    async def _settle(self, claim: Claim, outcome: Outcome) -> None:
        match outcome.verdict:
            case Verdict.DELIVERED:
                await self._outbox.sent(claim)
                return
            case Verdict.DEAD:
                await self._outbox.give_up(claim, outcome.error)
            case Verdict.DISABLED:
                await self._outbox.disable(claim, outcome.error)
                _log.error("webhook_disabled", detail=outcome.detail)
            case Verdict.RETRY | Verdict.THROTTLED:
                await self._outbox.retry(
                    claim,
                    outcome.error,
                    message_delay_s=message_delay_s(claim.attempt, self._rng),
                    endpoint_delay_s=endpoint_delay_s(claim.endpoint_failures + 1, outcome.retry_after_s, self._rng),
                )
        _log.warning(
            "webhook_not_delivered",
            verdict=outcome.verdict.value,
            detail=outcome.detail,
            webhook_id=claim.webhook_id,
            call_id=claim.call_id,
            seq=claim.seq,
            attempt=claim.attempt,
        )
