"""Three callers speak to one worker for a minute, while more ring than it can take. What was seen is kept as values."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.outbox.inbox import Received
from service.outbox.receiver import Arrival, Receiver
from service.outbox.signature import parse_secrets
from tests import peers
from tests.acceptance.product import SECRET, Service, event_log, has_ended, serving
from tests.peers import Codec, Exit
from tests.speech_material import CALL_PROMPTS, LINE_HZ, POLICY_NUMBERS, Pcm16, load, spell

CALLS = 3
TALK_S = 67.0
"""Longer than what is said, and than the refusals take."""
LEAD_S = 1.0
PAUSE_S = 1.6
"""Between two prompts; a turn ends after 0.5 s of silence."""
CODECS: tuple[Codec, ...] = ("PCMU", "PCMA", "PCMU")
BURST = 200
REFUSALS_PER_S = 20
REFUSED_S = 60


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a caller says: the words of a prompt, or a spelled policy number."""

    text: str
    spelled: bool
    pcm: Pcm16


@dataclass(frozen=True, slots=True)
class SpokenCall:
    """One of the three calls, from all sides."""

    call_id: str
    codec: Codec
    said: tuple[Utterance, ...]
    delivered: tuple[Received, ...]
    event_log: Path
    gaps_ms: NDArray[np.float64]
    """Between the arrivals of the packets that the service sent, by the kernel's clock."""
    sequence_steps: frozenset[int]

    @property
    def turns(self) -> list[Received]:
        """`turn.transcribed`, as delivered."""
        return [message for message in self.delivered if message.type == "turn.transcribed"]


@dataclass(frozen=True, slots=True)
class BusyMinute:
    """What was seen."""

    calls: tuple[SpokenCall, ...]
    arrivals: tuple[Arrival, ...]
    burst: Exit
    refused: Exit
    next_call: Exit
    """Placed when the three were over."""
    rejected: float
    """Counted by the service, for lack of capacity."""
    tokens: float
    """Counted by the service."""
    faults: tuple[dict[str, Any], ...]


def shares() -> list[tuple[Utterance, ...]]:
    """What each caller says: every prompt and policy number once."""
    prompts = [Utterance(prompt.text, False, load(prompt)) for prompt in CALL_PROMPTS]
    numbers = [Utterance(number, True, spell(number)) for number in POLICY_NUMBERS]
    prompts.sort(key=lambda utterance: utterance.pcm.size)
    return [(*prompts[caller::CALLS], *numbers[caller::CALLS]) for caller in range(CALLS)]


def track(said: Sequence[Utterance]) -> Pcm16:
    """As one caller's side of the line, with pauses that end a turn."""
    pause = np.zeros(int(PAUSE_S * LINE_HZ), np.int16)
    parts = [np.zeros(int(LEAD_S * LINE_HZ), np.int16)]
    for utterance in said:
        parts += [utterance.pcm, pause]
    return np.concatenate(parts)


async def busy_minute(engine_url: str, scratch: Path) -> BusyMinute:
    """Let it happen: about 75 s."""
    async with (
        Receiver(parse_secrets(SECRET)) as receiver,
        serving(scratch, engine_url, webhook_url=receiver.url) as service,
    ):
        lines: list[tuple[tuple[Utterance, ...], Codec, peers.RtpPeer]] = []
        async with contextlib.AsyncExitStack() as stack:
            for said, codec in zip(shares(), CODECS, strict=True):
                speech = track(said)
                assert speech.size / LINE_HZ < TALK_S - 4
                payload = peers.encode(speech, codec)
                call = peers.talking(service.sip_port, scratch, payload=payload, codec=codec, talk_s=TALK_S)
                lines.append((said, codec, await stack.enter_async_context(call)))
            refused, burst = await crowd(service, scratch)
            live = await service.calls()
            assert [call["result"] for call in live] == [None] * CALLS, "the calls should have outlived the crowd"
        await receiver.wait_for(has_ended(CALLS), 20)
        next_call = await peers.sipp("call", service.sip_port, scratch, rtp_port=40000, pt=0, codec="PCMU", talk_ms=100)
        call_ids = [call["call_id"] for call in reversed(await service.calls())][:CALLS]
        rejected = await service.metric("claimline_calls_total", result="rejected", reason="capacity")
        await receiver.wait_for(has_ended(CALLS + 1), 20)
        tokens = await service.metric("claimline_tokens_total")
        faults = tuple(service.logged("call_broke") + service.logged("call_lost"))
        calls = tuple(
            SpokenCall(
                call_id,
                codec,
                said,
                tuple(message for message in receiver.messages if message.call_id == call_id),
                event_log(scratch, call_id),
                rtp.gaps_ms(),
                frozenset((np.diff([packet.sequence for packet in rtp.packets]) % 65536).tolist()),
            )
            for call_id, (said, codec, rtp) in zip(call_ids, lines, strict=True)
        )
        return BusyMinute(calls, tuple(receiver.arrivals), burst, refused, next_call, rejected, tokens, faults)


async def crowd(service: Service, scratch: Path) -> tuple[Exit, Exit]:
    """Many who ring at once, then a minute of steady ringing."""
    burst = await peers.sipp("refused", service.sip_port, scratch, calls=BURST, per_second=1000)
    steady = await peers.sipp(
        "refused",
        service.sip_port,
        scratch,
        calls=REFUSALS_PER_S * REFUSED_S,
        per_second=REFUSALS_PER_S,
        timeout_s=REFUSED_S + 15,
    )
    return steady, burst
