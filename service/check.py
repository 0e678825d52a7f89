"""`claimline check`: tries every far end that the configuration names, and says what to mend."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from service.app import agent_instructions, session_target, transcription_instructions, unseen_costs
from service.billing.prices import PriceTable
from service.call.sessions import Sessions
from service.clock import rfc3339
from service.config import Config, check_serve
from service.errors import ClaimlineError
from service.http.server import check_exposure
from service.outbox.message import Claim, encode_data
from service.outbox.outbox import Outbox
from service.outbox.sender import Sender
from service.realtime.client import Received, SessionError, open_session
from service.recording.recorder import check_directory
from service.recording.wav import BYTES_PER_S

TEST_TYPE = "claimline.check"
"""Type of the signed test event: a receiver that does not know it answers 2xx and ignores it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    subject: str
    well: bool
    says: str


async def run(config: Config) -> int:
    """Run every check, print a line each; 0 only if all is well."""
    checks: list[tuple[str, Callable[[Config], Awaitable[str]]]] = [
        ("configuration", _configuration),
        ("prompts", _prompts),
        ("prices", _prices),
        ("sip", _sip),
        ("realtime", _realtime),
        ("recording", _recording),
        ("outbox", _outbox),
        ("webhook", _webhook),
    ]
    findings = [await _find(subject, check, config) for subject, check in checks]
    for finding in findings:
        print(f"{'ok  ' if finding.well else 'MEND'}  {finding.subject:<14} {finding.says}")
    return 0 if all(finding.well for finding in findings) else 1


async def _find(subject: str, check: Callable[[Config], Awaitable[str]], config: Config) -> Finding:
    try:
        return Finding(subject, True, await check(config))
    except (ClaimlineError, OSError, TimeoutError) as error:
        return Finding(subject, False, str(error) or type(error).__name__)


async def _configuration(config: Config) -> str:
    check_serve(config)
    check_exposure(config.http)
    return "every key is known and in range"


async def _prompts(config: Config) -> str:
    agent, sidecar = agent_instructions(config), transcription_instructions(config)
    return f"agent {len(agent)} characters, transcription {len(sidecar)} characters"


async def _prices(config: Config) -> str:
    table = PriceTable.load(config.prices.overrides)
    missing = table.without_price(config.realtime.model, config.transcription.asr_model)
    if missing:
        blind = " and no limit will see them" if unseen_costs(config, table) else ""
        raise ClaimlineError(f"no price for {missing[0]}: set prices.overrides, or its costs will be unknown{blind}")
    return f"known for {config.realtime.model}, as of {table.as_of}"


async def _sip(config: Config) -> str:
    sip = config.sip
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((sip.bind, sip.port))
            except OSError as error:
                protocol = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
                raise ClaimlineError(f"sip.port {sip.port} ({protocol}) on {sip.bind}: {error.strerror}") from None
    return f"{sip.bind}:{sip.port} is free for UDP and TCP"


async def _realtime(config: Config) -> str:
    seen: list[Received] = []
    sessions = Sessions(open_session, session_target(config, agent_instructions(config)), None, seen.extend)
    started_s = time.monotonic()
    session = await sessions.open()
    if isinstance(session, SessionError):
        raise ClaimlineError(f"realtime.url {config.realtime_url}: {session}")
    took_ms = (time.monotonic() - started_s) * 1000
    await session.close()
    model = seen[-1].as_dict().get("session", {}).get("model")
    return f"{config.realtime_url} opened a session of {model} in {took_ms:.0f} ms"


async def _recording(config: Config) -> str:
    directory = config.recording.directory
    if directory is None:
        return "recording.directory is not set: calls are not recorded"
    check_directory(directory)
    hours = shutil.disk_usage(directory).free / BYTES_PER_S / 3600
    return f"{directory} has room for {hours:,.0f} hours of calls"


async def _outbox(config: Config) -> str:
    async with await Outbox.open(config.outbox.path) as outbox:
        if not await outbox.check():
            raise ClaimlineError(f"outbox.path {config.outbox.path} cannot be written")
        stats = await outbox.stats()
    return f"{config.outbox.path}: {stats.pending} to deliver, {stats.dead} given up, endpoint {stats.endpoint}"


async def _webhook(config: Config) -> str:
    webhook = config.webhook
    if webhook.url is None or webhook.secret is None:
        return "webhook.url is not set: messages stay in the outbox"
    now_s = time.time()
    body = encode_data({"type": TEST_TYPE, "timestamp": rfc3339(now_s), "data": {}})
    claim = Claim(f"msg_{uuid4().hex}", "", 0, TEST_TYPE, body, 1, 0, now_s + webhook.timeout_s)
    async with Sender.to(webhook.url, webhook.secret, webhook) as sender:
        outcome = await sender.send(claim)
    if outcome.verdict.value != "delivered":
        raise ClaimlineError(f"webhook.url {webhook.url} did not take a signed test event: {outcome.error}")
    return f"{webhook.url} took a signed test event in {(time.time() - now_s) * 1000:.0f} ms"
