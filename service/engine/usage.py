"""Token accounting of a response, by the rules seen in recorded traffic.

Input audio is all user audio in context (1 token per 100 ms) and the audio of the last assistant message only (1 per
50 ms); older assistant audio counts as its text. Output audio is 1 token per 50 ms. Cached are whole blocks of 64
tokens of the prefix that a request shares with the one before it of the same kind. There is no tokenizer here: text is
estimated at a token for every four bytes of UTF-8, and a few more for every item.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from service.engine.conversation import FunctionCall, FunctionCallOutput, Item, Message

USER_MS_PER_TOKEN = 100
ASSISTANT_MS_PER_TOKEN = 50
TEXT_BYTES_PER_TOKEN = 4
ITEM_OVERHEAD_TOKENS = 4
CACHE_BLOCK_TOKENS = 64
KINDS_REMEMBERED = 16

DURATION_PRICED = frozenset({"whisper-1", "gpt-realtime-whisper", "gpt-transcribe", "gpt-live-transcribe"})
"""Transcription models whose usage is a duration; the others report tokens."""


class Segment(NamedTuple):
    """A stretch of a prompt of one modality; equal segments at the same place are the same prompt."""

    key: str
    modality: Literal["text", "audio"]
    tokens: int


Prompt = tuple[Segment, ...]


class Cached(NamedTuple):
    """Tokens of a prompt that were served from the cache."""

    text_tokens: int
    audio_tokens: int


def text_tokens(text: str) -> int:
    """The estimate: a token for every four bytes."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // TEXT_BYTES_PER_TOKEN)


def first_tokens(text: str, tokens: int) -> str:
    """As much of a text as that many tokens hold, by the same estimate."""
    return text.encode("utf-8", "surrogatepass")[: tokens * TEXT_BYTES_PER_TOKEN].decode("utf-8", "ignore")


def prompt(instructions: str, tools: str, items: Sequence[Item]) -> Prompt:
    """A request: instructions, tool definitions (their JSON, or empty), and the items in context."""
    segments = [Segment(f"instructions {instructions}", "text", text_tokens(instructions))]
    if tools:
        segments.append(Segment(f"tools {tools}", "text", text_tokens(tools)))
    for stretch in item_segments(items):
        segments.extend(stretch)
    return tuple(segments)


def item_segments(items: Sequence[Item]) -> list[list[Segment]]:
    """What each item adds to a request that carries all of them."""
    last_assistant = next(
        (item for item in reversed(items) if isinstance(item, Message) and item.role == "assistant"), None
    )
    return [_segments(item, speaks_last=item is last_assistant) for item in items]


def _segments(item: Item, *, speaks_last: bool) -> list[Segment]:
    if isinstance(item, FunctionCall):
        return [Segment(item.id, "text", ITEM_OVERHEAD_TOKENS + text_tokens(item.name) + text_tokens(item.arguments))]
    if isinstance(item, FunctionCallOutput):
        return [Segment(item.id, "text", ITEM_OVERHEAD_TOKENS + text_tokens(item.output))]
    if item.audio is None:
        return _written(item)
    text, audio = ITEM_OVERHEAD_TOKENS, 0
    for part in item.content:
        if part.type == "input_audio":
            audio += part.audio_ms // USER_MS_PER_TOKEN
        elif part.type == "output_audio" and speaks_last:
            audio += part.audio_ms // ASSISTANT_MS_PER_TOKEN
        else:
            text += text_tokens(part.transcript or part.text)
    segments = [Segment(item.id, "text", text)]
    if audio:
        segments.append(Segment(item.id, "audio", audio))
    return segments


def _written(message: Message) -> list[Segment]:
    """A segment for each row, known by its words: texts that begin alike share that much of a cache."""
    segments: list[Segment] = []
    read_bytes, counted = 0, -ITEM_OVERHEAD_TOKENS
    for row in message.text.splitlines(keepends=True) or [""]:
        read_bytes += len(row.encode("utf-8", "surrogatepass"))
        tokens = -(-read_bytes // TEXT_BYTES_PER_TOKEN) - counted
        segments.append(Segment(f"{message.role} {row}", "text", tokens))
        counted += tokens
    return segments


class PromptCache:
    """Remembers the last request of each kind."""

    def __init__(self) -> None:
        self._previous: OrderedDict[str, Prompt] = OrderedDict()

    def ask(self, kind: str, request: Prompt) -> Cached:
        """What of this request was cached; from now on it is the previous one of its kind."""
        previous = self._previous.pop(kind, ())
        self._previous[kind] = request
        if len(self._previous) > KINDS_REMEMBERED:
            self._previous.popitem(last=False)
        return _cached(previous, request)


def _cached(previous: Prompt, request: Prompt) -> Cached:
    shared: list[Segment] = []
    for before, now in zip(previous, request, strict=False):
        if before != now:
            break
        shared.append(now)
    left = sum(segment.tokens for segment in shared) // CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS
    tokens = {"text": 0, "audio": 0}
    for segment in shared:
        taken = min(left, segment.tokens)
        tokens[segment.modality] += taken
        left -= taken
    return Cached(tokens["text"], tokens["audio"])


@dataclass(frozen=True, slots=True)
class ResponseUsage:
    """What a response used; its parts always add up."""

    request: Prompt
    cached: Cached
    output_text_tokens: int
    output_audio_tokens: int

    @property
    def total_tokens(self) -> int:
        """Input and output."""
        return sum(segment.tokens for segment in self.request) + self.output_text_tokens + self.output_audio_tokens

    def wire(self) -> dict[str, Any]:
        """`response.done`'s `usage`."""
        text = sum(segment.tokens for segment in self.request if segment.modality == "text")
        audio = sum(segment.tokens for segment in self.request if segment.modality == "audio")
        output = self.output_text_tokens + self.output_audio_tokens
        return {
            "total_tokens": text + audio + output,
            "input_tokens": text + audio,
            "output_tokens": output,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": self.cached.text_tokens + self.cached.audio_tokens,
                "cached_tokens_details": {
                    "text_tokens": self.cached.text_tokens,
                    "audio_tokens": self.cached.audio_tokens,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": self.output_text_tokens, "audio_tokens": self.output_audio_tokens},
        }


def transcription_usage(model: str, audio_ms: int, transcript: str) -> dict[str, Any]:
    """Usage of one built-in transcription: whole seconds, or tokens, as the model is priced."""
    if model in DURATION_PRICED:
        return {"type": "duration", "seconds": -(-audio_ms // 1000)}
    audio, output = audio_ms // USER_MS_PER_TOKEN, text_tokens(transcript)
    return {
        "type": "tokens",
        "total_tokens": audio + output,
        "input_tokens": audio,
        "output_tokens": output,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
    }
