"""Keys the caller presses: gathered until a pause, then told to the model as text."""

from __future__ import annotations

PAUSE_S = 1.5
"""Between two keys of one number."""
MAX_DIGITS = 64
"""More in a row is a stuck key, or somebody playing."""
KEYS = frozenset("0123456789*#ABCD")


class Keypad:
    """Digits that are not told yet."""

    def __init__(self) -> None:
        self._digits = ""
        self._last_s = 0.0
        self._told = 0

    def press(self, digit: str, now_s: float) -> bool:
        """One key. False for what no telephone has, and for a number that is too long."""
        if digit not in KEYS or len(self._digits) >= MAX_DIGITS:
            return False
        self._digits += digit
        self._last_s = now_s
        return True

    def take(self, now_s: float) -> tuple[str, str] | None:
        """An item id and the digits, once the caller has paused or pressed `#`."""
        if not self._digits or (now_s - self._last_s < PAUSE_S and not self._digits.endswith("#")):
            return None
        digits, self._digits = self._digits, ""
        self._told += 1
        return f"keypad_{self._told}", digits
