"""Twenty calls to a real worker, many of which fail, each in its own way, under the eyes of a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path as File
from typing import Any

from service.outbox.inbox import Received
from service.outbox.receiver import Fault, Receiver
from service.outbox.signature import parse_secrets
from tests import peers
from tests.acceptance.far_end import FarEnd, far_end
from tests.acceptance.product import SECRET, Service, has_ended, serving
from tests.deploy.caller import Callers, Path, Switchboard
from tests.deploy.prometheus_server import Prometheus, prometheus
from tests.deploy.scripted import DEAR_USAGE, Part, Turn

OUTAGE_S = 2.0
"""Of the receiver. The outbox waits for some seconds more."""
AFTER_TURN_S = 0.25
SCRAPES_AFTER_S = 3.0
"""Prometheus sees the end three times."""
POLICY = "My policy number is K seven M two, four zero B nine."
NOTED = {"policy_number": "K7M2-40B9"}

LONG = Part(turns=tuple(Turn(f"And then, {n}.") for n in range(6)))
FIRST_LANE: tuple[Part, ...] = (
    Part(turns=(Turn(POLICY, answer="Policy number K7M2-40B8."), Turn("No.", answer="I'm sorry.")), claim=NOTED),
    Part(greeting_ms=2000),
    Part(model="house-model", turns=(Turn("Hello."), Turn("Hello?"))),
    Part(turns=(Turn("Sorry, as an AI I cannot transcribe this audio.", asr="Hello there."), Turn("Yes."))),
    Part(turns=(Turn("My number is 5 5 5 0 1 4.", asr="My number is 5 5 5 0 1 9."),)),
)
SECOND_LANE: tuple[Part, ...] = (
    Part(stutters=True, turns=(Turn("One."), Turn("Two."))),
    Part(usage=DEAR_USAGE),
)
THIRD_LANE: tuple[Part, ...] = (
    Part(ends="hangs_up"),
    Part(ends="closes"),
    Part(ends="babbles"),
    Part(turns=()),
)


@dataclass(frozen=True, slots=True)
class TwentyCalls:
    """What was seen, and who still can be asked."""

    service: Service
    prometheus: Prometheus
    begin_s: float
    end_s: float
    long_call: str
    """`call_id` of the call that lived through most of the run."""
    calls: list[dict[str, Any]]
    """`GET /calls/{call_id}` of each."""
    delivered: list[Received]


@dataclass
class _Stage:
    service: Service
    far_end: FarEnd
    callers: Callers
    scratch: File
    dialling: asyncio.Lock

    async def call(self, part: Part, path: Path = Path()) -> None:  # noqa: B008 -- frozen
        """A call that is answered and goes as its part says."""
        async with contextlib.AsyncExitStack() as stack:
            async with self.dialling:
                self.far_end.manner = part.play
                line = await stack.enter_async_context(self.callers.line(path))
                # A session that takes over from this one is an ordinary one.
                self.far_end.manner = Part().play
            if part.ends == "hangs_up":
                await self.callers.board.until_ended(line.name)
                return
            await asyncio.sleep(_takes_s(part))
            await self.callers.hang_up(line)

    async def refused(self, status: HTTPStatus) -> None:
        """The Realtime server takes no session."""
        async with self.dialling:
            self.far_end.status = status
            code, _ = await self.callers.board.status(f"upstream{status}")
            self.far_end.status = None
        assert code == 503, self.callers.board.messages[-1]

    async def sipp(self, scenario: str, source: str = peers.HOST) -> None:
        """A caller who must be treated as the scenario says."""
        async with self.dialling:
            self.far_end.deaf = scenario == "cancel"
            call = await peers.sipp(scenario, self.service.sip_port, self.scratch, source=source)
            self.far_end.deaf = False
        assert call.code == 0, call.messages

    async def crowd(self) -> None:
        """Callers without a word, until one is told that all lines are taken."""
        async with self.dialling:
            self.far_end.manner = Part(turns=()).play
            taken: list[tuple[str, str]] = []
            while True:
                name = f"crowd{len(taken)}"
                code, tag = await self.callers.board.status(name)
                if code != 200:
                    break
                taken.append((name, tag))
            assert code == 503, self.callers.board.messages[-1]
            assert taken
            self.callers.dialled += len(taken)
            for name, tag in taken:
                await self.callers.board.hang_up(name, tag)

    async def lane(self, parts: Sequence[Part]) -> None:
        for part in parts:
            await self.call(part)


def _takes_s(part: Part) -> float:
    """Until its last turn was answered; one without turns is hung up on in the greeting."""
    return 0.1 if not part.turns else 0.5 + 0.75 * len(part.turns) + AFTER_TURN_S


@contextlib.asynccontextmanager
async def twenty_calls(scratch: File) -> AsyncIterator[TwentyCalls]:
    """Let it happen; worker and Prometheus live on for whoever asks them."""
    settings = {
        "SIP__ALLOWED_PEERS": '["127.0.0.1/32"]',
        "REALTIME__CONNECT_TIMEOUT_S": "1.0",
        "TRANSCRIPTION__FLUSH_TIMEOUT_S": "1.0",
        "TRANSCRIPTION__ASR_MODEL": "gpt-transcribe",
        "LIMITS__CALL_USD": "1.5",
        "RECORDING__DIRECTORY": str(scratch),
        "LOG__FORMAT": "json",
    }
    receiver = Receiver(parse_secrets(SECRET), fault=Fault(status=503, probability=1.0))
    async with (
        far_end() as server,
        receiver,
        serving(scratch, server.url, webhook_url=receiver.url, **settings) as service,
        prometheus(scratch, service.http_url.removeprefix("http://")) as watching,
        Switchboard(service.sip_port) as board,
    ):
        await watching.until("claimline_ready == 1")
        stage = _Stage(service, server, Callers(board), scratch, asyncio.Lock())
        begin_s = time.time()
        async with asyncio.TaskGroup() as group:
            group.create_task(_repaired(receiver))
            group.create_task(stage.lane(FIRST_LANE))
            group.create_task(_long_call_and_others(stage))
            group.create_task(_trouble(stage))
        answered = stage.callers.dialled
        delivered = await receiver.wait_for(has_ended(answered), 20)
        await service.until_calls(lambda calls: all(call["result"] is not None for call in calls))
        await asyncio.sleep(SCRAPES_AFTER_S)
        calls = [await service.call(one["call_id"]) for one in await service.calls()]
        long_call = max(calls, key=lambda call: call["duration_s"])["call_id"]
        yield TwentyCalls(service, watching, begin_s, time.time(), long_call, calls, delivered)


async def _repaired(receiver: Receiver) -> None:
    await asyncio.sleep(OUTAGE_S)
    receiver.fault = Fault()


async def _long_call_and_others(stage: _Stage) -> None:
    await stage.call(LONG, Path(round_trip_s=0.08, lost=4, jitter_ms=10))
    await stage.lane(SECOND_LANE)


async def _trouble(stage: _Stage) -> None:
    await stage.call(Part(), Path(lossy=True))
    await stage.crowd()
    await stage.sipp("cancel")
    await stage.sipp("bad_codec")
    await stage.sipp("forbidden", "127.0.0.2")
    await stage.refused(HTTPStatus.UNAUTHORIZED)
    await stage.refused(HTTPStatus.SERVICE_UNAVAILABLE)
    await stage.lane(THIRD_LANE)
