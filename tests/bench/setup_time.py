"""How long a caller waits for the answer, and then for the first word."""

from __future__ import annotations

import numpy as np

from tests.bench.bench import Bench
from tests.bench.caller import Caller, listen
from tests.bench.figures import Figure, Measurement
from tests.bench.stats import spread
from tests.peers import ulaw_decode

LOUD = 100
LISTEN_S = 0.4


def measure(bench: Bench) -> Measurement:
    """Calls one after the other, each hung up after the first word."""
    bench.engine.be("interrupted", rounds=1)
    waits_ms, greetings_ms = [], []
    for number in range(bench.lengths.setup_calls):
        caller = Caller(bench.worker.sip_port, number)
        waits_ms.append(1000 * caller.setup_s)
        listen([caller], LISTEN_S)
        caller.hang_up()
        greetings_ms.append(_first_word_ms(caller))
    bench.engine.collect(bench.lengths.setup_calls)
    waits, greetings = spread(waits_ms), spread(greetings_ms)
    return Measurement(
        "Setting a call up",
        f"INVITE sent to 200 received, {waits.count} calls one after the other; between them the worker opens a"
        " websocket and configures a session; then from the ACK to the first packet with sound, from an engine that"
        " speaks as soon as it is asked",
        (
            Figure("INVITE → 200 p50", waits.p50, "ms"),
            Figure("INVITE → 200 p95", waits.p95, "ms", aim=150),
            Figure("INVITE → 200 max", waits.max, "ms"),
            Figure("ACK → greeting p50", greetings.p50, "ms"),
            Figure("ACK → greeting p95", greetings.p95, "ms", aim=300),
            Figure("ACK → greeting max", greetings.max, "ms"),
        ),
    )


def _first_word_ms(caller: Caller) -> float:
    """From the ACK to the first packet that is not silent; infinite where none came."""
    for arrival in caller.arrivals:
        if np.abs(ulaw_decode(arrival.payload)).max() > LOUD:
            return (arrival.at_ns - caller.confirmed_ns) / 1e6
    return float("inf")
