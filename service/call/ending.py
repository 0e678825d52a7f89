"""How a call ended: one of six results, and a reason from a closed list (it labels a metric)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.call.leg import Ended

Result = Literal["success", "client_error", "server_error", "upstream_error", "rejected", "indeterminate"]

_AGENT_REASONS = frozenset({"completed", "caller_request", "no_input"})
_SESSION_REASONS = frozenset({"timeout", "unauthorized", "refused", "protocol", "unreachable", "closed"})
_SIP_REASONS = {408: "no_ack", 415: "bad_sdp", 481: "dialog_lost", 487: "cancelled", 488: "bad_sdp", 606: "bad_sdp"}


@dataclass(frozen=True, slots=True)
class Ending:
    """`result` and `reason` as records, webhooks and metrics tell them."""

    result: Result
    reason: str


def by_agent(reason: str) -> Ending:
    """The model called `end_call`; its words for why are not trusted as a label."""
    return Ending("success", f"agent_{reason}" if reason in _AGENT_REASONS else "agent_completed")


def by_session(reason: str) -> Ending:
    """The Realtime session could not be opened, or broke."""
    return Ending("upstream_error", f"session_{reason}" if reason in _SESSION_REASONS else "session_error")


def sip_reason(code: int, otherwise: str) -> str:
    """The reason that a SIP status stands for."""
    return _SIP_REASONS.get(code, otherwise)


def by_leg(ended: Ended, *, answered: bool, greeting_heard: bool) -> Ending:
    """The telephone leg went away by itself."""
    if ended.code >= 300:
        return Ending("client_error", sip_reason(ended.code, "sip_failure"))
    if ended.by == "us":
        return Ending("indeterminate", "unknown")
    if not answered:
        return Ending("client_error", "cancelled")
    return Ending("success", "caller_hung_up") if greeting_heard else Ending("client_error", "hung_up_early")


INTERNAL = Ending("server_error", "internal")
MEDIA_LOST = Ending("client_error", "media_lost")
TOO_LONG = Ending("success", "max_duration")
TOO_COSTLY = Ending("success", "cost_limit")
DRAINED = Ending("server_error", "drain_timeout")
OUTBOX_FULL = Ending("server_error", "outbox_full")
INTERRUPTED = Ending("server_error", "interrupted")
"""The worker died: told by another one."""
