"""One try against endpoints that answer, refuse, hang, drip, lie and close."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import standardwebhooks
from aiohttp import web

from service.config import LOOPBACK
from service.outbox.backoff import Outcome, Verdict
from service.outbox.message import Claim
from service.outbox.receiver import Fault, Receiver
from service.outbox.sender import ANSWER_BYTES_MAX, Sender
from service.outbox.signature import PREFIX, Secret, parse_secrets

CLAIM = Claim("msg_1", "call_1", 1, "t", b'{"type":"t","timestamp":"x","data":{"call_id":"c","seq":1}}', 1, 0, 0.0)


@asynccontextmanager
async def raw_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A server that need not speak HTTP."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def read_request(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len(CLAIM.body))


def sender(url: str, secrets: Sequence[Secret], timeout_s: float = 5.0, tls: ssl.SSLContext | None = None) -> Sender:
    return Sender(url, secrets, allowed_networks=LOOPBACK, connect_timeout_s=2.0, timeout_s=timeout_s, tls=tls)


async def send(url: str, secrets: Sequence[Secret], timeout_s: float = 5.0) -> Outcome:
    async with sender(url, secrets, timeout_s) as opened:
        return await opened.send(CLAIM)


async def test_the_reference_implementation_accepts_the_request(secrets: tuple[Secret, ...], secret_text: str) -> None:
    async with Receiver(secrets) as receiver:
        assert (await send(receiver.url, secrets)).verdict is Verdict.DELIVERED
    (arrival,) = receiver.arrivals
    standardwebhooks.Webhook(secret_text).verify(arrival.body, arrival.headers)
    assert arrival.body == CLAIM.body
    assert arrival.headers["content-type"] == "application/json"


async def test_while_a_secret_rotates_the_reference_accepts_with_the_old_one_and_with_the_new_one(
    secret_text: str,
) -> None:
    new_text, stranger = (PREFIX + base64.b64encode(letter * 32).decode() for letter in (b"n", b"s"))
    async with Receiver(parse_secrets(secret_text)) as receiver:
        outcome = await send(receiver.url, parse_secrets(f"{new_text} {secret_text}"))
    assert outcome.verdict is Verdict.DELIVERED
    (arrival,) = receiver.arrivals
    for accepted in (secret_text, new_text):
        standardwebhooks.Webhook(accepted).verify(arrival.body, arrival.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(stranger).verify(arrival.body, arrival.headers)


@pytest.mark.parametrize(
    ("fault", "verdict", "detail"),
    [
        (Fault("status", 500, first=9), Verdict.RETRY, "HTTP 500"),
        (Fault("status", 429, "7", first=9), Verdict.THROTTLED, "HTTP 429"),
        (Fault("status", 410, first=9), Verdict.DISABLED, "HTTP 410"),
        (Fault("status", 422, first=9), Verdict.DEAD, "HTTP 422"),
        (Fault("redirect", first=9), Verdict.RETRY, "HTTP 307"),
        (Fault("close", first=9), Verdict.RETRY, "closed without an answer"),
        (Fault("hang", first=9), Verdict.RETRY, "no answer in time"),
        (Fault("drip", first=9), Verdict.RETRY, "no answer in time"),
    ],
    ids=lambda value: value.misdeed if isinstance(value, Fault) else "",
)
async def test_a_failing_endpoint(fault: Fault, verdict: Verdict, detail: str, secrets: tuple[Secret, ...]) -> None:
    async with Receiver(secrets, fault=fault) as receiver:
        started_s = time.monotonic()
        outcome = await send(receiver.url, secrets, timeout_s=0.3)
        assert time.monotonic() - started_s < 3.0
    assert (outcome.verdict, outcome.detail) == (verdict, detail)
    assert outcome.retry_after_s == (7.0 if fault.retry_after else None)
    assert len(receiver.arrivals) == 1, "no redirect is followed, nothing is repeated"


async def test_silence_is_not_waited_for_as_long_as_an_answer(secrets: tuple[Secret, ...]) -> None:
    async with (
        Receiver(secrets, fault=Fault("hang", first=1)) as receiver,
        Sender(
            receiver.url,
            secrets,
            allowed_networks=LOOPBACK,
            connect_timeout_s=5.0,
            read_timeout_s=0.1,
            timeout_s=30.0,
        ) as opened,
    ):
        async with asyncio.timeout(5.0):
            assert (await opened.send(CLAIM)).detail == "no answer in time"


async def test_a_handshake_that_is_never_answered_counts_as_connecting(secrets: tuple[Secret, ...]) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(mute) as url:
        opened = Sender(
            url.replace("http:", "https:"),
            secrets,
            allowed_networks=LOOPBACK,
            connect_timeout_s=0.1,
            timeout_s=30.0,
        )
        async with opened, asyncio.timeout(5.0):
            assert (await opened.send(CLAIM)).detail == "no connection in time"


async def test_a_refusal_is_quoted_for_the_operator_without_control_characters(secrets: tuple[Secret, ...]) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 422 no\r\nContent-Length: 16\r\n\r\nno\x1b[2J\nsuch\xffline")
        await writer.drain()

    async with raw_server(refuse) as url:
        outcome = await send(url, secrets)
    assert outcome.answer == "no [2J such\ufffdline"
    assert outcome.detail == "HTTP 422", "what is logged does not repeat the endpoint's words"


async def test_nobody_listens(secrets: tuple[Secret, ...], unused_port: int) -> None:
    outcome = await send(f"http://127.0.0.1:{unused_port}/", secrets)
    assert outcome.verdict is Verdict.RETRY
    assert outcome.detail.startswith("no connection")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x00" * 50_000,
    ],
    ids=["ssh", "half a line", "negative length", "endless header", "zeros"],
)
async def test_nonsense_is_a_failed_try(answer: bytes, secrets: tuple[Secret, ...]) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    async with raw_server(babble) as url:
        assert (await send(url, secrets, timeout_s=2.0)).verdict is Verdict.RETRY


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 200 OK\r\n\x01"]
)
async def test_an_endpoint_that_says_our_words_back_instead_of_http_gets_them_into_no_log(
    head: bytes, secrets: tuple[Secret, ...]
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + await reader.readexactly(len(CLAIM.body)) + b"\r\n\r\n")
        await writer.drain()

    async with raw_server(echo) as url:
        outcome = await send(f"{url}hooks?key=hidden", secrets)
    assert (outcome.verdict, outcome.detail) == (Verdict.RETRY, "not an HTTP answer")
    assert "call_id" in outcome.answer, "the operator may see them"
    assert "hidden" not in outcome.error


async def test_an_endless_answer_is_not_read_beyond_its_bound_and_the_status_counts(
    secrets: tuple[Secret, ...],
) -> None:
    written_bytes = 0

    async def gush(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written_bytes
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()
            written_bytes += 4096

    async with raw_server(gush) as url:
        assert (await send(url, secrets)).verdict is Verdict.DELIVERED
    # What the kernel's and asyncio's buffers took is not ours.
    assert written_bytes < ANSWER_BYTES_MAX + 8_000_000


@pytest.mark.parametrize(("size_bytes", "connections"), [(ANSWER_BYTES_MAX, 1), (10 * ANSWER_BYTES_MAX, 2)])
async def test_a_connection_is_used_again_unless_its_answer_was_too_long(
    size_bytes: int, connections: int, secrets: tuple[Secret, ...]
) -> None:
    opened_connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened_connections
        opened_connections += 1
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size_bytes + bytes(size_bytes))
            await writer.drain()

    async with raw_server(answer) as url, sender(url, secrets) as opened:
        for _ in range(2):
            assert (await opened.send(CLAIM)).verdict is Verdict.DELIVERED
    assert opened_connections == connections


async def test_one_connection_serves_many_tries(secrets: tuple[Secret, ...]) -> None:
    peers: set[object] = set()

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        await request.read()
        return web.Response(status=503, text="later")

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with sender(f"http://127.0.0.1:{runner.addresses[0][1]}/", secrets) as opened:
        for _ in range(5):
            await opened.send(CLAIM)
    await runner.cleanup()
    assert len(peers) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1."""
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem", "IP:127.0.0.1")


def self_signed(pem: Path, name: str) -> Path:
    """A certificate and its key, in one file."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-days", "1", "-subj", "/CN=test", "-addext", f"subjectAltName={name}"),
            *("-keyout", pem, "-out", f"{pem}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    return pem


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()


def presenting(certificate: Path) -> ssl.SSLContext:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    return server


async def test_a_certificate_must_be_trusted(secrets: tuple[Secret, ...], certificate: Path) -> None:
    async with raw_server(take, presenting(certificate)) as url:
        outcome = await send(url, secrets)
        assert outcome.verdict is Verdict.RETRY
        assert "CERTIFICATE_VERIFY_FAILED" in outcome.detail
        async with sender(url, secrets, tls=ssl.create_default_context(cafile=certificate)) as opened:
            assert (await opened.send(CLAIM)).verdict is Verdict.DELIVERED


async def test_a_certificate_must_be_of_the_name_that_was_called(secrets: tuple[Secret, ...], tmp_path: Path) -> None:
    other = self_signed(tmp_path / "other.pem", "DNS:claims.example")
    async with (
        raw_server(take, presenting(other)) as url,
        sender(url, secrets, tls=ssl.create_default_context(cafile=other)) as opened,
    ):
        outcome = await opened.send(CLAIM)
    assert outcome.verdict is Verdict.RETRY
    assert "IP address mismatch" in outcome.detail


def held() -> tuple[int, int]:
    """Descriptors and tasks of this process."""
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())


async def until_held(at_most: tuple[int, int]) -> None:
    """What was closed is gone: a TLS connection takes a few turns of the loop for it."""
    async with asyncio.timeout(5.0):
        while any(now > then for now, then in zip(held(), at_most, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 500, first=999),
        Fault("status", 410, first=999),
        Fault("status", 429, "7", first=999),
        Fault("redirect", first=999),
        Fault("hang", first=999),
        Fault("drip", first=999),
        Fault("close", first=999),
        Fault("forget", first=999),
    ],
    ids=lambda fault: f"{fault.misdeed} {fault.status}",
)
async def test_a_failing_endpoint_leaves_no_descriptors_and_no_tasks_in_a_sender_that_goes_on(
    fault: Fault, secrets: tuple[Secret, ...]
) -> None:
    before = held()
    receiver = await Receiver(secrets, fault=fault).__aenter__()
    async with sender(receiver.url, secrets, timeout_s=0.1) as opened:
        for _ in range(3):
            await asyncio.gather(*(opened.send(CLAIM) for _ in range(8)))
        await receiver.__aexit__(None, None, None)
        await until_held(before)


async def test_wrong_certificates_and_nonsense_leave_no_descriptors_and_no_tasks(
    secrets: tuple[Secret, ...], certificate: Path
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2 * ANSWER_BYTES_MAX))
        await writer.drain()

    before = held()
    for serve, tls in ((take, presenting(certificate)), (babble, None)):
        async with raw_server(serve, tls) as url, sender(url, secrets) as opened:
            open_sender = held()
            for _ in range(3):
                await asyncio.gather(*(opened.send(CLAIM) for _ in range(8)))
            await until_held(open_sender)
    await until_held(before)


async def test_no_secret_in_a_repr_or_an_outcome(secrets: tuple[Secret, ...], secret_text: str) -> None:
    async with Receiver(()) as receiver, sender(receiver.url, secrets) as opened:
        outcome = await opened.send(CLAIM)
        assert outcome.detail == "HTTP 401"
        for shown in (repr(opened), repr(outcome), repr(vars(opened))):
            assert secret_text.removeprefix("whsec_") not in shown
            assert repr(secrets[0].key) not in shown
