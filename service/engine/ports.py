"""What a session of the engine needs from ears, voice and brain: the seams to `vad`, `asr`, `voice` and `dialogue`.

Audio is PCM16 mono at 24 kHz in arrays of `numpy.int16` throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from service.engine.rates import Pcm16
from service.engine.recognition import Transcript
from service.engine.vad import VadEvent

Role = Literal["user", "assistant", "system"]


class TurnDetector(Protocol):
    """Finds turns in a stream; its times count from the first sample after construction or `reset`."""

    def configure(self, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Change the settings; an open turn goes on."""

    def reset(self) -> None:
        """Begin a new stream at 0 ms."""

    def feed(self, pcm24k: Pcm16, /) -> Sequence[VadEvent]:
        """Take any number of samples; tell what they brought, in order."""


class Recognizer(Protocol):
    """Turns audio into text, off the event loop."""

    async def transcribe(self, pcm24k: Pcm16, /) -> Transcript:
        """Verbatim; an empty text where nothing was said."""


class Voice(Protocol):
    """Turns text into audio. Blocks: pull it off the event loop."""

    def synthesize(self, text: str, seed: int | None = None, speed: float = 1.0) -> Iterable[Pcm16]:
        """Chunks of any length, as they become ready; none where there is nothing to say."""


class ToolCall(Protocol):
    """A function the dialogue wants called."""

    @property
    def name(self) -> str:
        """As declared in the session's tools."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """JSON-ready."""


class Reply(Protocol):
    """What the dialogue says next; an empty text says nothing."""

    @property
    def text(self) -> str:
        """To be spoken."""

    @property
    def tool(self) -> ToolCall | None:
        """Called after the text."""


class Dialogue(Protocol):
    """The brain of one session: deterministic, no I/O."""

    def may_call(self, functions: Set[str], /) -> None:
        """The functions that the next reply can call, by name."""

    def greet(self, *, recorded: bool) -> Reply:
        """The first words; where the call is `recorded`, they say so."""

    def hear(self, transcript: str, /) -> Reply:
        """The caller's turn as recognised; empty where it was unintelligible."""

    def silence(self) -> Reply:
        """The caller said nothing for `idle_timeout_ms`."""

    def answered(self, function: str, output: str, /) -> Reply | None:
        """A function that was called has given its output; None where that is nothing to speak of."""

    def interrupted(self, heard_text: str, /) -> None:
        """The last reply was cut off; the caller heard this much of it."""

    def arguments(self, function: str, text: str, /) -> Mapping[str, Any]:
        """What a function is to be called with, JSON-ready, that must be called for a text beside the conversation."""

    def summary(self, said: Sequence[tuple[Role, str]], /) -> str:
        """What these messages tell, oldest first, in few words."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Ears, voice and brain of an engine. Recogniser and voice are shared by all its sessions."""

    detector: Callable[[float, int, int], TurnDetector]
    """Of `threshold`, `prefix_padding_ms`, `silence_duration_ms`: a detector for one session."""
    recognizer: Recognizer
    voice: Voice
    dialogue: Callable[[], Dialogue]
    """A brain for one session."""
