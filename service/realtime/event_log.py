"""The event log: every event of a call, both ways, as JSON lines. Audio is replaced by its length."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from service.realtime.wire import UNREADABLE

_AUDIO_KEYS = frozenset({"audio", "delta"})
_AUDIO_EVENTS = frozenset({"input_audio_buffer.append", "response.output_audio.delta"})


class EventLog:
    """One file of one call: `{"at": …, "t_s": …, "dir": "sent" | "recv", "event": {…}}` a line.

    `t_s` counts seconds since the log was opened. Nothing of the connection's headers is written.
    """

    def __init__(self, directory: Path, call_id: str, now_s: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = (directory / f"{call_id}.jsonl").open("ab")
        self._opened_s = now_s

    def write(self, direction: Literal["sent", "recv"], raw: bytes | str, now_s: float) -> None:
        """Append one event; what is not a JSON object is kept as text of at most 2,000 characters."""
        try:
            event = msgspec.json.decode(raw)
        except UNREADABLE:
            event = {"type": "", "raw": repr(raw[:2000])}
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "t_s": round(now_s - self._opened_s, 4),
            "dir": direction,
            "event": _without_audio(event),
        }
        self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Write what is buffered and close the file."""
        self._file.close()


def _without_audio(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_audio(one) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")  # in a JSON Schema of a tool it may be a list
    audio_event = isinstance(kind, str) and kind in _AUDIO_EVENTS
    audio_part = isinstance(kind, str) and kind in {"input_audio", "output_audio"}
    slim: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, str) and ((audio_event and key in _AUDIO_KEYS) or (audio_part and key == "audio")):
            slim[key] = None
            slim["audio_bytes"] = len(inner) * 3 // 4 - inner[-2:].count("=")
        else:
            slim[key] = _without_audio(inner)
    return slim
