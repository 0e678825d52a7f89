"""Log lines: one event each, `subject_verb`, JSON or readable, without secrets and without callers' words.

Everything goes through one handler, lines of libraries too, so that nothing escapes the redaction.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.config import Log

REDACTED = "[redacted]"
SECRET_NAME = re.compile(r"secret|authorization|password|api_?key", re.IGNORECASE)
TOKEN_NAME = re.compile(r"token", re.IGNORECASE)
"""A token is a secret; a number of tokens is none."""
CREDENTIAL = re.compile(r"\b(bearer\s+|authorization:\s*)[^\r\n]+", re.IGNORECASE)
"""As it stands in a line of SIP or HTTP."""
TRANSCRIPT_NAMES = frozenset(
    {"transcript", "asr_transcript", "text", "delta", "said", "lines", "arguments", "digit", "digits"}
)
MIN_SUBSTRING_CHARS = 8
"""Shorter secrets are only replaced where they are the whole value, or every "1" in the log would go."""
MAX_DEPTH = 8


class Redactor:
    """structlog processor: takes secrets out of a line, and callers' words unless they are asked for."""

    def __init__(self, secrets: Iterable[str], *, transcripts: bool) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._transcripts = transcripts

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        """The line, cleaned."""
        return self._mapping(event_dict, MAX_DEPTH)

    def _mapping(self, mapping: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        return {
            name: self._named(str(name), value, depth)
            for name, value in mapping.items()
            if self._transcripts or name not in TRANSCRIPT_NAMES
        }

    def _named(self, name: str, value: Any, depth: int) -> Any:
        if SECRET_NAME.search(name):
            return value if value is None else REDACTED
        if TOKEN_NAME.search(name) and not isinstance(value, int | float | Mapping | None):
            return REDACTED
        return self._value(value, depth)

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth == 0:
            return REDACTED
        if isinstance(value, Mapping):
            return self._mapping(value, depth - 1)
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, depth - 1) for item in value]
        return self._text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))

    def _text(self, text: str) -> str:
        for secret in self._secrets:
            if text == secret:
                return REDACTED
            if len(secret) >= MIN_SUBSTRING_CHARS:
                text = text.replace(secret, REDACTED)
        return CREDENTIAL.sub(rf"\1{REDACTED}", text)


def configure(settings: Log, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream` (standard error), as `log.format` and `log.level` say."""
    stream = stream if stream is not None else sys.stderr
    readable = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        Redactor(secrets, transcripts=settings.transcripts),
        # repr of strings: what a stranger put into a header must not steer a terminal.
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="at", repr_native_str=True)
        if readable
        else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=last, foreign_pre_chain=[*first, structlog.stdlib.add_logger_name]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries tell us of trouble, not of each frame.
    root.setLevel(max(level, logging.WARNING))
    ours = logging.getLogger("claimline")
    ours.setLevel(level)
    structlog.configure(
        processors=[*first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: ours,
        cache_logger_on_first_use=False,
    )
