"""More callers than one worker can take: they are told to come back, and those who speak notice nothing."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest

from tests import peers
from tests.acceptance.busy_minute import BURST, CALLS, REFUSALS_PER_S, REFUSED_S, BusyMinute

pytestmark = [pytest.mark.alone, pytest.mark.real, pytest.mark.speech]


def test_every_caller_beyond_the_third_is_told_to_come_back(minute: BusyMinute) -> None:
    refusals = REFUSALS_PER_S * REFUSED_S
    assert minute.refused.code == 0, minute.refused.output
    statuses = Counter(minute.refused.statuses())
    assert set(statuses) == {100, 503}
    assert minute.refused.messages.count("\nRetry-After: 5\n") == statuses[503] >= refusals


def test_a_burst_is_refused_by_the_service_or_by_pjsip(minute: BusyMinute) -> None:
    assert minute.burst.code == 0, minute.burst.output
    statuses = Counter(minute.burst.statuses())
    # More where one had to be sent again.
    assert statuses[503] + statuses[486] >= BURST
    assert set(statuses) <= {100, 503, 486}


def test_every_refusal_is_counted(minute: BusyMinute) -> None:
    assert minute.rejected == REFUSALS_PER_S * REFUSED_S + BURST


def test_the_live_calls_do_not_notice(minute: BusyMinute, capsys: pytest.CaptureFixture[str]) -> None:
    p90_ms, p99_ms, largest_ms = np.max([np.percentile(call.gaps_ms, (90, 99, 100)) for call in minute.calls], axis=0)
    with capsys.disabled():
        sys.stdout.write(f"\n{CALLS} calls, gap between packets p99 {p99_ms:.1f} ms, largest {largest_ms:.1f} ms\n")
    for call in minute.calls:
        assert len(call.gaps_ms) >= REFUSED_S * 50
        assert call.sequence_steps == {1}
        assert call.delivered[-1].data["result"] == "success"
        assert call.delivered[-1].data["quality"]["rx_loss_percent"] == 0
        assert call.delivered[-1].data["quality"]["uplink_frames_dropped"] == 0
    assert p90_ms <= peers.MAX_GAP_P90_MS


def test_the_worker_lives_and_takes_the_next_call(minute: BusyMinute) -> None:
    assert minute.next_call.code == 0, minute.next_call.messages
    assert not minute.faults
