"""A caller on a speaker-phone: the agent's voice comes back 20 dB weaker, and does not interrupt the agent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.product import serving
from tests.bench.echo import Seen, call, sentence
from tests.speakerphone import EchoPath
from tests.speech_material import words

pytestmark = [pytest.mark.alone, pytest.mark.real, pytest.mark.speech]

ECHO = EchoPath(level_db=-20, delay_ms=150)
LAST_WORDS = "full legal name?"
"""Of the greeting, which lasts nearly ten seconds."""


def agents_lines(seen: Seen) -> list[tuple[str, bool]]:
    """What the agent said, and whether it was interrupted."""
    return [
        (line["text"], line.get("interrupted", False))
        for line in seen.record["transcript"]
        if line["speaker"] == "agent"
    ]


async def test_echo_does_not_interrupt_the_agent_and_the_caller_still_does(engine_url: str, tmp_path: Path) -> None:
    places = [tmp_path / "off", tmp_path / "on"]
    for place in places:
        place.mkdir()
    async with (
        serving(places[0], engine_url, SIP__ECHO_TAIL_MS="0") as off,
        serving(places[1], engine_url) as on,
    ):
        endless, greeted, interrupted = await asyncio.gather(
            call(off, ECHO, 5.0), call(on, ECHO, 11.0), call(on, ECHO, 8.5, sentence())
        )
    assert endless.interruptions >= 2, "without echo control this telephone's echo should have interrupted the agent"

    assert greeted.interruptions == 0
    assert greeted.record["turns"] == []
    (greeting, was_interrupted), *more = agents_lines(greeted)
    assert (greeting.endswith(LAST_WORDS), was_interrupted, more) == (True, False, [])
    assert greeted.spoke_s > 7

    assert interrupted.interruptions == 1
    assert agents_lines(interrupted)[0][1]
    assert interrupted.silent_after_ms < 800
    # Its first syllables were spoken into the agent's echo, and may have something of it.
    (turn,) = interrupted.record["turns"]
    assert words(turn["transcript"])[-3:] == ["has", "been", "extended"]
