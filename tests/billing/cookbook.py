"""The 24 cost lines of OpenAI's Cookbook, "Transcribing User Audio with a Separate Realtime Request"."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from service.billing.prices import PriceTable
from service.billing.usage import TokenUsage

COOKBOOK = PriceTable.load({"gpt-4o-transcribe": {"audio_in": Decimal(6)}})
"""The prices of the day on which the cookbook's figures below were printed."""


class OutOfBand(NamedTuple):
    """An out-of-band transcription by gpt-realtime as printed: tokens, then dollars."""

    text: int
    audio: int
    cached_text: int
    out: int
    text_in_usd: str
    cached_usd: str
    audio_in_usd: str
    out_usd: str
    total_usd: str


class Asr(NamedTuple):
    """A transcription by gpt-4o-transcribe as printed: tokens, then dollars."""

    audio: int
    out: int
    audio_in_usd: str
    out_usd: str
    total_usd: str


FULL_CONTEXT = [
    OutOfBand(1830, 0, 0, 11, "0.007320", "0.000000", "0.000000", "0.000176", "0.007496"),
    OutOfBand(1906, 95, 1856, 19, "0.000200", "0.000742", "0.003040", "0.000304", "0.004286"),
    OutOfBand(1963, 153, 1856, 21, "0.000428", "0.000742", "0.004896", "0.000336", "0.006402"),
    OutOfBand(2014, 212, 1856, 7, "0.000632", "0.000742", "0.006784", "0.000112", "0.008270"),
    OutOfBand(2055, 177, 1856, 23, "0.000796", "0.000742", "0.005664", "0.000368", "0.007570"),
    OutOfBand(2092, 160, 1856, 9, "0.000944", "0.000742", "0.005120", "0.000144", "0.006950"),
]
LAST_TURN = [
    OutOfBand(1809, 0, 0, 4, "0.007236", "0.000000", "0.000000", "0.000064", "0.007300"),
    OutOfBand(1809, 0, 1792, 20, "0.000068", "0.000717", "0.000000", "0.000320", "0.001105"),
    OutOfBand(1809, 0, 1792, 12, "0.000068", "0.000717", "0.000000", "0.000192", "0.000977"),
    OutOfBand(1809, 0, 1792, 12, "0.000068", "0.000717", "0.000000", "0.000192", "0.000977"),
    OutOfBand(1809, 0, 1792, 21, "0.000068", "0.000717", "0.000000", "0.000336", "0.001121"),
    OutOfBand(1809, 0, 1792, 15, "0.000068", "0.000717", "0.000000", "0.000240", "0.001025"),
]
ASR_FULL_CONTEXT = [
    Asr(16, 3, "0.000096", "0.000030", "0.000126"),
    Asr(57, 14, "0.000342", "0.000140", "0.000482"),
    Asr(59, 11, "0.000354", "0.000110", "0.000464"),
    Asr(32, 7, "0.000192", "0.000070", "0.000262"),
    Asr(60, 23, "0.000360", "0.000230", "0.000590"),
    Asr(20, 7, "0.000120", "0.000070", "0.000190"),
]
ASR_LAST_TURN = [
    Asr(14, 3, "0.000084", "0.000030", "0.000114"),
    Asr(74, 13, "0.000444", "0.000130", "0.000574"),
    Asr(88, 14, "0.000528", "0.000140", "0.000668"),
    Asr(53, 12, "0.000318", "0.000120", "0.000438"),
    Asr(46, 21, "0.000276", "0.000210", "0.000486"),
    Asr(45, 15, "0.000270", "0.000150", "0.000420"),
]


def usage_of(line: OutOfBand | Asr) -> TokenUsage:
    if isinstance(line, Asr):
        return TokenUsage(audio_in=line.audio, text_out=line.out)
    return TokenUsage(
        text_in=line.text - line.cached_text, text_cached=line.cached_text, audio_in=line.audio, text_out=line.out
    )
