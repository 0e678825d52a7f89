"""Each spoken turn is delivered once, in order, whatever becomes of its request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.realtime.events import ContentPart, ErrorBody, Item, Response, StatusDetails
from service.transcript.request import EVENT_ID_PREFIX
from service.transcript.sidecar import Priced, Sidecar


def sidecar(*, asr: bool = False, context: object = "turn", max_open: int = 4) -> Sidecar:
    return Sidecar(
        instructions="Write it down.",
        context=context,  # type: ignore[arg-type]
        max_output_tokens=512,
        max_open=max_open,
        timeout_s=10.0,
        asr=asr,
    )


def committed(car: Sidecar, item_id: str, previous: str | None = None, now_s: float = 0.0) -> None:
    car.item_committed(item_id, previous, spoken_s=now_s, duration_ms=800, now_s=now_s)
    car.item_added(item_id, previous, now_s)


def asked(car: Sidecar, item_id: str, previous: str | None = None, now_s: float = 0.0) -> dict[str, Any]:
    """A turn whose request has gone out; gives what it says."""
    committed(car, item_id, previous, now_s)
    (request,) = car.take_requests(now_s)
    assert request.response is not None
    return request.response


def event_ids(car: Sidecar, now_s: float) -> list[str | None]:
    return [request.event_id for request in car.take_requests(now_s)]


def answer(item_id: str, text: str = "hello", status: str = "completed", attempt: int = 1) -> Response:
    return Response(
        id=f"resp_{item_id}",
        status=status,
        output=[Item(id="x", type="message", content=[ContentPart(type="output_text", text=text)])],
        metadata={"purpose": "transcription", "item_id": item_id, "attempt": str(attempt)},
    )


def rate_limited(item_id: str, attempt: int = 1) -> Response:
    details = StatusDetails(error=ErrorBody(code="inference_rate_limit_exceeded"))
    metadata = {"item_id": item_id, "attempt": str(attempt)}
    return Response(id="r", status="failed", status_details=details, metadata=metadata)


def test_one_request_for_an_item_however_often_it_is_announced() -> None:
    car = sidecar()
    car.item_committed("a", None, spoken_s=0.0, duration_ms=800, now_s=0.0)
    car.item_added("a", None, 0.0)
    car.item_added("a", None, 0.0)
    (request,) = car.take_requests(0.0)
    assert request.event_id == EVENT_ID_PREFIX + "a"
    assert request.response is not None
    assert request.response["conversation"] == "none"
    assert request.response["output_modalities"] == ["text"]
    assert request.response["input"] == [{"type": "item_reference", "id": "a"}]
    car.item_added("a", None, 0.1)
    assert car.take_requests(0.1) == []
    car.response_done(answer("a"), None, 1.0)
    assert len(car.take_ready(1.0)) == 1
    car.item_added("a", None, 2.0)
    assert car.take_requests(2.0) == []


def test_a_commit_alone_asks_for_nothing() -> None:
    car = sidecar()
    car.item_committed("a", None, spoken_s=0.0, duration_ms=800, now_s=0.0)
    assert car.take_requests(1.0) == []
    assert car.take_ready(1.0) == []
    assert car.open_turns == 1


def test_results_out_of_order_leave_in_order() -> None:
    car = sidecar()
    for item_id in ("a", "b", "c"):
        committed(car, item_id)
    car.response_done(answer("c", "three"), None, 1.0)
    car.response_done(answer("b", "two"), None, 1.0)
    assert car.take_ready(1.0) == []
    car.response_done(answer("a", "one"), None, 1.0)
    assert [(turn.turn, turn.transcript) for turn in car.take_ready(1.0)] == [(1, "one"), (2, "two"), (3, "three")]


def test_the_conversation_order_counts_not_the_arrival() -> None:
    car = sidecar()
    committed(car, "second", previous="agent")
    committed(car, "first", previous=None)
    car = sidecar()
    committed(car, "a", previous=None)
    committed(car, "c", previous="b")
    committed(car, "b", previous="a")
    for item_id in ("a", "b", "c"):
        car.response_done(answer(item_id, item_id), None, 1.0)
    assert [turn.item_id for turn in car.take_ready(1.0)] == ["a", "b", "c"]


def test_silence_is_an_empty_transcript_not_a_missing_turn() -> None:
    car = sidecar()
    committed(car, "a")
    car.response_done(answer("a", "  "), Priced("m", {}, Decimal(1)), 1.0)
    (turn,) = car.take_ready(1.0)
    assert (turn.transcript, turn.source, turn.reason) == ("", "out_of_band", None)
    assert turn.priced == Priced("m", {}, Decimal(1))


def test_an_idle_timeout_is_no_turn() -> None:
    car = sidecar()
    car.item_silent("a")
    committed(car, "a")
    assert car.open_turns == 0


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("incomplete", StatusDetails(reason="content_filter"), "content_filter"),
        ("incomplete", StatusDetails(reason="max_output_tokens"), "max_output_tokens"),
        ("incomplete", None, "incomplete"),
    ],
)
def test_an_incomplete_response_gives_a_turn_with_its_reason_at_once(
    status: str, details: StatusDetails | None, reason: str
) -> None:
    car = sidecar()
    asked(car, "a")
    response = Response(id="r", status=status, status_details=details, metadata={"item_id": "a"})
    car.response_done(response, Priced("m", {}, None), 1.0)
    assert car.take_requests(5.0) == []
    (turn,) = car.take_ready(1.0)
    assert (turn.source, turn.reason, turn.transcript) == ("none", reason, "")
    assert turn.priced is not None


def test_a_refused_request_falls_back_to_the_servers_own_transcript_and_says_why() -> None:
    car = sidecar(asr=True)
    asked(car, "a")
    assert car.request_failed(EVENT_ID_PREFIX + "a", "invalid_value")
    assert car.take_requests(5.0) == []
    assert car.take_ready(0.5) == []
    car.asr_completed("a", "my policy number")
    (turn,) = car.take_ready(1.0)
    assert (turn.source, turn.transcript, turn.asr_transcript, turn.reason) == (
        "input_transcription",
        "my policy number",
        "my policy number",
        "invalid_value",
    )


def test_the_second_opinion_is_waited_for_only_so_long() -> None:
    car = sidecar(asr=True)
    asked(car, "a")
    car.request_failed(EVENT_ID_PREFIX + "a", "invalid_value")
    car.expire(9.9)
    assert car.take_ready(9.9) == []
    car.expire(10.0)
    assert [(turn.source, turn.reason) for turn in car.take_ready(10.0)] == [("none", "invalid_value")]


def test_a_response_that_failed_is_asked_for_once_more_a_second_later() -> None:
    car = sidecar()
    asked(car, "a")
    car.response_done(rate_limited("a"), None, 1.0)
    assert car.take_requests(1.9) == []
    (second,) = car.take_requests(2.0)
    assert second.event_id == "oob_a_2"
    assert second.response is not None
    assert second.response["metadata"] == {"purpose": "transcription", "item_id": "a", "attempt": "2"}
    car.response_done(rate_limited("a", attempt=2), None, 3.0)
    assert car.take_requests(9.0) == []
    assert [turn.reason for turn in car.take_ready(3.0)] == ["inference_rate_limit_exceeded"]


def test_a_failure_of_a_try_that_was_given_up_does_not_end_the_next() -> None:
    car = sidecar()
    asked(car, "a")
    car.expire(10.0)
    assert event_ids(car, 10.0) == ["oob_a_2"]
    car.response_done(rate_limited("a", attempt=1), None, 11.0)
    assert not car.request_failed("oob_a", "late")
    assert car.take_ready(11.0) == []
    car.response_done(answer("a", "second", attempt=2), None, 12.0)
    assert [turn.transcript for turn in car.take_ready(12.0)] == ["second"]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_late_answers_the_first_counts_and_only_once(order: tuple[int, int]) -> None:
    car = sidecar()
    asked(car, "a")
    car.expire(10.0)
    assert event_ids(car, 10.0) == ["oob_a_2"]
    for attempt in order:
        car.response_done(answer("a", f"try {attempt}", attempt=attempt), None, 12.0)
    assert [(turn.transcript, turn.reason) for turn in car.take_ready(12.0)] == [(f"try {order[0]}", None)]
    assert car.open_turns == 0


def test_an_answer_that_comes_after_all_still_counts_while_the_turn_waits() -> None:
    car = sidecar()
    committed(car, "a", now_s=0.0)
    committed(car, "b", "a", now_s=15.0)
    car.take_requests(15.0)
    for now_s in (25.0, 35.0):
        car.expire(now_s)
        car.take_requests(now_s)
    car.response_done(answer("b", "late"), None, 36.0)
    assert [(turn.item_id, turn.source, turn.reason) for turn in car.take_ready(36.0)] == [
        ("a", "none", "timeout"),
        ("b", "out_of_band", None),
    ]


def test_only_so_many_requests_are_open_and_the_others_wait_in_order() -> None:
    car = sidecar(max_open=2)
    previous = None
    for item_id in "abcd":
        committed(car, item_id, previous)
        previous = item_id
    assert event_ids(car, 0.0) == ["oob_a", "oob_b"]
    assert event_ids(car, 0.1) == []
    car.response_done(answer("b"), None, 1.0)
    assert event_ids(car, 1.0) == ["oob_c"]
    car.response_done(answer("c"), None, 2.0)
    car.response_done(answer("a"), None, 2.0)
    assert event_ids(car, 2.0) == ["oob_d"]


def test_who_waits_for_a_place_does_not_run_out_of_time_meanwhile() -> None:
    car = sidecar(max_open=1)
    committed(car, "a")
    committed(car, "b", "a")
    for now_s in (0.0, 10.0, 20.0):
        car.expire(now_s)
        car.take_requests(now_s)
    car.response_done(answer("b"), None, 21.0)
    assert [(turn.item_id, turn.source) for turn in car.take_ready(21.0)] == [("a", "none"), ("b", "out_of_band")]


def test_a_server_that_refuses_everything_is_asked_twice_and_then_no_more() -> None:
    car = sidecar(asr=True)
    for number, item_id in enumerate("abc"):
        committed(car, item_id, now_s=float(number))
        for event_id in event_ids(car, float(number)):
            assert car.request_failed(str(event_id), "unsupported_conversation")
        car.asr_completed(item_id, f"asr {item_id}")
    turns = car.take_ready(3.0)
    assert [(turn.source, turn.reason) for turn in turns] == [("input_transcription", "unsupported_conversation")] * 3
    committed(car, "d", now_s=4.0)
    assert event_ids(car, 4.0) == []
    car.asr_completed("d", "asr d")
    assert [turn.transcript for turn in car.take_ready(4.0)] == ["asr d"]


def test_a_server_that_ever_answered_is_asked_again_whatever_it_refuses() -> None:
    car = sidecar()
    asked(car, "first")
    car.response_done(answer("first"), None, 0.5)
    for item_id in "abc":
        asked(car, item_id)
        car.request_failed(f"oob_{item_id}", "item_not_found")
    asked(car, "d")


def test_one_refusal_told_twice_is_one() -> None:
    car = sidecar()
    asked(car, "a")
    for _ in range(3):
        car.request_failed("oob_a", "invalid_value")
    asked(car, "b", "a")


def test_a_retry_goes_on_in_the_next_session_and_is_not_mistaken_for_the_first() -> None:
    car = sidecar()
    car.item_committed("a", None, spoken_s=0.0, duration_ms=800, now_s=0.0, pcm8k=b"12")
    car.item_added("a", None, 0.0)
    assert event_ids(car, 0.0) == ["oob_a"]
    assert car.session_lost(1.0) == {"a": b"12"}
    assert event_ids(car, 2.0) == []
    car.item_added("a", None, 3.0)
    assert event_ids(car, 3.0) == ["oob_a_2"]
    car.response_done(rate_limited("a", attempt=2), None, 4.0)
    assert event_ids(car, 5.0) == ["oob_a_3"]
    car.response_done(answer("a", attempt=3), None, 6.0)
    assert [turn.source for turn in car.take_ready(6.0)] == ["out_of_band"]


def test_an_error_that_is_not_ours_changes_nothing() -> None:
    car = sidecar()
    committed(car, "a")
    assert not car.request_failed("agent_response", "x")
    assert not car.request_failed(EVENT_ID_PREFIX + "unknown", "x")
    assert car.take_ready(1.0) == []


def test_no_answer_in_time_is_asked_for_again_and_then_said() -> None:
    car = sidecar()
    asked(car, "a", now_s=5.0)
    car.expire(14.9)
    assert event_ids(car, 14.9) == []
    car.expire(15.0)
    assert event_ids(car, 15.0) == ["oob_a_2"]
    car.expire(24.9)
    assert car.take_ready(24.9) == []
    car.expire(25.0)
    assert [turn.reason for turn in car.take_ready(25.0)] == ["timeout"]


def test_an_item_that_never_enters_the_conversation_does_not_block_the_others() -> None:
    car = sidecar()
    car.item_committed("lost", None, spoken_s=0.0, duration_ms=800, now_s=0.0)
    committed(car, "b", previous="lost")
    car.response_done(answer("b"), None, 1.0)
    assert car.take_ready(1.0) == []
    car.expire(10.0)
    assert [(turn.item_id, turn.reason) for turn in car.take_ready(10.0)] == [("lost", "timeout"), ("b", None)]


def referenced(request: dict[str, Any]) -> list[str]:
    return [one["id"] for one in request["input"]]


def test_the_turn_alone_is_told_nothing_of_earlier_turns() -> None:
    for context in ("turn", 1):
        request = asked(sidecar(context=context), "a")
        assert referenced(request) == ["a"]
        assert request["instructions"] == "Write it down."


def test_context_of_several_turns_names_the_earlier_ones_and_says_which_is_meant() -> None:
    car = sidecar(context=2)
    for item_id, previous in (("a", None), ("b", "a")):
        asked(car, item_id, previous)
    request = asked(car, "c", "b")
    assert referenced(request) == ["b", "c"]
    assert "Only the last caller turn" in request["instructions"]


def test_only_what_this_session_holds_is_named() -> None:
    car = sidecar(context=5)
    for item_id in "abc":
        asked(car, item_id)
        car.response_done(answer(item_id), None, 1.0)
    car.item_deleted("a")
    assert referenced(asked(car, "d")) == ["b", "c", "d"]
    car.take_ready(1.0)
    car.session_lost(2.0)
    car.item_placed("c", None)
    assert referenced(asked(car, "e", now_s=3.0)) == ["c", "e"]


def test_full_context_leaves_the_input_out_while_the_turn_is_the_last() -> None:
    request = asked(sidecar(context="full"), "a")
    assert "input" not in request
    assert "Only the last caller turn" in request["instructions"]


def test_in_full_context_a_late_request_still_means_its_own_turn() -> None:
    car = sidecar(context="full")
    car.item_placed("greeting", None)
    asked(car, "a", "greeting")
    car.item_placed("question", "a")
    asked(car, "b", "question", now_s=5.0)
    car.expire(10.0)
    (again,) = car.take_requests(10.0)
    assert again.response is not None
    assert referenced(again.response) == ["greeting", "a"]


@pytest.mark.parametrize(("context", "most"), [("turn", 1), (1, 1), (3, 3), (8, 8)])
def test_what_a_turn_costs_does_not_grow_with_the_call(context: object, most: int) -> None:
    car = sidecar(context=context)
    sizes = []
    for number in range(200):
        car.item_placed(f"agent{number}", f"u{number - 1}" if number else None)
        sizes.append(len(asked(car, f"u{number}", f"agent{number}", now_s=float(number))["input"]))
        car.response_done(answer(f"u{number}"), None, float(number))
        car.take_ready(float(number))
    assert sizes == [min(number + 1, most) for number in range(200)]


def test_the_second_opinion_is_paired_by_item_and_brings_its_confidence() -> None:
    car = sidecar(asr=True)
    for item_id in "ab":
        asked(car, item_id)
    car.asr_completed("b", "beta", [{"token": "beta", "logprob": -0.693147}])
    car.response_done(answer("a", "alpha"), None, 1.0)
    car.response_done(answer("b", "beta"), None, 1.0)
    car.asr_completed("a", "alfa", None)
    first, second = car.take_ready(2.0)
    assert (first.asr_transcript, first.asr_confidence) == ("alfa", None)
    assert second.asr_transcript == "beta"
    assert second.asr_confidence == pytest.approx(0.5)
    assert first.asr_difference is not None
    assert second.asr_difference is not None
    assert second.asr_difference.word_error_rate == 0


def test_a_text_that_is_no_transcript_is_delivered_with_its_mark() -> None:
    car = sidecar(asr=True)
    asked(car, "a")
    car.response_done(answer("a", "Hello. How can I help you today?"), None, 1.0)
    car.asr_completed("a", "Hello")
    (turn,) = car.take_ready(1.0)
    assert (turn.source, turn.transcript, turn.suspect) == (
        "out_of_band",
        "Hello. How can I help you today?",
        "answer",
    )
    assert turn.asr_transcript == "Hello"
