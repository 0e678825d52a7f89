"""The account of one call: every usage with its purpose, model and cost, and their sums."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from service.billing.expected import AudioTokens
from service.billing.prices import Cost, PriceTable, plain
from service.billing.usage import KINDS, DurationUsage, TokenUsage

MAX_PURPOSES = 16
"""Purposes told apart; they come back from the server, so that their number must be bounded."""
MAX_REASONS = 16
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One priced usage; ``cost`` is None where a price is unknown."""

    purpose: str
    model: str
    usage: TokenUsage | DurationUsage
    cost: Cost | None


@dataclass(slots=True)
class _Account:
    reports: int = 0
    models: dict[str, None] = field(default_factory=dict)
    tokens: Counter[str] = field(default_factory=Counter)
    seconds: Decimal = Decimal(0)
    usd: Decimal = Decimal(0)
    unpriced: int = 0
    expected: AudioTokens | None = None

    def add(self, entry: Entry) -> None:
        self.reports += 1
        self.models[entry.model] = None
        if isinstance(entry.usage, DurationUsage):
            self.seconds += entry.usage.seconds
        else:
            self.tokens.update(entry.usage.as_json())
        if entry.cost is None:
            self.unpriced += 1
        else:
            self.usd += entry.cost.usd

    @property
    def cost_usd(self) -> Decimal | None:
        return None if self.unpriced else self.usd

    def expect(self, tokens: AudioTokens) -> None:
        self.expected = tokens if self.expected is None else self.expected + tokens

    def as_json(self) -> dict[str, Any]:
        account = {
            "reports": self.reports,
            "models": list(self.models),
            "tokens": {kind.name: self.tokens[kind.name] for kind in KINDS},
            "seconds": float(self.seconds),
            "cached_share": self._cached_share(),
        }
        if self.expected is not None:
            account["expected_audio_tokens"] = {"input": self.expected.input, "output": self.expected.output}
        return account

    def _cached_share(self) -> float | None:
        given = sum(self.tokens[kind.name] for kind in KINDS if kind.direction == "input")
        cached = sum(self.tokens[kind.name] for kind in KINDS if kind.cached)
        return round(cached / given, 4) if given else None


class Ledger:
    """Usage and cost of one call. Synchronous; keeps sums, not entries."""

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        self._accounts: dict[str, _Account] = {}
        self._total = _Account()
        self._reasons: dict[str, None] = {}

    def add(self, purpose: str, model: str, usage: TokenUsage | DurationUsage) -> Entry:
        """Price a usage and add it to the call's sums."""
        if purpose not in self._accounts and len(self._accounts) >= MAX_PURPOSES:
            purpose = OTHER
        entry = Entry(purpose, model, usage, self._prices.price(model, usage))
        self._accounts.setdefault(purpose, _Account()).add(entry)
        self._total.add(entry)
        if entry.cost is None:
            self.mark_incomplete(f"no price for {model}")
        if usage.inconsistent:
            self.mark_incomplete(f"inconsistent usage reported for {purpose}")
        return entry

    def expect(self, purpose: str, tokens: AudioTokens) -> None:
        """Note how many audio tokens the entry just added should have named."""
        for account in (self._accounts[purpose], self._total):
            account.expect(tokens)

    def mark_incomplete(self, reason: str) -> None:
        """Say that the cost does not cover everything, and why."""
        if len(self._reasons) < MAX_REASONS:
            self._reasons[reason] = None

    @property
    def complete(self) -> bool:
        """False when a price is unknown, or a report was missing or contradicted itself."""
        return not self._reasons

    @property
    def incomplete_reasons(self) -> tuple[str, ...]:
        """Why the cost is not complete."""
        return tuple(self._reasons)

    @property
    def cost_usd(self) -> Decimal | None:
        """The whole call, exact; None where a price is unknown."""
        return self._total.cost_usd

    @property
    def priced_usd(self) -> Decimal:
        """The part of the call whose prices are known."""
        return self._total.usd

    def by_purpose(self) -> dict[str, Decimal | None]:
        """Cost by purpose, in the order of first use; None where a price is unknown."""
        return {purpose: account.cost_usd for purpose, account in self._accounts.items()}

    def usage(self) -> dict[str, Any]:
        """Tokens by kind, seconds, and the share of input that was cached, in all and by purpose; ready for JSON."""
        by_purpose = {purpose: account.as_json() for purpose, account in self._accounts.items()}
        return {"total": self._total.as_json(), "by_purpose": by_purpose}

    def as_json(self) -> dict[str, Any]:
        """``usage``, ``cost_usd``, ``cost`` by purpose, ``cost_complete``; ready for JSON, sums as decimal strings."""
        return {
            "usage": self.usage(),
            "cost_usd": _plain(self.cost_usd),
            "cost": {purpose: _plain(usd) for purpose, usd in self.by_purpose().items()},
            "cost_complete": self.complete,
        }


def _plain(usd: Decimal | None) -> str | None:
    return None if usd is None else plain(usd)
