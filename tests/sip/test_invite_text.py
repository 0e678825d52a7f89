"""The INVITE parser against text that strangers may send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.invite import MAX_VALUE_CHARS, address_in, host_of, parse_invite, user_of

PLAIN = (
    "INVITE sip:+4930987@10.0.0.1:5060;transport=tcp SIP/2.0\r\n"
    "Via: SIP/2.0/TCP 192.0.2.4:5060;branch=z9hG4bK1\r\n"
    "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK0\r\n"
    'From: "Doe, <John>" <sip:+4930123@carrier.example;user=phone>;tag=1\r\n'
    "To: <sip:+4930987@10.0.0.1>\r\n"
    "Call-ID: a84b4c76e66710@pc33.example\r\n"
    "CSeq: 1 INVITE\r\n"
    "P-Asserted-Identity: <tel:+4930123>\r\n"
    "Diversion: <sip:1@x>;reason=busy\r\n"
    "diversion: <sip:2@x>\r\n"
    "X-Secret: no\r\n"
    "\r\n"
    "v=0\r\nX-After: body\r\n"
)


def test_reads_who_calls_whom() -> None:
    invite = parse_invite(PLAIN, "192.0.2.4:5060", ("Diversion", "p-asserted-identity", "X-After", "Absent"))
    assert invite.line == "+4930987"
    assert invite.from_uri == "sip:+4930123@carrier.example;user=phone"
    assert invite.to_uri == "sip:+4930987@10.0.0.1"
    assert invite.sip_call_id == "a84b4c76e66710@pc33.example"
    assert (invite.peer, invite.transport) == ("192.0.2.4", "tcp")
    assert invite.headers == {
        "Diversion": "<sip:1@x>;reason=busy, <sip:2@x>",
        "p-asserted-identity": "<tel:+4930123>",
    }


def test_compact_and_folded_headers() -> None:
    text = (
        "INVITE sip:100@h SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf:Anna\r\n\t<sip:anna@h>\r\n ;tag=4\r\n"
        "t  : sip:100@h;tag=5\r\ni: abc\r\nX-Long: one\r\n  two\r\n\r\n"
    )
    invite = parse_invite(text, "[2001:db8::1]:5060", ("X-Long",))
    assert (invite.from_uri, invite.to_uri, invite.sip_call_id) == ("sip:anna@h", "sip:100@h", "abc")
    assert invite.headers == {"X-Long": "one two"}
    assert invite.peer == "2001:db8::1"


def test_nothing_from_outside_is_long_or_carries_control_characters() -> None:
    text = PLAIN.replace("X-Secret: no", "X-Secret: a\x00b\x1b[31m\x85" + "x" * 5000 + "\ud800")
    value = parse_invite(text, "1.2.3.4:5", ("X-Secret",)).headers["X-Secret"]
    assert len(value) <= MAX_VALUE_CHARS
    assert value.isprintable()
    assert value.startswith("a b [31m x")


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:alice@h", "alice"),
        ("<sip:alice:secret@h;transport=tcp>", "alice"),
        ('"A <B>" <sips:%2B49%2030;ext=7@h>', "+49 30"),
        ("tel:+4930;phone-context=x", "+4930"),
        ("sip:h", ""),
        ("", ""),
        ("sip:a%0d%0ab@h", "ab"),
        ("sip:" + "9" * 300 + "@h", "9" * 64),
    ],
)
def test_the_line_is_the_user_part(uri: str, user: str) -> None:
    assert user_of(uri) == user


@pytest.mark.parametrize(
    ("source", "host"),
    [
        ("127.0.0.1:5060", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:5060", "::1"),
        ("[fe80::1%eth0]:5060", "fe80::1"),
        ("[::ffff:192.0.2.1]:5060", "192.0.2.1"),
        ("host.example:5060", ""),
        ("", ""),
    ],
)
def test_the_peer_is_an_address_or_nothing(source: str, host: str) -> None:
    assert host_of(source) == host


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:100@192.0.2.1", "192.0.2.1"),
        ("sip:100@192.0.2.1:5070;transport=tcp", "192.0.2.1"),
        ("<sip:192.0.2.1?Subject=x>", "192.0.2.1"),
        ("sip:100@[2001:db8::1]:5060", "2001:db8::1"),
        ("sip:100@host.example:5060", ""),
        ("nonsense", ""),
    ],
)
def test_the_address_to_dial_is_found_for_the_route(uri: str, address: str) -> None:
    assert address_in(uri) == address


@given(st.text(max_size=400), st.text(max_size=40), st.lists(st.text(max_size=12), max_size=4))
def test_any_text_is_read_without_an_error(message: str, source: str, names: list[str]) -> None:
    for text in (message, "INVITE " + message, PLAIN.replace("1\r\n", message)):
        invite = parse_invite(text, source, names)
        for value in (invite.from_uri, invite.to_uri, invite.sip_call_id, *invite.headers.values()):
            assert len(value) <= MAX_VALUE_CHARS
            assert not any(ord(char) < 32 or ord(char) == 127 for char in value)
