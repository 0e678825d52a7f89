"""Who has shown the token in the console's form: a browser cannot send a bearer header with a page or a stream.

What the browser gets instead is random, means nothing elsewhere, and lives in this process only: a restart logs out.
"""

from __future__ import annotations

import hmac
import secrets

LOGIN_S = 12 * 3600.0
"""A shift. Not prolonged by use."""
MAX_LOGINS = 64
"""Beyond it the oldest is logged out."""


def same_token(given: str, token: bytes) -> bool:
    """Whether this is the token, found in constant time. Compared as bytes: compare_digest refuses other than ASCII."""
    return hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token)


class Logins:
    """The values of the cookies that are valid; `now_s` is monotonic."""

    def __init__(self) -> None:
        self._until_s: dict[bytes, float] = {}

    def open(self, now_s: float) -> str:
        """A new cookie's value."""
        value = secrets.token_urlsafe(32)
        while len(self._until_s) >= MAX_LOGINS:
            del self._until_s[next(iter(self._until_s))]
        self._until_s[value.encode()] = now_s + LOGIN_S
        return value

    def valid(self, value: str, now_s: float) -> bool:
        """Whether this is the value of a login that has not ended."""
        given = value.encode("utf-8", "surrogateescape")
        return any(hmac.compare_digest(given, known) and now_s < until_s for known, until_s in self._until_s.items())

    def close(self, value: str) -> None:
        """Log out."""
        self._until_s.pop(value.encode("utf-8", "surrogateescape"), None)
