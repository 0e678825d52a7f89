"""When the claim is asked for: one request at a time, and turns that come meanwhile share the next."""

from __future__ import annotations

from typing import Literal

Mode = Literal["turn", "end", "off"]

GIVE_UP_AFTER = 3
"""Failures in a row after which it is only asked for where it decides something: at a submission, and at the end."""


class Asking:
    """Which caller turns the claim has taken in, and which request is open. Numbers turns and requests from 1."""

    def __init__(self, mode: Mode, timeout_s: float) -> None:
        self._mode = mode
        self._timeout_s = timeout_s
        self._latest = 0
        self._tried = 0
        self._taken_in = 0
        self._failures = 0
        self._urged_in_vain = False
        self._requests = 0
        self._open_since_s: float | None = None
        self._open_urged = False

    @property
    def open(self) -> bool:
        """Whether an answer is awaited."""
        return self._open_since_s is not None

    def turn_came(self, turn: int) -> None:
        """A caller turn with words has its transcript."""
        self._latest = turn
        self._urged_in_vain = False

    def due(self, *, urged: bool) -> bool:
        """Whether to ask now. `urged`: something waits for the answer; what failed is then tried once more."""
        if self.open or self._mode == "off":
            return False
        if urged:
            return self._latest > self._taken_in and not self._urged_in_vain
        return self._mode == "turn" and self._latest > self._tried and self._failures < GIVE_UP_AFTER

    def ask(self, now_s: float, *, urged: bool) -> int:
        """It is asked for; gives the number of the request."""
        self._open_since_s, self._open_urged = now_s, urged
        self._tried = self._latest
        self._requests += 1
        return self._requests

    def awaits(self, number: str) -> bool:
        """Whether this request is the open one; False for one that was given up."""
        return self.open and number == str(self._requests)

    def answered(self, number: str) -> bool:
        """An answer has come. False for one that is awaited no more."""
        if not self.awaits(number):
            return False
        self._open_since_s = None
        self._taken_in = self._tried
        self._failures = 0
        return True

    def failed(self, number: str) -> bool:
        """No answer to this request will come. False for one that is awaited no more."""
        if not self.awaits(number):
            return False
        self._open_since_s = None
        self._failures += 1
        self._urged_in_vain = self._open_urged
        return True

    def expired(self, now_s: float) -> bool:
        """Gives up a request that has waited too long; says whether one has."""
        if self._open_since_s is None or now_s - self._open_since_s < self._timeout_s:
            return False
        return self.failed(str(self._requests))

    def session_lost(self) -> None:
        """The open request went with its session: it is due again, and no failure."""
        self._open_since_s = None
        self._tried = self._taken_in
