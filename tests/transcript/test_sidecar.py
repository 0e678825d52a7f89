"""Each spoken turn is delivered once, in order, whatever becomes of its request."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.realtime.events import ContentPart, ErrorBody, Item, Response, StatusDetails
from service.transcript.request import EVENT_ID_PREFIX
from service.transcript.sidecar import Priced, Sidecar, TranscribedTurn


def sidecar(*, asr: bool = False, context: object = "turn") -> Sidecar:
    return Sidecar(
        instructions="Write it down.",
        context=context,  # type: ignore[arg-type]
        max_output_tokens=512,
        timeout_s=10.0,
        asr=asr,
    )


def committed(car: Sidecar, item_id: str, previous: str | None = None, now_s: float = 0.0) -> None:
    car.item_committed(item_id, previous, spoken_s=now_s, duration_ms=800, now_s=now_s)
    car.item_added(item_id, previous, now_s)


def answer(item_id: str, text: str = "hello", status: str = "completed") -> Response:
    return Response(
        id=f"resp_{item_id}",
        status=status,
        output=[Item(id="x", type="message", content=[ContentPart(type="output_text", text=text)])],
        metadata={"purpose": "transcription", "item_id": item_id},
    )


def test_one_request_for_an_item_however_often_it_is_announced() -> None:
    car = sidecar()
    car.item_committed("a", None, spoken_s=0.0, duration_ms=800, now_s=0.0)
    request = car.item_added("a", None, 0.0)
    assert request is not None
    assert request.event_id == EVENT_ID_PREFIX + "a"
    assert request.response is not None
    assert request.response["conversation"] == "none"
    assert request.response["output_modalities"] == ["text"]
    assert request.response["input"] == [{"type": "item_reference", "id": "a"}]
    assert car.item_added("a", None, 0.1) is None
    car.response_done(answer("a"), None)
    assert len(car.take_ready(1.0)) == 1
    assert car.item_added("a", None, 2.0) is None


def test_a_commit_alone_asks_for_nothing() -> None:
    car = sidecar()
    car.item_committed("a", None, spoken_s=0.0, duration_ms=800, now_s=0.0)
    assert car.take_ready(1.0) == []
    assert car.open_turns == 1


def test_results_out_of_order_leave_in_order() -> None:
    car = sidecar()
    for item_id in ("a", "b", "c"):
        committed(car, item_id)
    car.response_done(answer("c", "three"), None)
    car.response_done(answer("b", "two"), None)
    assert car.take_ready(1.0) == []
    car.response_done(answer("a", "one"), None)
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
        car.response_done(answer(item_id, item_id), None)
    assert [turn.item_id for turn in car.take_ready(1.0)] == ["a", "b", "c"]


def test_silence_is_an_empty_transcript_not_a_missing_turn() -> None:
    car = sidecar()
    committed(car, "a")
    car.response_done(answer("a", "  "), Priced("m", {}, Decimal(1)))
    (turn,) = car.take_ready(1.0)
    assert (turn.transcript, turn.source, turn.reason) == ("", "out_of_band", None)
    assert turn.priced == Priced("m", {}, Decimal(1))


def test_an_idle_timeout_is_no_turn() -> None:
    car = sidecar()
    car.item_silent("a")
    committed(car, "a")
    assert car.open_turns == 0


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (StatusDetails(error=ErrorBody(code="inference_rate_limit_exceeded")), "inference_rate_limit_exceeded"),
        (StatusDetails(reason="content_filter"), "content_filter"),
        (None, "failed"),
    ],
)
def test_a_failed_response_gives_a_turn_with_its_reason(details: StatusDetails | None, reason: str) -> None:
    car = sidecar()
    committed(car, "a")
    car.response_done(
        Response(id="r", status="failed", status_details=details, metadata={"item_id": "a"}), Priced("m", {}, None)
    )
    (turn,) = car.take_ready(1.0)
    assert (turn.source, turn.reason, turn.transcript) == ("none", reason, "")


def test_a_refused_request_falls_back_to_the_servers_own_transcript() -> None:
    car = sidecar(asr=True)
    committed(car, "a")
    assert car.request_failed(EVENT_ID_PREFIX + "a", "invalid_value")
    assert car.take_ready(0.5) == []
    car.asr_completed("a", "my policy number")
    (turn,) = car.take_ready(1.0)
    assert (turn.source, turn.transcript, turn.asr_transcript) == (
        "input_transcription",
        "my policy number",
        "my policy number",
    )


def test_an_error_that_is_not_ours_changes_nothing() -> None:
    car = sidecar()
    committed(car, "a")
    assert not car.request_failed("agent_response", "x")
    assert not car.request_failed(EVENT_ID_PREFIX + "unknown", "x")
    assert car.take_ready(1.0) == []


def test_no_answer_in_time_is_said() -> None:
    car = sidecar()
    committed(car, "a", now_s=5.0)
    car.expire(14.9)
    assert car.take_ready(14.9) == []
    car.expire(15.0)
    assert [turn.reason for turn in car.take_ready(15.0)] == ["timeout"]


def test_an_item_that_never_enters_the_conversation_does_not_block_the_others() -> None:
    car = sidecar()
    car.item_committed("lost", None, spoken_s=0.0, duration_ms=800, now_s=0.0)
    committed(car, "b", previous="lost")
    car.response_done(answer("b"), None)
    assert car.take_ready(1.0) == []
    car.expire(10.0)
    assert [(turn.item_id, turn.reason) for turn in car.take_ready(10.0)] == [("lost", "timeout"), ("b", None)]


def test_context_of_several_turns_names_the_earlier_ones() -> None:
    car = sidecar(context=2)
    committed(car, "a")
    committed(car, "b", previous="a")
    request = car.item_added("c", "b", 0.0)
    assert request is not None
    assert request.response is not None
    assert [one["id"] for one in request.response["input"]] == ["b", "c"]


def test_full_context_leaves_the_input_out() -> None:
    request = sidecar(context="full").item_added("a", None, 0.0)
    assert request is not None
    assert request.response is not None
    assert "input" not in request.response


Fate = st.sampled_from(["done", "failed", "refused", "never", "twice", "asr only"])


@given(
    fates=st.lists(Fate, min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
    asr=st.booleans(),
)
def test_every_turn_leaves_exactly_once_and_in_order(fates: list[str], order: object, asr: bool) -> None:
    car = sidecar(asr=asr)
    ids = [f"item_{n}" for n in range(len(fates))]
    previous: str | None = None
    for item_id in ids:
        committed(car, item_id, previous)
        previous = item_id
    happenings = [(item_id, fate) for item_id, fate in zip(ids, fates, strict=True)]
    happenings += [one for one in happenings if one[1] == "twice"]
    order.shuffle(happenings)  # type: ignore[attr-defined]
    left: list[TranscribedTurn] = []
    for item_id, fate in happenings:
        match fate:
            case "done" | "twice":
                car.response_done(answer(item_id, item_id), None)
            case "failed":
                car.response_done(answer(item_id, status="failed"), None)
            case "refused":
                car.request_failed(EVENT_ID_PREFIX + item_id, "refused")
            case "asr only":
                car.asr_completed(item_id, "asr")
        left += car.take_ready(1.0)
    car.expire(1000.0)
    left += car.take_ready(1000.0)
    assert [turn.item_id for turn in left] == ids
    assert [turn.turn for turn in left] == list(range(1, len(ids) + 1))
    for turn, fate in zip(left, fates, strict=True):
        if fate in {"done", "twice"}:
            assert (turn.source, turn.transcript) == ("out_of_band", turn.item_id)
        elif fate == "asr only":
            assert turn.source == ("input_transcription")
        else:
            assert turn.source == "none"
            assert turn.reason
    assert car.open_turns == 0
