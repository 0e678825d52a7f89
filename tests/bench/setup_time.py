"""How long a caller waits for the answer."""

from __future__ import annotations

from tests.bench.bench import Bench
from tests.bench.caller import Caller, listen
from tests.bench.figures import Figure, Measurement
from tests.bench.stats import spread


def measure(bench: Bench) -> Measurement:
    """Calls one after the other, each hung up at once."""
    bench.engine.be("echo")
    waits_ms = []
    for number in range(bench.lengths.setup_calls):
        caller = Caller(bench.worker.sip_port, number)
        waits_ms.append(1000 * caller.setup_s)
        listen([caller], 0.1)
        caller.hang_up()
    bench.engine.collect(bench.lengths.setup_calls)
    waits = spread(waits_ms)
    return Measurement(
        "Setting a call up",
        f"INVITE sent to 200 received, {waits.count} calls one after the other; between them the worker opens a"
        " websocket and configures a session",
        (Figure("p50", waits.p50, "ms"), Figure("p95", waits.p95, "ms", aim=150), Figure("max", waits.max, "ms")),
    )
