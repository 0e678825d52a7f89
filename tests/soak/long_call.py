"""A call that outlives its session by the clock: 65 minutes, wound by hand, and many short ones around the exchange."""

from __future__ import annotations

import itertools
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from service.media.ring import FRAME_MS
from tests.bench.figures import Figure, Measurement
from tests.bench.machine import Watch
from tests.bench.report import Entry
from tests.soak import hand_wound
from tests.soak.agent import WORD_MS
from tests.soak.hand_call import HandCall, held
from tests.soak.judge import Verdict, judged
from tests.soak.scripts import Turn, turns

LENGTH_S = 65 * 60.0
SESSION_MAX_S = 50 * 60.0
"""`realtime.session_max_s`, as it stands."""
PAUSE_MS = (14_000, 24_000)
HASTY_PAUSE_MS = (1500, 3000)
"""Shorter than an answer: the agent is interrupted."""
HASTY = 0.15
KEYS_EVERY = 9
"""Turns; behind every so many some keys are pressed."""
HANG_OVER_MS = 500
"""`silence_duration_ms`: so long after its end a turn is still open."""
KEYS_AFTER_MS = 6000
NEAR_MS = 30_000
"""Behind an exchange: the agent's speech in there is looked at for holes."""
GAP_MS = 100
FRAME_OFF_MS = 20

SWEEP_SESSION_MAX_S = 7.0
SWEEP_FROM_MS, SWEEP_TO_MS = -600, 200
"""Where the caller begins to speak: from before the new session is asked for until behind the exchange."""
SWEEP_STEP_MS = 10
ANSWERED_FROM_MS, ANSWERED_STEP_MS = -2600, 250
"""Before that, in coarser steps: then the exchange falls due while the turn is answered."""


def measure(seed: int, progress: Callable[[str], None], *, sweep_step_ms: int = SWEEP_STEP_MS) -> Entry:
    """The long call, then the short ones."""
    watch = Watch([os.getpid()])
    return Entry(_measured(seed, progress, sweep_step_ms), watch.conditions())


def _measured(seed: int, progress: Callable[[str], None], sweep_step_ms: int) -> Measurement:
    chance = random.Random(seed)
    said = list(turns(1, round(1000 * LENGTH_S), lambda: _pause_ms(chance), chance))
    keys = {_keys_ms(turn): f"{row:02d}#" for row, turn in enumerate(said[::KEYS_EVERY])}
    begun_s = time.process_time()
    progress(f"{LENGTH_S / 60:g} minutes with {len(said)} turns")
    call = _held(said, keys, LENGTH_S, SESSION_MAX_S)
    progress(
        f"took {time.process_time() - begun_s:.1f} s of processor time; now a turn at every place about an exchange"
    )
    swept = sweep(sweep_step_ms)
    return Measurement(
        "A call of 65 minutes",
        f"in memory on a hand-wound clock, against the embedded engine's session; session_max_s {SESSION_MAX_S:g}, a"
        f" turn every 20 s, some interrupt the agent, and keys; then {len(swept)} short calls in which the caller"
        f" begins to speak {-ANSWERED_FROM_MS} ms before an exchange to {SWEEP_TO_MS} ms behind it. The audio gap of an"
        f" exchange is the longest hole in the agent's speech in the {NEAR_MS // 1000} s behind it, or what the next"
        " answer came later than the median answer, whichever is more, in frames of 20 ms that the line carried; seed"
        f" {seed}",
        (*_exchange(call), *_turns(call, said, keys), *_agent(call, said), *_swept(swept)),
    )


def sweep(step_ms: int) -> list[tuple[HandCall, list[Turn]]]:
    """Short calls: one turn long before the exchange, one at another place about it each time."""
    first = Turn("1001", 1500)
    alone = _held([first], {}, 15.0, SWEEP_SESSION_MAX_S)
    exchanged_ms = round(alone.exchanged_ms()[0])
    offsets_ms = [
        *range(ANSWERED_FROM_MS, SWEEP_FROM_MS, ANSWERED_STEP_MS),
        *range(SWEEP_FROM_MS, SWEEP_TO_MS + 1, step_ms),
    ]
    scripts = [[first, Turn("1002", exchanged_ms + offset_ms)] for offset_ms in offsets_ms]
    # Up to the first exchange only: the next session has the rest of the call.
    return [(_held(said, {}, said[-1].end_ms / 1000 + 3.0, SWEEP_SESSION_MAX_S), said) for said in scripts]


def gaps_ms(call: HandCall, said: Sequence[Turn]) -> list[float]:
    """The audio gap of each exchange."""
    usual_ms = statistics.median(_answer_ms(call, turn) for turn in said)
    gaps = []
    for exchanged_ms in call.exchanged_ms():
        near = [
            _hole_ms(ticks)
            for ticks in call.line.played.values()
            if exchanged_ms <= ticks[-1] * FRAME_MS and ticks[0] * FRAME_MS <= exchanged_ms + NEAR_MS
        ]
        late = [_answer_ms(call, turn) - usual_ms for turn in said if turn.end_ms > exchanged_ms][:1]
        gaps.append(max([*near, *late], default=0.0))
    return gaps


def _exchange(call: HandCall) -> tuple[Figure, ...]:
    ages_s = [(later.took_over_s or 0.0) - earlier.opened_s for earlier, later in itertools.pairwise(call.sessions)]
    return (
        Figure("sessions", len(call.sessions), ""),
        Figure("oldest session when it was exchanged", max(ages_s), "s", aim=SESSION_MAX_S + 60),
        Figure("sessions that ended without exchange", len(ages_s) - call.reconnects, "", aim=0),
    )


def _turns(call: HandCall, said: Sequence[Turn], keys: Mapping[int, str]) -> tuple[Figure, ...]:
    verdict = judged(said, call.messages)
    exchanged_ms = call.exchanged_ms()
    in_the_middle = [
        turn for turn in said for at_ms in exchanged_ms if turn.begin_ms <= at_ms <= turn.end_ms + HANG_OVER_MS
    ]
    rows = {at_ms: f"[keys pressed: {' '.join(row)}]" for at_ms, row in keys.items()}
    told = {text for session in call.sessions for text in session.witness.caller_told}
    told_again = {text.partition(" ")[0] for text in call.sessions[-1].witness.caller_told}
    return (
        Figure("turns spoken", verdict.spoken, ""),
        Figure("turns missing", len(verdict.missing), "", aim=0),
        Figure("turns delivered twice", len(verdict.twice), "", aim=0),
        Figure("turns delivered otherwise than said", len(verdict.strange), "", aim=0),
        Figure(
            "calls out of order, or with holes in turn or seq", not (verdict.in_order and verdict.numbered), "", aim=0
        ),
        Figure("a turn's speech off by, most", abs(verdict.length_off_ms), "ms", aim=FRAME_OFF_MS),
        Figure("exchanges in the middle of a turn", len(in_the_middle), "", aim=0),
        Figure(
            "turns that the last session was not told",
            sum(turn.digits not in told_again for turn in said if turn.end_ms < exchanged_ms[-1]),
            "",
            aim=0,
        ),
        Figure("rows of keys pressed", len(rows), ""),
        Figure("rows of keys that no session was told", sum(row not in told for row in rows.values()), "", aim=0),
        Figure("calls lost", (verdict.result != "success") + len(call.faults), "", aim=0),
    )


def _agent(call: HandCall, said: Sequence[Turn]) -> tuple[Figure, ...]:
    exchanged_ms = call.exchanged_ms()[-1]
    played, told = call.line.played, call.sessions[-1].witness.agent_told
    untrue = [abs(len(text.split()) - call.line.played_ms[item_id] / WORD_MS) for item_id, text in told.items()]
    before = [one for one, ticks in played.items() if ticks[-1] * FRAME_MS < exchanged_ms]
    untold = [one for one in before if one not in told and call.line.played_ms[one] > 2 * WORD_MS]
    witnesses = [session.witness for session in call.sessions]
    return (
        Figure("answers interrupted", call.interrupted, ""),
        Figure("answers that the last session was not told", len(untold), "", aim=0),
        Figure("words told of an answer against words heard, off by, most", max(untrue), "", aim=1),
        Figure("exchanges while the agent spoke", _while_speaking(call), "", aim=0),
        Figure("audio gap of an exchange, most", max(gaps_ms(call, said)), "ms", aim=GAP_MS),
        Figure("playout underruns", call.underruns, "", aim=0),
        Figure("most main responses at once in a session", max(one.most_main for one in witnesses), "", aim=1),
        Figure("errors of the server", sum(len(one.errors) for one in witnesses), "", aim=0),
    )


def _swept(swept: Sequence[tuple[HandCall, list[Turn]]]) -> tuple[Figure, ...]:
    verdicts = [judged(said, call.messages) for call, said in swept]
    # A caller who begins before the change puts it off; the median answer of all is then what it is compared with.
    usual_ms = statistics.median(_answer_ms(call, turn) for call, said in swept for turn in said)
    late_ms = [_answer_ms(call, said[-1]) - usual_ms for call, said in swept]
    return (
        Figure("short calls with an exchange", sum(len(call.sessions) > 1 for call, _ in swept), ""),
        Figure("of them put off by the caller", sum(_put_off(call, said) for call, said in swept), ""),
        Figure("of them before the turn was known", sum(_unknown(call, said) for call, said in swept), ""),
        Figure(
            "short calls with an exchange while the agent spoke",
            sum(_while_speaking(call) for call, _ in swept),
            "",
            aim=0,
        ),
        Figure("short calls with a turn missing, twice or torn", sum(not _whole(one) for one in verdicts), "", aim=0),
        Figure(
            "a turn's speech off by, most, in short calls",
            max(abs(one.length_off_ms) for one in verdicts),
            "ms",
            aim=FRAME_OFF_MS,
        ),
        Figure("answer later than the median, most, in short calls", max(late_ms), "ms", aim=GAP_MS),
    )


def _whole(verdict: Verdict) -> bool:
    return verdict.result == "success" and not (verdict.missing or verdict.twice or verdict.strange)


def _put_off(call: HandCall, said: Sequence[Turn]) -> bool:
    return not call.exchanged_ms() or call.exchanged_ms()[0] > said[-1].end_ms


def _while_speaking(call: HandCall) -> int:
    """Exchanges during an answer."""
    return sum(
        ticks[0] * FRAME_MS <= at_ms <= ticks[-1] * FRAME_MS
        for ticks in call.line.played.values()
        for at_ms in call.exchanged_ms()
    )


def _unknown(call: HandCall, said: Sequence[Turn]) -> bool:
    """Whether the caller had begun to speak at the exchange, which the server had not told yet."""
    return any(said[-1].begin_ms < at_ms < said[-1].end_ms for at_ms in call.exchanged_ms())


def _answer_ms(call: HandCall, turn: Turn) -> float:
    """From the end of a turn to the first frame of the agent that the line carried behind it."""
    begins_ms = [ticks[0] * FRAME_MS for ticks in call.line.played.values()]
    return min((begin_ms - turn.end_ms for begin_ms in begins_ms if begin_ms > turn.end_ms), default=math.inf)


def _hole_ms(ticks: Sequence[int]) -> float:
    return max((later - earlier - 1 for earlier, later in itertools.pairwise(ticks)), default=0) * FRAME_MS


def _pause_ms(chance: random.Random) -> int:
    return chance.randint(*(HASTY_PAUSE_MS if chance.random() < HASTY else PAUSE_MS))


def _keys_ms(turn: Turn) -> int:
    return (turn.end_ms + KEYS_AFTER_MS) // FRAME_MS * FRAME_MS


def _held(said: Sequence[Turn], keys: Mapping[int, str], length_s: float, session_max_s: float) -> HandCall:
    with tempfile.TemporaryDirectory(prefix="claimline-soak-") as scratch:
        return hand_wound.run(held(said, keys, length_s, session_max_s, Path(scratch)))
