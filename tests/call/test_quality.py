"""What the line of a call was worth: the E-model's own figures, and what of a stream goes into it."""

from __future__ import annotations

import pytest

from service.call.emodel import BEST_R, mos, r_factor
from service.call.leg import StreamStats
from service.call.quality import line_quality

STATS = StreamStats(
    codec="PCMU",
    rx_packets=960,
    rx_lost=40,
    rx_discarded=10,
    rx_jitter_ms=12.0,
    tx_packets=1000,
    tx_lost=10,
    tx_jitter_ms=3.0,
    round_trip_ms=60.0,
    jitter_buffer_ms=40.0,
)


@pytest.mark.parametrize(
    ("delay_ms", "loss_percent", "r", "score"),
    [
        (0, 0, 93.2, 4.41),
        (50, 0, 92.0, 4.38),
        (50, 1, 88.4, 4.30),
        (50, 5, 76.2, 3.87),
        (177.3, 0, 88.9, 4.31),
        (400, 0, 59.1, 3.05),
        (50, 100, 16.1, 1.15),
    ],
)
def test_delay_and_loss_of_g711_give_the_rating_of_the_e_model(
    delay_ms: float, loss_percent: float, r: float, score: float
) -> None:
    assert r_factor(delay_ms, loss_percent) == pytest.approx(r, abs=0.06)
    assert mos(r_factor(delay_ms, loss_percent)) == pytest.approx(score, abs=0.006)


@pytest.mark.parametrize(
    ("r", "score"), [(-5, 1.0), (0, 1.0), (50, 2.58), (60, 3.1), (70, 3.6), (80, 4.03), (100, 4.5)]
)
def test_the_score_has_the_values_of_annex_b(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)


def test_no_delay_and_no_loss_leave_a_range_that_is_never_left() -> None:
    ratings = [r_factor(delay_ms, loss) for delay_ms in (0, 200, 5000) for loss in (0, 50, 100)]
    assert max(ratings) == BEST_R
    assert min(ratings) == 0.0
    assert all(1.0 <= mos(r / 10) <= 4.5 for r in range(1001))


def test_packets_that_came_too_late_are_lost_as_well() -> None:
    line = line_quality(STATS)
    assert line.uplink is not None
    assert line.uplink.loss_ratio == pytest.approx(0.05)
    assert line.uplink.jitter_s == pytest.approx(0.012)
    # 30 ms of path, 40 ms in the jitter buffer, 20 ms in a packet.
    assert line.uplink.r_factor == pytest.approx(r_factor(90, 5))
    assert line.uplink.mos == pytest.approx(mos(r_factor(90, 5)))
    assert line.round_trip_s == pytest.approx(0.06)


def test_what_the_caller_heard_is_known_from_its_reports_only() -> None:
    told = line_quality(STATS).downlink
    assert told is not None
    assert told.loss_ratio == pytest.approx(0.01)
    assert told.jitter_s == pytest.approx(0.003)
    silent = line_quality(StreamStats(rx_packets=100, tx_packets=100))
    assert silent.downlink is None
    assert silent.round_trip_s is None
    assert silent.uplink is not None


def test_a_caller_of_whom_nothing_came_was_not_heard_badly() -> None:
    assert line_quality(StreamStats(tx_packets=500)).uplink is None


def test_counts_that_cannot_be_stay_within_their_range() -> None:
    line = line_quality(StreamStats(rx_packets=1, rx_discarded=50, tx_packets=10, tx_lost=-3, tx_jitter_ms=0.0))
    assert line.uplink is not None
    assert line.downlink is not None
    assert (line.uplink.loss_ratio, line.downlink.loss_ratio) == (1.0, 0.0)
