"""Whether the wall clock can be trusted: receivers refuse signatures that are five minutes off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

from service.check.finding import Finding, ServerDate

TOLERANCE_S = 300.0
"""Of a Standard Webhooks receiver for `webhook-timestamp`."""
SKEW_WARNED_S = 30.0
STEP_S = 0.5
"""More than a clock is slewed during a check: it was set."""
MEND = "let the system keep time (timedatectl set-ntp true, or chrony)"


@dataclass(frozen=True, slots=True)
class Moment:
    """Both clocks, read together, seconds."""

    wall_s: float
    monotonic_s: float


def skew_s(answer: ServerDate) -> float | None:
    """How far the clock here is ahead of the server's; None where the header is no date. Good to a second."""
    try:
        at = parsedate_to_datetime(answer.header)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    # The header drops fractions, so on average the server's clock showed half a second more.
    return (answer.asked_s + answer.answered_s) / 2 - (at.timestamp() + 0.5)


def judge(begun: Moment, ended: Moment, answers: Sequence[ServerDate], prices_as_of: date) -> Finding:
    """Of two readings around all other checks, the dates that far ends sent meanwhile, and the price table's date."""
    now = datetime.fromtimestamp(ended.wall_s, UTC)
    if now.date() < prices_as_of:
        return Finding("clock", "failed", f"it shows {now:%Y-%m-%d %H:%M} UTC, which is in the past", MEND)
    skews: dict[str, float] = {answer.host: ahead_s for answer in answers if (ahead_s := skew_s(answer)) is not None}
    if skews:
        host, skew = max(skews.items(), key=lambda of: abs(of[1]))
        says = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {host}'s"
        if abs(skew) > TOLERANCE_S:
            return Finding("clock", "failed", f"{says}: receivers refuse signatures that are 300 s off", MEND)
        if abs(skew) > SKEW_WARNED_S:
            return Finding("clock", "warning", says, MEND)
    stepped_s = (ended.wall_s - begun.wall_s) - (ended.monotonic_s - begun.monotonic_s)
    if abs(stepped_s) > STEP_S:
        return Finding("clock", "warning", f"it was set by {stepped_s:+.1f} s during this check", MEND)
    if not skews:
        return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC; no far end sent a date to compare with")
    return Finding("clock", "ok", f"within {max(1.0, abs(skew)):.0f} s of {' and '.join(skews)}")
