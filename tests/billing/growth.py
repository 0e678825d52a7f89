"""An imaginary call, priced by the accounting rule: how its costs grow. `python -m tests.billing.growth` prints the
tables of docs/costs.md, which `test_costs_page.py` compares with the page.

The caller speaks five seconds a turn, the agent six. What a request shares with the one before it of its kind is read
from the cache in blocks of 64 tokens, or never, as asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count

from service.billing.prices import PriceTable
from service.billing.usage import DurationUsage, TokenUsage, from_response
from service.call.editing import TURNS_KEPT, TURNS_REPLACED
from service.call.summary import HEADING, INSTRUCTIONS
from service.engine.conversation import ContentPart, Item, Message
from service.engine.usage import Cached, Prompt, PromptCache, ResponseUsage, prompt, text_tokens
from service.transcript.request import Context, transcript_request

MODEL = "gpt-realtime-2.1"
ASR_MODEL = "gpt-transcribe"
CALLER_MS, AGENT_MS = 5000, 6000
CALLER_WORDS = "It happened this morning, on the corner of Elm Street."
AGENT_WORDS = "Thank you. I have noted the corner of Elm Street, this morning. Was anybody hurt, or taken to a doctor?"
AGENT_PROMPT = "Agent. " * 571
"""1,000 tokens, tools included."""
TRANSCRIBER_PROMPT = "Write. " * 286
"""500 tokens."""
SUMMARY_TOKENS = 150
CONTEXTS: tuple[Context, ...] = ("turn", 4, 8, "full")
TURNS_SHOWN = (1, 5, 10, 20, 40, 60)
POST_INSTRUCTIONS_TOKENS = 2000
RETENTION_RATIO = 0.8
SUMMARIZE_ABOVE_TOKENS = 3000

PRICES = PriceTable.load()


@dataclass
class Conversation:
    """What the server holds, and its cache."""

    cached: bool
    items: list[Item] = field(default_factory=list)
    cache: PromptCache = field(default_factory=PromptCache)

    def caller_speaks(self, number: int) -> str:
        part = ContentPart("input_audio", audio_ms=CALLER_MS)
        self.items.append(Message(f"caller_{number}", "user", [part]))
        return f"caller_{number}"

    def agent_speaks(self, number: int) -> None:
        part = ContentPart("output_audio", transcript=AGENT_WORDS, audio_ms=AGENT_MS)
        self.items.append(Message(f"agent_{number}", "assistant", [part]))

    def respond(
        self, kind: str, instructions: str, items: Sequence[Item], *, text: int, audio: int = 0
    ) -> tuple[TokenUsage, Decimal]:
        request = prompt(instructions, "", items)
        cached = self.cache.ask(kind, request) if self.cached else Cached(0, 0)
        usage = from_response(ResponseUsage(request, cached, text, audio).wire())
        cost = PRICES.price(MODEL, usage)
        assert cost is not None
        return usage, cost.usd

    def agent_responds(self, number: int) -> tuple[TokenUsage, Decimal]:
        spent = self.respond("agent", AGENT_PROMPT, self.items, text=text_tokens(AGENT_WORDS), audio=AGENT_MS // 50)
        self.agent_speaks(number)
        return spent


def transcriptions(context: Context, turns: int, *, cached: bool = True) -> Iterator[tuple[TokenUsage, Decimal]]:
    """Usage and cost of each turn's transcript: the requests are the service's own."""
    call = Conversation(cached)
    caller_ids: list[str] = []
    for number in range(1, turns + 1):
        item_id = call.caller_speaks(number)
        request = transcript_request(
            item_id, earlier_item_ids=caller_ids, context=context, instructions=TRANSCRIBER_PROMPT, max_output_tokens=99
        ).response
        assert request is not None
        named = {one["id"] for one in request["input"]} if "input" in request else {one.id for one in call.items}
        given = [item for item in call.items if item.id in named]
        yield call.respond("transcription", TRANSCRIBER_PROMPT, given, text=text_tokens(CALLER_WORDS))
        caller_ids.append(item_id)
        call.agent_speaks(number)


def agent(turns: int, *, cached: bool = True) -> Iterator[Decimal]:
    """Cost of each of the agent's responses, nothing done about the length of the call."""
    call = Conversation(cached)
    for number in range(1, turns + 1):
        call.caller_speaks(number)
        yield call.agent_responds(number)[1]


def agent_truncated(turns: int, *, cached: bool = True) -> Iterator[Decimal]:
    """With `session.truncation` by retention ratio."""
    call = Conversation(cached)
    for number in range(1, turns + 1):
        call.caller_speaks(number)
        if _tokens(prompt("", "", call.items)) > POST_INSTRUCTIONS_TOKENS:
            while _tokens(prompt("", "", call.items)) > POST_INSTRUCTIONS_TOKENS * RETENTION_RATIO:
                del call.items[0]
        yield call.agent_responds(number)[1]


def agent_summarized(turns: int, *, cached: bool = True) -> Iterator[Decimal]:
    """With `agent.summarize_above_tokens`; a summary is paid for with the response that it follows."""
    call = Conversation(cached)
    numbers = count(1)
    for number in range(1, turns + 1):
        call.caller_speaks(number)
        usage, usd = call.agent_responds(number)
        places = [place for place, item in enumerate(call.items) if item.id.startswith("caller")]
        if usage.input_tokens > SUMMARIZE_ABOVE_TOKENS and len(places) >= TURNS_KEPT + TURNS_REPLACED:
            old = call.items[: places[-TURNS_KEPT]]
            words = "\n".join(AGENT_WORDS if item.id.startswith("agent") else CALLER_WORDS for item in old)
            told = Message("told", "user", [ContentPart("input_text", text=words)])
            usd += call.respond("summary", INSTRUCTIONS, [told], text=SUMMARY_TOKENS)[1]
            notes = ContentPart("input_text", text=HEADING + "." * 4 * SUMMARY_TOKENS)
            call.items[: len(old)] = [Message(f"summary_{next(numbers)}", "system", [notes])]
        yield usd


def asr(turns: int) -> Decimal:
    """Built-in transcription of a call."""
    cost = PRICES.price(ASR_MODEL, DurationUsage(Decimal(CALLER_MS) / 1000))
    assert cost is not None
    return cost.usd * turns


def _tokens(request: Prompt) -> int:
    return sum(segment.tokens for segment in request)


# -- the page's tables ---------------------------------------------------------------------------------------------


def purposes() -> list[str]:
    """A call of 20 turns, by purpose."""
    of_turns = sum(usd for _, usd in transcriptions("turn", 20))
    in_full = sum(usd for _, usd in transcriptions("full", 20))
    rows = [
        ("`agent`", sum(agent(20))),
        ("`transcription`, `turn`", of_turns),
        ("`transcription`, `full`", in_full),
        (f"`asr`, {ASR_MODEL}", asr(20)),
    ]
    return ["| purpose | USD |", "| --- | --- |", *(f"| {name} | {usd:.4f} |" for name, usd in rows)]


def contexts(*, cached: bool) -> list[str]:
    """Cost of the transcript of a turn, by its number and by context."""
    columns = {context: [usd for _, usd in transcriptions(context, 60, cached=cached)] for context in CONTEXTS}
    heads = " | ".join(f"`{context}`" for context in CONTEXTS)
    rows = [
        f"| {shown} | " + " | ".join(f"{columns[context][shown - 1]:.5f}" for context in CONTEXTS) + " |"
        for shown in TURNS_SHOWN
    ]
    whole = "| all 60 | " + " | ".join(f"{sum(columns[context]):.3f}" for context in CONTEXTS) + " |"
    return [f"| turn | {heads} |", "| --- " * (len(CONTEXTS) + 1) + "|", *rows, whole]


def long_calls() -> list[str]:
    """Cost of the agent in a call of 60 turns."""
    ways = {"nothing": agent, "truncation": agent_truncated, "a summary": agent_summarized}
    rows = [f"| {name} | {sum(way(60)):.3f} | {sum(way(60, cached=False)):.3f} |" for name, way in ways.items()]
    return ["| done about it | cache always hit | never hit |", "| --- | --- | --- |", *rows]


def tables() -> dict[str, list[str]]:
    """Every table of the page, by what it shows."""
    return {
        "by purpose": purposes(),
        "context, cache hit": contexts(cached=True),
        "context, cache missed": contexts(cached=False),
        "long calls": long_calls(),
    }


if __name__ == "__main__":
    for name, table in tables().items():
        sys.stdout.write("\n".join((name, "", *table, "", "")))
