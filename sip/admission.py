"""Who may call: decided from values, before a socket or a session is spent on the INVITE."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.call.leg import Invite

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RefusalReason = Literal["not_allowed", "draining", "capacity", "rate", "bad_request"]

WINDOW_S = 0.6
"""PJSIP keeps a closed RTP handle for 0.5 s."""
ADMITTED_PER_WINDOW = 12
"""RTP and RTCP handles of the INVITEs admitted in one window, besides those of the live calls, must stay below PJSIP's
I/O queue of 64: callers who give up at once would otherwise abort the process."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A final failure for an INVITE: status code, reason phrase, and why."""

    code: int
    phrase: str
    reason: RefusalReason
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An INVITE that never became a leg. `code` is the SIP status that was sent."""

    invite: Invite
    code: int
    reason: RefusalReason


class Admission:
    """The door: source address, draining, capacity, and the rate at which INVITEs may take sockets."""

    def __init__(self, allowed_peers: Sequence[Network], max_calls: int, retry_after_s: int) -> None:
        self._allowed = tuple(allowed_peers)
        self._max_calls = max_calls
        self._retry_after_s = retry_after_s
        self._admitted_s: deque[float] = deque(maxlen=ADMITTED_PER_WINDOW)
        self.draining = False

    def judge(self, peer: str, active: int, now_s: float) -> Verdict | None:
        """None: let it in, and count it as admitted at `now_s` (monotonic).

        `peer` is the source address of the INVITE (empty: unknown), `active` how many legs live now.
        """
        if not self._is_allowed(peer):
            return Verdict(403, "Forbidden", "not_allowed")
        if self.draining:
            return self._unavailable("draining")
        if active >= self._max_calls:
            return self._unavailable("capacity")
        if len(self._admitted_s) == ADMITTED_PER_WINDOW and now_s - self._admitted_s[0] < WINDOW_S:
            return self._unavailable("rate")
        self._admitted_s.append(now_s)
        return None

    def _is_allowed(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._allowed)

    def _unavailable(self, reason: RefusalReason) -> Verdict:
        # Trunks fail over on 503 (not on 486 or 603).
        return Verdict(503, "Service Unavailable", reason, self._retry_after_s)


def reason_of_status(code: int) -> RefusalReason:
    """Why PJSIP refused an INVITE by itself."""
    return "capacity" if code in {486, 500, 503} else "bad_request"
