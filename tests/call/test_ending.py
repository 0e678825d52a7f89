"""How a call ended, as a receiver and an alert read it."""

from __future__ import annotations

import pytest

from service.call.ending import Ending, by_agent, by_leg, by_session
from service.call.leg import Ended


@pytest.mark.parametrize(
    ("ended", "answered", "greeting_heard", "expected"),
    [
        (Ended(200, "OK", "caller"), True, True, Ending("success", "caller_hung_up")),
        (Ended(200, "OK", "caller"), True, False, Ending("client_error", "hung_up_early")),
        (Ended(487, "Request Terminated", "caller"), False, False, Ending("client_error", "cancelled")),
        (Ended(488, "Not Acceptable Here", "us"), False, False, Ending("client_error", "bad_sdp")),
        (Ended(408, "Request Timeout", "us"), True, False, Ending("client_error", "no_ack")),
        (Ended(599, "whatever", "caller"), True, True, Ending("client_error", "sip_failure")),
    ],
)
def test_by_leg(ended: Ended, answered: bool, greeting_heard: bool, expected: Ending) -> None:
    assert by_leg(ended, answered=answered, greeting_heard=greeting_heard) == expected


def test_what_a_stranger_says_never_becomes_a_label() -> None:
    assert by_agent("DROP TABLE").reason == "agent_completed"
    assert by_session("some_new_code_from_the_server").reason == "session_error"
    assert by_session("timeout") == Ending("upstream_error", "session_timeout")
