"""The event log: every event of a call, both ways, as JSON lines. Audio is replaced by its length.

Words are redacted. A delta holds a part of them, in which nothing can be found: its words are replaced by their length
too, since they come again, whole, in the event behind the last delta.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import structlog

from service.realtime.wire import UNREADABLE

Redact = Callable[[str], str]

_AUDIO_KEYS = frozenset({"audio", "delta"})
_AUDIO_EVENTS = frozenset({"input_audio_buffer.append", "response.output_audio.delta"})
_AUDIO_PARTS = frozenset({"input_audio", "output_audio"})
_WORD_KEYS = frozenset({"text", "transcript", "arguments", "output", "raw"})
_PIECES = (".delta", ".segment")
_PIECE_KEYS = frozenset({"delta", "text"})


class EventLog:
    """One file of one call: `{"at": …, "t_s": …, "dir": "sent" | "recv", "event": {…}}` a line.

    `t_s` counts seconds since the log was opened. Nothing of the connection's headers is written.
    `redact` None: words stay as they are. A disk that fails ends the log; the call goes on.
    """

    def __init__(self, directory: Path, call_id: str, now_s: float, redact: Redact | None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{call_id}.jsonl"
        path.touch(mode=0o600)  # callers' words: nobody else's to read
        self._file: BinaryIO = path.open("ab")
        self._opened_s = now_s
        self._redact = redact
        self._ended = False

    def write(self, direction: Literal["sent", "recv"], raw: bytes | str, now_s: float) -> None:
        """Append one event; what is not a JSON object is kept as text of at most 2,000 characters."""
        if self._ended:
            return
        try:
            event = self._event(msgspec.json.decode(raw))
        except UNREADABLE:
            event = self._event({"type": "", "raw": repr(raw[:2000])})
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "t_s": round(now_s - self._opened_s, 4),
            "dir": direction,
            "event": event,
        }
        try:
            self._file.write(msgspec.json.encode(line) + b"\n")
        except OSError as error:
            self._end(error)

    def _event(self, event: Any) -> msgspec.Raw:
        """As JSON. Raises RecursionError for one nested so deep that it could only just be read."""
        return msgspec.Raw(msgspec.json.encode(_cleaned(event, self._redact)))

    def close(self) -> None:
        """Write what is buffered and close the file."""
        try:
            self._file.close()
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        if not self._ended:
            self._ended = True
            structlog.get_logger().error("event_log_unwritable", problem=str(error))


def _cleaned(value: Any, redact: Redact | None) -> Any:
    if isinstance(value, list):
        return [_cleaned(one, redact) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    kind = kind if isinstance(kind, str) else ""  # in a JSON Schema of a tool it may be a list
    slim: dict[str, Any] = {}
    for key, inner in value.items():
        if not isinstance(inner, str):
            slim[key] = _without_tokens(inner) if redact and key == "logprobs" else _cleaned(inner, redact)
        elif (kind in _AUDIO_EVENTS and key in _AUDIO_KEYS) or (kind in _AUDIO_PARTS and key == "audio"):
            slim[key] = None
            slim["audio_bytes"] = len(inner) * 3 // 4 - inner[-2:].count("=")
        elif redact is not None and kind.endswith(_PIECES) and key in _PIECE_KEYS:
            slim[key] = None
            slim["characters"] = len(inner)
        else:
            slim[key] = redact(inner) if redact is not None and key in _WORD_KEYS else inner
    return slim


def _without_tokens(logprobs: Any) -> Any:
    return [{"logprob": one.get("logprob")} for one in logprobs if isinstance(one, dict)] if logprobs else None
