"""An event loop whose clock is wound by hand: whoever waits for a time has it at once, in the right order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.EpollSelector):
    """Waits for files as ever, but for a time only by moving the clock on."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now_s += timeout
        return ready


class HandWoundLoop(asyncio.SelectorEventLoop):
    """`time` begins at 0 and jumps from one timer to the next. Work in threads takes as much of it as happens to pass:
    what waits for such work must not measure it.
    """

    def __init__(self) -> None:
        self._wound = _Selector()
        super().__init__(self._wound)

    def time(self) -> float:
        """Seconds on the clock."""
        return self._wound.now_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on such a loop."""
    with asyncio.Runner(loop_factory=HandWoundLoop) as runner:
        return runner.run(main)
