"""What a comparison found, as values: for each turn an outcome by each method."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from service.billing.usage import DurationUsage, TokenUsage
from service.compare.methods import Method
from service.compare.word_errors import WordErrors, word_errors


@dataclass(frozen=True, slots=True)
class Outcome:
    """One turn by one method."""

    text: str = ""
    problem: str | None = None
    """Why there is no transcript, as the server put it; None: there is one."""
    usage: TokenUsage | DurationUsage | None = None
    """As the server reported it; None: it reported none."""
    cost_usd: Decimal | None = None
    """None: not known, because nothing was reported or the model has no price."""
    latency_s: float | None = None
    """Built-in: from the item in the conversation to the result; out of band: from the request, which a call sends at
    that same moment."""

    @property
    def charged(self) -> bool:
        """Whether it belongs into the sums: it was used, at whatever price."""
        return self.usage is not None or self.problem is None


@dataclass(frozen=True, slots=True)
class TurnResult:
    """One caller turn. `outcomes` follow the order of `Comparison.methods`."""

    number: int
    """From 1."""
    name: str
    duration_ms: int
    reference: str | None
    """What was really said, where somebody wrote it down."""
    outcomes: tuple[Outcome, ...]

    def errors(self, outcome: Outcome) -> WordErrors | None:
        """Against the reference; None where there is none, or no transcript."""
        if self.reference is None or outcome.problem is not None:
            return None
        return word_errors(self.reference, outcome.text)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole run, or as much of it as there was."""

    model: str
    asr_model: str
    prices_as_of: date
    methods: tuple[Method, ...]
    turns: tuple[TurnResult, ...]
    planned_turns: int
    agent_usd: Decimal | None = None
    """The agent's own answers, of which `full` is given the words; None: none, or no price."""

    @property
    def complete(self) -> bool:
        """Whether every turn was transcribed by every method."""
        outcomes = [outcome for turn in self.turns for outcome in turn.outcomes]
        return len(self.turns) == self.planned_turns and all(outcome.problem is None for outcome in outcomes)

    @property
    def referenced(self) -> bool:
        """Whether any turn has a reference."""
        return any(turn.reference is not None for turn in self.turns)
