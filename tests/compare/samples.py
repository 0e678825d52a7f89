"""A comparison with everything in it that is hard to show."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from service.billing.usage import DurationUsage, TokenUsage
from service.compare.methods import BUILT_IN, Method
from service.compare.results import Comparison, Outcome, TurnResult

SCRIPT = '<script>alert("x")</script> & <b>bold</b>'
ARABIC = "مينهاجو حق."
LONG = "and then the other car came out of the side street without any warning " * 30
UNBROKEN = "K" * 900
JAPANESE = "事故の後で警察を呼びましたが誰も来ませんでした" * 12
TERMINAL = "red \x1b[31m alert \x07\r\nand \u202ebackwards"


def outcome(text: str, usd: str | None = "0.0012345", **fields: object) -> Outcome:
    usage = TokenUsage(text_in=52, text_cached=448, audio_in=20, text_out=9)
    cost = Decimal(usd) if usd is not None else None
    return Outcome(text, usage=usage, cost_usd=cost, latency_s=0.456, **fields)  # type: ignore[arg-type]


TIMED = Outcome("minutes", usage=DurationUsage(Decimal(3)), cost_usd=Decimal("0.000225"), latency_s=0.2)
REFUSED = Outcome(problem="unsupported <conversation>")

SAMPLE = Comparison(
    model="gpt-realtime-2.1",
    asr_model="gpt-transcribe",
    prices_as_of=date(2026, 11, 21),
    methods=(BUILT_IN, Method("turn"), Method(3), Method("full")),
    turns=(
        TurnResult(
            1, "plain.wav", 2340, "My policy number is X007", (TIMED, outcome(SCRIPT), outcome(ARABIC), REFUSED)
        ),
        TurnResult(2, '=1+1"><i>.wav', 61_000, None, (TIMED, outcome(LONG), outcome(UNBROKEN), outcome(JAPANESE))),
        TurnResult(3, TERMINAL, 500, TERMINAL, (TIMED, outcome(TERMINAL), outcome("", None), outcome("x", "0.002"))),
    ),
    planned_turns=4,
    agent_usd=Decimal("0.0123"),
)
