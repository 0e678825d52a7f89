"""A caller who hangs up in the middle of a sentence: what was said until then is delivered, before the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.outbox.receiver import Receiver
from service.outbox.signature import parse_secrets
from tests import peers
from tests.acceptance.product import SECRET, has_ended, serving
from tests.speech_material import LINE_HZ, PROMPTS, load, words

pytestmark = [pytest.mark.real, pytest.mark.speech]

SENTENCE = next(prompt for prompt in PROMPTS if prompt.name == "0890")
"""Unless to be rather cold hearted and rather selfish is to be ill disposed: 5.3 s without a stop."""
LEAD_S = 1.5
SPOKEN_S = 3.0


async def test_the_last_turn_is_delivered_before_the_end(engine_url: str, tmp_path: Path) -> None:
    speech = np.concatenate([np.zeros(int(LEAD_S * LINE_HZ), np.int16), load(SENTENCE)])
    (tmp_path / "speech.alaw").write_bytes(peers.encode(speech, "PCMA"))
    async with (
        Receiver(parse_secrets(SECRET)) as receiver,
        serving(tmp_path, engine_url, webhook_url=receiver.url, CLAIM__EXTRACT="off") as service,
    ):
        call = await peers.place_call(
            tmp_path / "speech.alaw", service.sip_port, tmp_path, codec="PCMA", talk_s=LEAD_S + SPOKEN_S
        )
        assert call.code == 0, call.messages
        messages = await receiver.wait_for(has_ended(), 10)
    assert [message.type for message in messages] == ["call.started", "turn.transcribed", "call.ended"]
    turn, ended = messages[1].data, messages[2].data
    assert turn["source"] == "out_of_band"
    assert turn["duration_ms"] == pytest.approx(SPOKEN_S * 1000, abs=600)
    heard, said = words(turn["transcript"]), words(SENTENCE.text)
    # The last word may have been cut in two.
    assert len(heard) >= 5
    assert heard[:5] == said[:5]
    assert len(heard) < len(said)
    assert (ended["turns"], ended["cost_complete"]) == (1, True)
    assert ended["quality"]["codec"] == "PCMA"
    assert [line["text"] for line in ended["transcript"] if line["speaker"] == "caller"] == [turn["transcript"]]
