"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Level = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `failed`: calls or deliveries will not work until it is mended."""

    subject: str
    level: Level
    says: str
    """What was seen, one sentence."""
    mend: str = ""
    """What to do about it, where it is not in order."""

    def as_json(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


def shown(url: str) -> str:
    """Without user, password and query, which may hold keys."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class ServerDate:
    """A far end's `Date` header, and when it was asked and answered by the clock here, Unix seconds."""

    host: str
    header: str
    asked_s: float
    answered_s: float
