"""The ways of transcribing that are compared."""

from __future__ import annotations

from dataclasses import dataclass

from service.transcript.request import Context

MAX_METHODS = 6
MAX_CONTEXT_TURNS = 1_000


@dataclass(frozen=True, slots=True)
class Method:
    """Out of band with a context, or the server's built-in transcription (`context` None)."""

    context: Context | None

    @property
    def label(self) -> str:
        """As it is shown: `built-in`, `turn`, `3 turns`, `full`."""
        match self.context:
            case None:
                return "built-in"
            case int(count):
                return f"{count} turns" if count > 1 else "1 turn"
            case name:
                return name


BUILT_IN = Method(None)


def parse_contexts(text: str) -> tuple[Method, ...]:
    """`turn,3,full` as methods. Raises ValueError with a sentence."""
    methods = tuple(Method(_context(part.strip())) for part in text.split(","))
    if len(set(methods)) != len(methods):
        raise ValueError(f"{text!r} names a context twice")
    if len(methods) >= MAX_METHODS:
        raise ValueError(f"{text!r} names {len(methods)} contexts; at most {MAX_METHODS - 1} fit side by side")
    return methods


def _context(text: str) -> Context:
    if text == "turn":
        return "turn"
    if text == "full":
        return "full"
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_CONTEXT_TURNS:
        return int(text)
    raise ValueError(f"{text[:24]!r} is no context: write turn, full, or a number of turns up to {MAX_CONTEXT_TURNS}")
