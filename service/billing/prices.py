"""What a token costs: the dated table in ``prices.toml``, own prices over it, and exact sums in Decimal.

A model without a price has no cost. It is never 0: an unknown sum must not look like a free one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import resources
from types import MappingProxyType
from typing import Any, Self

from service.billing.usage import KINDS, DurationUsage, TokenUsage
from service.errors import ConfigError

MINUTE = "minute"
PRICE_KEYS = (*(kind.name for kind in KINDS), MINUTE)
PER_TOKENS_DIGITS = 6
"""Token prices are per 10⁶."""
MAX_PRICE_USD = 10_000
SECONDS_QUANTUM = Decimal("1e-12")
"""A price per minute over 60 has no finite decimal form; such lines are rounded here, half to even."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """One kind of one usage: tokens (or seconds, for ``minute``) at a price."""

    kind: str
    quantity: Decimal
    price_usd: Decimal
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """What one usage costs; ``lines`` holds the kinds that occurred."""

    lines: tuple[CostLine, ...]

    @property
    def usd(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.usd for line in self.lines), Decimal(0))


def plain(usd: Decimal) -> str:
    """Every digit, no exponent, no trailing zeros: ``0.0042616``."""
    return f"{usd.normalize():f}"


class PriceTable:
    """Prices by model name and kind."""

    def __init__(self, prices: Mapping[str, Mapping[str, Decimal]], as_of: date) -> None:
        self._prices = MappingProxyType({model: dict(by_kind) for model, by_kind in prices.items()})
        self.as_of = as_of
        """When the built-in prices were read from their sources."""

    @classmethod
    def load(cls, overrides: Mapping[str, Mapping[str, Decimal]] | None = None) -> Self:
        """Read the built-in table and lay own prices over it, by exact model name and kind.

        Raises ConfigError for an unknown kind and for a price that is negative, absurd or no number.
        """
        text = resources.files("service.billing").joinpath("prices.toml").read_text("utf-8")
        table: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        prices: dict[str, dict[str, Decimal]] = {}
        for entry in table["model"]:
            by_kind = {key: Decimal(value) for key, value in entry.items() if key in PRICE_KEYS}
            prices.update((model, dict(by_kind)) for model in entry["ids"])
        for model, own in (overrides or {}).items():
            for kind, price in own.items():
                name = f'prices.overrides."{model}".{kind}'
                if kind not in PRICE_KEYS:
                    raise ConfigError(f"{name} is not a kind of price: use one of {', '.join(PRICE_KEYS)}")
                if not price.is_finite() or not 0 <= price <= MAX_PRICE_USD:
                    raise ConfigError(f"{name} must be a price from 0 to {MAX_PRICE_USD} USD, not {price}")
                prices.setdefault(model, {})[kind] = price
        return cls(prices, table["as_of"])

    @property
    def models(self) -> tuple[str, ...]:
        """Every name that has a price."""
        return tuple(self._prices)

    def without_price(self, *models: str) -> list[str]:
        """Those of the models that have no price at all; an empty name is no model."""
        return [model for model in models if model and model not in self._prices]

    def prices_of(self, model: str) -> Mapping[str, Decimal] | None:
        """The prices of a model by kind, or None."""
        prices = self._prices.get(model)
        return None if prices is None else MappingProxyType(prices)

    def price(self, model: str, usage: TokenUsage | DurationUsage) -> Cost | None:
        """Price a usage; None where the model, or a kind that occurs in the usage, has no price."""
        prices = self._prices.get(model)
        if prices is None:
            return None
        if isinstance(usage, DurationUsage):
            return _duration_cost(prices, usage)
        return _token_cost(prices, usage)


def _token_cost(prices: Mapping[str, Decimal], usage: TokenUsage) -> Cost | None:
    lines = []
    for kind, count in usage.counts():
        if count == 0:
            continue
        price = prices.get(kind.name)
        if price is None:
            return None
        quantity = Decimal(count)
        lines.append(CostLine(kind.name, quantity, price, (quantity * price).scaleb(-PER_TOKENS_DIGITS)))
    return Cost(tuple(lines))


def _duration_cost(prices: Mapping[str, Decimal], usage: DurationUsage) -> Cost | None:
    price = prices.get(MINUTE)
    if price is None:
        return None
    usd = (usage.seconds * price / 60).quantize(SECONDS_QUANTUM, ROUND_HALF_EVEN)
    return Cost((CostLine(MINUTE, usage.seconds, price, usd),))
