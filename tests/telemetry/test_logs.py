"""Log lines carry events, never secrets, and callers' words only when asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from service.config import Log
from service.telemetry.logs import REDACTED, Redactor, configure

KEY = "sk-proj-0123456789abcdef"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    configure(Log.model_validate({"format": "json", **settings}), [KEY, "7"], stream)
    return stream


def test_one_json_line_per_event_with_the_call_it_belongs_to() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(call_id="call_1"):
        structlog.get_logger().info("call_answered", codec="PCMU", turns=2)
    (line,) = lines(stream)
    assert line.pop("at").endswith("Z")
    assert line == {"event": "call_answered", "level": "info", "call_id": "call_1", "codec": "PCMU", "turns": 2}


def test_secrets_never_appear() -> None:
    stream = configured()
    log = structlog.get_logger()
    named = {"webhook_secret": "whsec_x", "api_key": "y", "session_token": "z"}
    log.warning(
        "session_failed",
        **named,
        url=f"wss://host/v1?key={KEY}",
        headers={"Authorization": "Bearer other", "X-Trace": "1"},
        notes=["fine", KEY],
        problem=ValueError(f"bad key {KEY}"),
        raw=KEY.encode(),
        input_tokens=1024,
        tokens={"text_in": 7},
    )
    text = stream.getvalue()
    for secret in (KEY, "Bearer", "whsec_x", '"y"', '"z"'):
        assert secret not in text
    (line,) = lines(stream)
    assert line["url"] == f"wss://host/v1?key={REDACTED}"
    assert line["input_tokens"] == 1024
    assert line["tokens"] == {"text_in": 7}
    assert line["headers"]["X-Trace"] == "1"


def test_secrets_do_not_leak_through_tracebacks_or_libraries() -> None:
    stream = configured()
    try:
        int(f"refused {KEY}")
    except ValueError:
        structlog.get_logger().exception("call_lost")
    logging.getLogger("websockets.client").error("sent Authorization %s", KEY)
    assert KEY not in stream.getvalue()
    first, second = lines(stream)
    assert "'refused [redacted]'" in first["exception"]
    assert second["event"] == f"sent Authorization {REDACTED}"
    assert second["logger"] == "websockets.client"


def test_credentials_of_others_do_not_appear() -> None:
    stream = configured()
    structlog.get_logger().warning(
        "sip_said", line='Authorization: Digest username="bob", response="6629fae4"\r\nTo: x'
    )
    structlog.get_logger().warning("sent", header="Bearer ek_abc")
    first, second = lines(stream)
    assert first["line"] == f"Authorization: {REDACTED}\r\nTo: x"
    assert second["header"] == f"Bearer {REDACTED}"


def test_a_short_secret_is_only_taken_where_it_is_the_whole_value() -> None:
    stream = configured()
    structlog.get_logger().info("digits_seen", pin="7", at_ms="1700")
    (line,) = lines(stream)
    assert (line["pin"], line["at_ms"]) == (REDACTED, "1700")


def test_callers_words_stay_out_unless_asked_for() -> None:
    words = {"transcript": "My name is Ann.", "turn": {"n": 1, "asr_transcript": "Ann"}, "arguments": '{"name": "Ann"}'}
    stream = configured()
    structlog.get_logger().info("turn_transcribed", **words)
    assert "Ann" not in stream.getvalue()
    assert lines(stream)[0]["turn"] == {"n": 1}
    asked_for = configured(transcripts=True)
    structlog.get_logger().info("turn_transcribed", **words)
    assert lines(asked_for)[0]["transcript"] == "My name is Ann."


def test_levels() -> None:
    stream = configured(level="warning")
    log = structlog.get_logger()
    log.info("call_answered")
    log.warning("session_lost")
    logging.getLogger("aiohttp.server").info("noise")
    assert [line["event"] for line in lines(stream)] == ["session_lost"]
    debug = configured(level="debug")
    log.debug("frame_seen")
    logging.getLogger("aiohttp.server").info("noise")
    assert [line["event"] for line in lines(debug)] == ["frame_seen"]


def test_a_terminal_gets_readable_lines_that_strangers_cannot_steer() -> None:
    stream = configured(format="console")
    structlog.get_logger().info("call_invited", caller="sip:evil\nfake line", line="\x1b[2J")
    text = stream.getvalue()
    assert "call_invited" in text
    assert "\x1b[2J" not in text
    assert len(text.splitlines()) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(KEY),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["token", "tokens", "api_key", "text"]), inner, max_size=3
        )
    ),
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_no_nesting_hides_a_secret(event: dict[str, Any]) -> None:
    cleaned = Redactor([KEY], transcripts=True)(None, "info", event)
    assert KEY not in json.dumps(cleaned)
