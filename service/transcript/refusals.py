"""Servers that take no request outside the conversation at all."""

from __future__ import annotations

ENOUGH = 2


class Refusals:
    """Counts refusals in a row. A server that ever answered is asked again, whatever it refuses."""

    def __init__(self) -> None:
        self._code: str | None = None
        self._in_a_row = 0
        self._ever_answered = False

    def refused(self, code: str) -> None:
        """A request was refused with this error code."""
        self._in_a_row = self._in_a_row + 1 if code == self._code else 1
        self._code = code

    def answered(self) -> None:
        """A request was answered."""
        self._ever_answered = True

    @property
    def for_good(self) -> str | None:
        """The code with which every request would be refused; None while there is hope."""
        return self._code if self._in_a_row >= ENOUGH and not self._ever_answered else None
