"""What an outbox store must do. `service.outbox.sqlite` is the one that ships.

Every method but `replay` is one transaction. Each blocks its thread, takes the wall clock as `now_s`, and raises
OutboxError when the store cannot be read or written. Several processes may hold stores on the same file.

A call is delivered one message at a time: claiming a call leases it, and its lowest message that is neither sent nor
dead goes out. A lease that was not settled lapses, and the message is claimed again: at least once.

The endpoint's failures are counted once for all: while there are any, one message at a time is claimed to probe it.

A wall clock that is set back stalls nothing for longer than some minutes: a wait or a lease that reaches further into
the future than any does is over.

An open call has a will (MQTT 5.0 §3.1.2.5 names it so): what is to be said in its place if its worker dies. Whoever
finds the worker gone says it and ends the call, in one transaction.
"""

from __future__ import annotations

from typing import Protocol

from service.errors import ClaimlineError
from service.outbox.message import Appended, Claim, LastWords, Message, MessageFilter, OutboxStats


class OutboxError(ClaimlineError):
    """The store cannot be read or written now; the message names `outbox.path`."""


class OutboxStore(Protocol):
    """Calls, their messages, and the state of the endpoint they go to."""

    def open_call(self, call_id: str, worker_id: str, now_s: float, lease_s: float) -> None:
        """Begin a call, leased to its worker; may be repeated until its first message.

        Raises LocalProtocolError for an id that is in use.
        """
        ...

    def renew_calls(self, worker_id: str, now_s: float, lease_s: float) -> int:
        """Prolong the leases of a worker's open calls; says how many."""
        ...

    def end_call(self, call_id: str, now_s: float) -> None:
        """The call has had its last message."""
        ...

    def append(  # noqa: PLR0917 - the columns of one row
        self,
        call_id: str,
        type_: str,
        data: bytes,
        event_at_s: float,
        now_s: float,
        kept: tuple[str, bytes] | None = None,
        will: bytes | None = None,
    ) -> Appended:
        """Store a message durably under the call's next `seq`.

        `kept`: an insurance claim's reference and its JSON, which takes the place of what was kept under it before.
        `will`: the call's from now on; without it, the one before stays.
        Raises LocalProtocolError for a call that is unknown or has ended.
        """
        ...

    def note(self, call_id: str, will: bytes) -> None:
        """Replace the call's will.

        Survives the end of the process, but not of the power: the next message makes it durable.
        Raises LocalProtocolError for a call that is unknown or has ended.
        """
        ...

    def open_workers(self) -> dict[str, float]:
        """Workers with open calls, and when the first lease of each lapses."""
        ...

    def finish_call_of(self, worker_id: str, lapsed_before_s: float, now_s: float, last_words: LastWords) -> str | None:
        """Append what `last_words` gives for an open call of that worker whose lease lapses before, and end the call.

        One transaction: of two that try, one finds nothing. Gives the call's id; None where there is no such call.
        """
        ...

    def claim(self, limit: int, now_s: float, lease_s: float) -> list[Claim]:
        """Lease the next message of up to `limit` calls that are due, oldest first.

        The body of a message is frozen when it is claimed first; it says `gap` when a message of the call was given up
        since the last that was sent. Empty while the endpoint is disabled or waits for its next probe.
        """
        ...

    def sent(self, claim: Claim, now_s: float) -> None:
        """The endpoint took the message; it counts as well again."""
        ...

    def give_up(self, claim: Claim, error: str) -> None:
        """The endpoint is well but will never take this message."""
        ...

    def retry(self, claim: Claim, error: str, now_s: float, message_at_s: float, endpoint_at_s: float) -> None:
        """The try failed: the message is due again at `message_at_s`, the endpoint's next probe at `endpoint_at_s`.

        The endpoint's failure is counted only if nothing was counted since the claim: tries that were in flight side
        by side are one failure. Ignored when the lease has passed to another.
        """
        ...

    def expire(self, ready_before_s: float, error: str, now_s: float) -> int:
        """Give up every message that is not in flight and has been ready since before; says how many.

        A message that was replayed counts from then.
        """
        ...

    def disable(self, claim: Claim, error: str) -> None:
        """Stop delivering until `resume`; the message stays."""
        ...

    def resume(self) -> None:
        """Forget the endpoint's failures and deliver again at once."""
        ...

    def stats(self, now_s: float) -> OutboxStats:
        """Sizes and the endpoint's state."""
        ...

    def find(self, which: MessageFilter, limit: int) -> list[Message]:
        """Messages by age, the newest last; of more than `limit` the newest."""
        ...

    def body(self, webhook_id: str) -> bytes | None:
        """The body as it was or would be sent; None when the message is unknown."""
        ...

    def replay(self, which: MessageFilter, now_s: float) -> int:
        """Make sent and dead messages ready again, under their own ids and with their own bodies; says how many.

        In several transactions, the earlier messages of a call first: appends must not wait for a year of messages.
        """
        ...

    def purge(self, created_before_s: float, *, dead: bool, limit: int) -> int:
        """Remove up to `limit` messages that were appended before and sent, those given up too if `dead`.

        Says how many. To be repeated until there were none: then ended calls that have none left, and claims of that
        age, are removed too.
        """
        ...

    def kept_claim(self, reference: str) -> bytes | None:
        """The JSON that was kept last under an insurance claim's reference."""
        ...

    def check(self) -> None:
        """Try to write, changing nothing."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...
