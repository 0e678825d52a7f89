"""Signatures, held against the reference implementation."""

from __future__ import annotations

import base64
import time

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ConfigError
from service.outbox.signature import PREFIX, SignatureError, parse_secrets, sign, verify

NEW = PREFIX + base64.b64encode(b"n" * 32).decode()
OLD = PREFIX + base64.b64encode(b"o" * 24).decode()


@given(text=st.text(max_size=200), key=st.binary(min_size=24, max_size=64))
def test_the_reference_implementation_accepts_what_we_sign(text: str, key: bytes) -> None:
    secret, body = PREFIX + base64.b64encode(key).decode(), text.encode()
    headers = sign(parse_secrets(secret), "msg_1", body, time.time())
    standardwebhooks.Webhook(secret).verify(body, headers, json_parse=False)


def test_while_a_key_rotates_receivers_with_either_accept() -> None:
    headers = sign(parse_secrets(f"{NEW} {OLD}"), "msg_1", b"{}", time.time())
    assert len(headers["webhook-signature"].split(" ")) == 2
    for receiver in (NEW, OLD):
        standardwebhooks.Webhook(receiver).verify(b"{}", headers)


def test_the_timestamp_is_whole_seconds_of_this_try(secret_text: str) -> None:
    assert sign(parse_secrets(secret_text), "msg_1", b"{}", 1_762_300_000.9)["webhook-timestamp"] == "1762300000"


def test_verify_gives_the_id() -> None:
    headers = sign(parse_secrets(OLD), "msg_7", b"{}", 1000.0)
    assert verify(parse_secrets(f"{NEW} {OLD}"), headers, b"{}", 1200.0) == "msg_7"


@pytest.mark.parametrize(
    ("change", "now_s", "body"),
    [
        ({}, 1000.0, b"{ }"),
        ({"webhook-id": "msg_8"}, 1000.0, b"{}"),
        ({"webhook-timestamp": "1001"}, 1000.0, b"{}"),
        ({"webhook-timestamp": "soon"}, 1000.0, b"{}"),
        ({"webhook-timestamp": "9" * 400}, 1000.0, b"{}"),
        ({"webhook-signature": ""}, 1000.0, b"{}"),
        ({"webhook-signature": "v1,ä \udcff"}, 1000.0, b"{}"),
        ({"webhook-id": "\udcff"}, 1000.0, b"{}"),
        ({}, 1301.0, b"{}"),
        ({}, 699.0, b"{}"),
    ],
    ids=["body", "id", "timestamp", "no number", "huge", "none", "no ascii", "id no utf-8", "old", "from the future"],
)
def test_verify_refuses(change: dict[str, str], now_s: float, body: bytes) -> None:
    headers = sign(parse_secrets(OLD), "msg_7", b"{}", 1000.0) | change
    with pytest.raises(SignatureError):
        verify(parse_secrets(OLD), headers, body, now_s)


@pytest.mark.parametrize("text", ["", " ", "hunter2", PREFIX, PREFIX + "c2hvcnQ=", PREFIX + "!" * 44, f"{NEW} hunter2"])
def test_a_wrong_secret_is_refused_by_the_settings_name_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match=r"webhook\.secret") as refused:
        parse_secrets(text)
    assert "hunter2" not in str(refused.value)


def test_no_repr_shows_a_secret() -> None:
    (secret,) = parse_secrets(NEW)
    shown = repr(secret) + str(secret) + f"{(secret,)}"
    assert NEW.removeprefix(PREFIX) not in shown
    assert "nnnn" not in shown
