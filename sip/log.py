"""PJSIP's own log lines, handed on with a bound: a flood of garbage must not become a flood of lines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

PJSIP_LEVEL = 2
"""Errors and warnings. Level 3 writes several lines per call, level 5 every message."""
LINES_PER_S = 20
MAX_LINE_CHARS = 400

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class LogLines(pj.LogWriter):  # type: ignore[misc]
    """Hands each line to `on_line(pjsip_level, text)`, up to `LINES_PER_S`; the others are counted."""

    def __init__(self, on_line: Callable[[int, str], None]) -> None:
        super().__init__()
        self._on_line = on_line
        self._second = 0
        self._lines = 0
        self.dropped = 0

    def write(self, entry: Any) -> None:
        """PJSIP has written a line."""
        try:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._lines = second, 0
            self._lines += 1
            if self._lines > LINES_PER_S:
                self.dropped += 1
                return
            self._on_line(entry.level, _CONTROL.sub(" ", str(entry.msg)[:MAX_LINE_CHARS]).strip())
        except BaseException:  # noqa: BLE001
            self.dropped += 1
