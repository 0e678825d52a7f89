"""Keypad digits out of telephone-events (RFC 4733) and INFO bodies. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.call.leg import Digit

TONE_TIMEOUT_S = 0.3
"""A telephone-event is repeated at least every 50 ms while the key is down (RFC 4733 §2.5.1.2)."""
LONGEST_TONE_MS = 60_000
_KEYS = frozenset("0123456789*#ABCD")
_BY_NUMBER = {"10": "*", "11": "#"}  # RFC 4733 §3.2, Table 3.
_CONTENT_TYPE = re.compile(
    r"^(?:content-type|c)[ \t]*:[ \t]*application/(dtmf(?:-relay)?)\b", re.IGNORECASE | re.MULTILINE
)
_FIELD = re.compile(r"^[ \t]*(signal|duration)[ \t]*=[ \t]*([^\s]{1,8})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Tone:
    digit: str
    duration_ms: int
    heard_s: float


class Tones:
    """Telephone-events as they come: one `Digit` for each, also where the packets of its end are lost."""

    def __init__(self) -> None:
        self._tone: _Tone | None = None

    def heard(self, digit: str, duration_ms: int, *, goes_on: bool, ends: bool, now_s: float) -> list[Digit]:
        """An event begins, goes on (`goes_on`) or ends; `now_s` is monotonic."""
        done = [] if goes_on else self.finish()
        if digit not in _KEYS:
            return done
        self._tone = _Tone(digit, min(duration_ms, LONGEST_TONE_MS), now_s)
        return [*done, *self.finish()] if ends else done

    def expire(self, now_s: float) -> list[Digit]:
        """The tone that has not been heard of for a while."""
        late = self._tone is not None and now_s - self._tone.heard_s > TONE_TIMEOUT_S
        return self.finish() if late else []

    def finish(self) -> list[Digit]:
        """The tone that is still open."""
        tone, self._tone = self._tone, None
        return [] if tone is None else [Digit(tone.digit, tone.duration_ms)]


def info_digit(message: str) -> Digit | None:
    """The digit in an INFO request (`application/dtmf-relay` or `application/dtmf`); None where there is none."""
    head, _, body = message.partition("\r\n\r\n")
    kind = re.search(
        r"^(?:content-type|c)[ \t]*:[ \t]*application/(dtmf(?:-relay)?)\b", head, re.IGNORECASE | re.MULTILINE
    )
    if kind is None:
        return None
    if kind[1].lower() == "dtmf":
        signal, duration = body.strip()[:2], ""
    else:
        fields = {name.lower(): value for name, value in _FIELD.findall(body[:512])}
        signal, duration = fields.get("signal", ""), fields.get("duration", "")
    key = _BY_NUMBER.get(signal, signal.upper())
    if key not in _KEYS:
        return None
    return Digit(key, min(int(duration), LONGEST_TONE_MS) if duration.isascii() and duration.isdigit() else 0)
