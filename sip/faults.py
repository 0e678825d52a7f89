"""Exceptions in PJSIP's callbacks: caught, counted, told. One that escaped into C++ would end the process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
Host = TypeVar("Host", bound="HasFaults")


class Faults:
    """How many exceptions were swallowed; each is told to `report` with the name of the callback."""

    def __init__(self, report: Callable[[str, BaseException], None]) -> None:
        self._report = report
        self.count = 0

    def swallow(self, where: str, error: BaseException) -> None:
        """Count one and tell it."""
        self.count += 1
        try:
            self._report(where, error)
        except Exception:  # noqa: BLE001
            self.count += 1


class HasFaults(Protocol):
    """What a class with guarded callbacks carries."""

    faults: Faults


def guarded(method: Callable[Concatenate[Host, P], None]) -> Callable[Concatenate[Host, P], None]:
    """A callback that never raises."""

    @functools.wraps(method)
    def callback(self: Host, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001
            self.faults.swallow(method.__qualname__, error)

    return callback
