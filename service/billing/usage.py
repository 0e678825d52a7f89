"""Usage reports of the Realtime protocol, read without trust and split so that every token is counted once.

A report names totals and, optionally, details. Cached tokens are a part of the input, not added to it. `TokenUsage`
therefore partitions: the sum of its eight counts is the number of tokens that are billed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

MAX_TOKENS = 10**7
"""Far beyond any context window; a larger count is a defect and is clamped."""
MAX_SECONDS = 86_400

Modality = Literal["text", "audio", "image"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "image")


@dataclass(frozen=True, slots=True)
class Kind:
    """One cell of the partition; ``name`` is the field of `TokenUsage` and the key of the price table."""

    name: str
    direction: Literal["input", "output"]
    modality: Modality
    cached: bool


KINDS: tuple[Kind, ...] = (
    Kind("text_in", "input", "text", cached=False),
    Kind("text_cached", "input", "text", cached=True),
    Kind("audio_in", "input", "audio", cached=False),
    Kind("audio_cached", "input", "audio", cached=True),
    Kind("image_in", "input", "image", cached=False),
    Kind("image_cached", "input", "image", cached=True),
    Kind("text_out", "output", "text", cached=False),
    Kind("audio_out", "output", "audio", cached=False),
)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens by kind. ``*_in`` is the input that was not cached; ``*_cached`` the input that was."""

    text_in: int = 0
    text_cached: int = 0
    audio_in: int = 0
    audio_cached: int = 0
    image_in: int = 0
    image_cached: int = 0
    text_out: int = 0
    audio_out: int = 0
    inconsistent: bool = False
    """The report contradicted itself or held values of a wrong type; the counts are the best reading of it."""

    def counts(self) -> Iterator[tuple[Kind, int]]:
        """Every kind with its count, zero included."""
        for kind in KINDS:
            yield kind, getattr(self, kind.name)

    @property
    def input_tokens(self) -> int:
        """All input, cached included."""
        return sum(count for kind, count in self.counts() if kind.direction == "input")

    @property
    def output_tokens(self) -> int:
        """All output."""
        return self.text_out + self.audio_out

    def as_json(self) -> dict[str, int]:
        """The counts by name, ready for JSON."""
        return {kind.name: count for kind, count in self.counts()}


@dataclass(frozen=True, slots=True)
class DurationUsage:
    """Seconds of audio, of transcription models that are priced by time."""

    seconds: Decimal = Decimal(0)
    inconsistent: bool = False

    def as_json(self) -> dict[str, float]:
        """The seconds, ready for JSON."""
        return {"seconds": float(self.seconds)}


def from_response(usage: Mapping[str, Any] | None) -> TokenUsage:
    """Read ``response.usage`` of ``response.done``. Never raises; None (a failed or cancelled response) is zero.

    Where details do not add up to their total, the rest counts as text. A ``cached_tokens`` total without details is
    attributed to text first, then audio, then image: the cached part is a prefix of the prompt, and the instructions
    stand at its beginning.
    """
    return _tokens(usage, rest="text")


def from_transcription(usage: Mapping[str, Any] | None) -> TokenUsage | DurationUsage:
    """Read ``usage`` of ``conversation.item.input_audio_transcription.completed``. Never raises.

    Input without details counts as audio: what a transcription model is given.
    """
    if isinstance(usage, Mapping) and (usage.get("type") == "duration" or "seconds" in usage):
        return _duration(usage.get("seconds"))
    return _tokens(usage, rest="audio")


def _duration(seconds: object) -> DurationUsage:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        return DurationUsage(inconsistent=True)
    clamped = min(seconds, MAX_SECONDS)
    # repr: the decimal digits that the server sent, not the binary fraction behind them.
    return DurationUsage(Decimal(repr(clamped)), inconsistent=clamped != seconds)


class _Reader:
    """Reads counts out of one report and remembers whether it was sound."""

    def __init__(self) -> None:
        self.inconsistent = False

    def check(self, sound: bool) -> None:
        self.inconsistent |= not sound

    def mapping(self, value: object) -> Mapping[str, Any]:
        self.check(value is None or isinstance(value, Mapping))
        return value if isinstance(value, Mapping) else {}

    def count(self, value: object) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.check(False)
            return None
        clamped = min(max(value, 0), MAX_TOKENS)
        self.check(clamped == value)
        return clamped

    def split(
        self, total: int | None, details: Mapping[str, Any], modalities: tuple[Modality, ...], rest: Modality
    ) -> dict[Modality, int]:
        """Tokens by modality; where the total is larger than its details, the difference goes to ``rest``."""
        read = {modality: self.count(details.get(f"{modality}_tokens")) for modality in modalities}
        split = {modality: count or 0 for modality, count in read.items()}
        if total is not None:
            missing = total - sum(split.values())
            # A total may stand for one modality that the details leave out, not for more.
            self.check(missing == 0 or (missing > 0 and read[rest] is None and bool(details)))
            split[rest] += max(missing, 0)
        return split

    def cached(self, details: Mapping[str, Any], given: dict[Modality, int]) -> dict[Modality, int]:
        """The cached part of ``given``, never more than it."""
        total = self.count(details.get("cached_tokens"))
        named = self.mapping(details.get("cached_tokens_details"))
        read = {modality: self.count(named.get(f"{modality}_tokens")) for modality in MODALITIES}
        cached = {modality: min(read[modality] or 0, given[modality]) for modality in MODALITIES}
        self.check(all((read[modality] or 0) == cached[modality] for modality in MODALITIES))
        if total is None:
            return cached
        left = total - sum(count or 0 for count in read.values())
        for modality in MODALITIES:
            if read[modality] is None and left > 0:
                more = min(left, given[modality] - cached[modality])
                cached[modality] += more
                left -= more
        self.check(left == 0)
        return cached


def _tokens(usage: object, rest: Modality) -> TokenUsage:
    reader = _Reader()
    report = reader.mapping(usage)
    input_details = reader.mapping(report.get("input_token_details"))
    given = reader.split(reader.count(report.get("input_tokens")), input_details, MODALITIES, rest)
    cached = reader.cached(input_details, given)
    output_details = reader.mapping(report.get("output_token_details"))
    # A transcription's output is text and comes without details.
    output_total = reader.count(report.get("output_tokens"))
    if rest == "audio" and not output_details:
        output_details = {"text_tokens": output_total}
    made = reader.split(output_total, output_details, ("text", "audio"), "text")
    total = reader.count(report.get("total_tokens"))
    reader.check(total is None or total == sum(given.values()) + sum(made.values()))
    return TokenUsage(
        text_in=given["text"] - cached["text"],
        text_cached=cached["text"],
        audio_in=given["audio"] - cached["audio"],
        audio_cached=cached["audio"],
        image_in=given["image"] - cached["image"],
        image_cached=cached["image"],
        text_out=made["text"],
        audio_out=made["audio"],
        inconsistent=reader.inconsistent,
    )
