"""What an answer means, and how long to wait after one that was no success. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

RETRY_DELAYS_S = (1, 5, 5, 5, 5, 5, 10, 20, 40, 80, 160, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""After the n-th failed try in a row. The table of the Standard Webhooks specification (5 s, 5 min, 30 min, 2 h, 5 h,
10 h, 14 h, 20 h, 24 h) with the hole between its first two filled: one small probe does not burden an endpoint that
is being restarted, and a call that is under way should not wait five minutes for it."""
JITTER = 0.2
MESSAGE_DELAY_MAX_S = 300.0
"""A message that fails while others get through is tried again at least this often."""
RETRY_AFTER_MAX_S = 86_400.0


class Verdict(StrEnum):
    """What one try means for the message and its endpoint. The values are metric labels."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """The endpoint failed; so would any other message."""
    THROTTLED = "throttled"
    """The endpoint asked for time."""
    DEAD = "dead"
    """The endpoint refuses this message, and will each time."""
    DISABLED = "disabled"
    """The endpoint wants no more messages."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended."""

    verdict: Verdict
    detail: str
    """One line for the operator, such as `HTTP 503` or `timed out`."""
    retry_after_s: float | None = None
    """What the endpoint asked for."""
    answer: str = ""
    """The beginning of what the endpoint said to a refusal. It may repeat callers' words: not for logs."""
    date: str | None = field(default=None, compare=False)
    """The `Date` header of the answer."""

    @property
    def error(self) -> str:
        """All of it, for the operator who looks the message up."""
        return f"{self.detail}: {self.answer}" if self.answer else self.detail


def outcome_of_status(status: int, retry_after: str | None, now_s: float) -> Outcome:
    """Judge an answer by its status and its Retry-After header. Redirects are failures."""
    detail = f"HTTP {status}"
    if 200 <= status < 300:
        return Outcome(Verdict.DELIVERED, detail)
    match status:
        case 400 | 413 | 422:
            return Outcome(Verdict.DEAD, detail)
        case 410:
            return Outcome(Verdict.DISABLED, detail)
        case 429 | 502 | 504:
            return Outcome(Verdict.THROTTLED, detail, parse_retry_after(retry_after, now_s))
        case _:
            return Outcome(Verdict.RETRY, detail, parse_retry_after(retry_after, now_s))


def parse_retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds to wait, by RFC 9110 §10.2.3 (seconds or HTTP-date), at most a day; None when absent or senseless."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:12]), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    wait_s = (at - datetime.fromtimestamp(now_s, UTC)).total_seconds()
    return min(max(wait_s, 0.0), RETRY_AFTER_MAX_S)


def endpoint_delay_s(failures: int, retry_after_s: float | None, rng: random.Random) -> float:
    """Until the next probe, after `failures` (from 1) failed tries in a row. Retry-After goes before the table."""
    if retry_after_s is not None:
        return max(retry_after_s, float(RETRY_DELAYS_S[0]))
    return _jittered(RETRY_DELAYS_S[min(failures, len(RETRY_DELAYS_S)) - 1], rng)


def message_delay_s(attempts: int, rng: random.Random) -> float:
    """Until a message that failed `attempts` (from 1) times may hold up the others again."""
    return _jittered(min(RETRY_DELAYS_S[min(attempts, len(RETRY_DELAYS_S)) - 1], MESSAGE_DELAY_MAX_S), rng)


def _jittered(delay_s: float, rng: random.Random) -> float:
    return delay_s * rng.uniform(1.0 - JITTER, 1.0 + JITTER)
