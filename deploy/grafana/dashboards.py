"""The dashboards: `python deploy/grafana/dashboards.py` writes their JSON into `dashboards/`, beside this file."""

from __future__ import annotations

import json
from pathlib import Path

from panels import Dashboard, Link, Query, Row, Text, graph, per_minute, quantiles, stat

HERE = Path(__file__).parent / "dashboards"
RARE = "30m"
"""Calls are few: what is counted once a call is looked at over so long."""
CONSOLE = Link("This call in its worker's console", "http://${__field.labels.instance}/#${call_id}")
ONE_CALL = Link("This call", "/d/claimline-call/one-call?var-call_id=${__field.labels.call_id}")
LIVE = 'claimline_call_live_cost_usd{call_id="$call_id"}'
"""Is there while the call lives, with the `instance` of its worker."""

NOW = Row(
    "Now",
    (
        stat("Calls now", "none", "sum(claimline_calls_active)"),
        stat(
            "Capacity used", "percentunit", "sum(claimline_calls_active) / sum(claimline_calls_max)",
            steps=((0.8, "orange"), (1, "red")),
        ),
        stat("Workers that take calls", "none", "sum(claimline_ready)"),
        stat("Cost in the last hour", "currencyUSD", "sum(increase(claimline_cost_usd_total[1h]))"),
        stat(
            "Oldest message", "s", "max(claimline_outbox_oldest_age_seconds)",
            about="Not delivered yet; of the outbox that the workers of a host share.",
            steps=((300, "orange"), (900, "red")),
        ),
        stat("Dead letters", "none", "max(claimline_outbox_dead)", steps=((1, "red"),)),
    ),
)  # fmt: skip
CALLS = Row(
    "Calls",
    (
        graph(
            "Live calls, and how many there can be", "none",
            Query("sum(claimline_calls_active)", "live"),
            Query("sum(claimline_calls_max)", "answered at once"),
            Query('sum(claimline_sip_slots{state="used"})', "PJSIP slots used"),
        ),
        graph(
            "Answered, and not, per minute", "none",
            Query("sum(rate(claimline_call_duration_seconds_count[$__rate_interval])) * 60", "answered"),
            Query(
                "(sum(rate(claimline_calls_total[$__rate_interval]))"
                " - sum(rate(claimline_call_duration_seconds_count[$__rate_interval]))) * 60",
                "not answered",
            ),
            about="Counted when they are over.",
        ),
        graph("How calls ended, per minute", "none", per_minute("claimline_calls_total", "result", "reason")),
        graph(
            "Response latency", "s", *quantiles("claimline_response_latency_seconds", 0.5, 0.95, 0.99),
            about="From the end of the caller's speech to the agent's first audio on RTP.",
        ),
        graph("Interruptions per minute", "none", per_minute("claimline_barge_in_total")),
        graph("Duration of calls", "s", *quantiles("claimline_call_duration_seconds", 0.5, 0.95, over=RARE)),
    ),
)  # fmt: skip
LINES = Row(
    "Quality of the lines",
    (
        graph(
            "Mean opinion score", "none", *quantiles("claimline_call_mos", 0.05, 0.5, by=["direction"], over=RARE),
            about="Uplink: from the caller. Downlink: to the caller, where its side sends RTCP. Below 3.6 many people"
            " are dissatisfied.",
        ),
        graph("Loss", "percentunit", *quantiles("claimline_call_loss_ratio", 0.5, 0.95, by=["direction"], over=RARE)),
        graph(
            "Jitter and round trip", "s",
            *quantiles("claimline_call_jitter_seconds", 0.95, by=["direction"], over=RARE),
            *quantiles("claimline_call_round_trip_seconds", 0.95, over=RARE),
        ),
        graph(
            "Lost by us, per minute", "none",
            per_minute("claimline_media_deadline_misses_total"),
            per_minute("claimline_playout_underruns_total"),
            per_minute("claimline_uplink_frames_dropped_total"),
        ),
        graph("Event-loop lag", "s", *quantiles("claimline_event_loop_lag_seconds", 0.5, 0.99, by=["instance"])),
        graph(
            "Recordings, complete and not", "none",
            Query(f"sum by (complete) (increase(claimline_recordings_total[{RARE}]))", "{{complete}}"),
        ),
    ),
)  # fmt: skip
MONEY = Row(
    "Money",
    (
        graph(
            "Cost per hour", "currencyUSD",
            Query(
                "sum by (model, purpose) (rate(claimline_cost_usd_total[$__rate_interval])) * 3600",
                "{{model}} {{purpose}}",
            ),
        ),
        graph(
            "Cost per call", "currencyUSD",
            Query(
                "sum by (model) (rate(claimline_call_cost_usd_sum[1h]))"
                " / sum by (model) (rate(claimline_call_cost_usd_count[1h]))",
                "mean {{model}}",
            ),
            *quantiles("claimline_call_cost_usd", 0.95, by=["model"], over="1h"),
        ),
        graph(
            "Cost of live calls", "currencyUSD", Query("claimline_call_live_cost_usd", "{{call_id}}"), links=(ONE_CALL,)
        ),
        graph(
            "Tokens per minute", "none",
            per_minute("claimline_tokens_total", "purpose", "direction", "modality", "cached"),
        ),
        graph(
            "Cached share of the input", "percentunit",
            Query(
                'sum by (purpose) (rate(claimline_tokens_total{direction="input",cached="true"}[$__rate_interval]))'
                ' / sum by (purpose) (rate(claimline_tokens_total{direction="input"}[$__rate_interval]))',
                "{{purpose}}",
            ),
        ),
        graph(
            "Transcribed by time, per minute", "s", per_minute("claimline_asr_seconds_total", "model"),
            about="Models that are priced by seconds of audio.",
        ),
        graph(
            "Usage without a price", "none",
            Query("sum by (model) (increase(claimline_unpriced_total[1h]))", "{{model}}"),
            about="Its cost is missing everywhere above: add the model to prices.overrides.",
        ),
        graph(
            "Audio tokens reported over and under", "none",
            Query(
                "sum by (purpose, direction, sign) (increase(claimline_audio_token_difference_total[1h]))",
                "{{purpose}} {{direction}} {{sign}}",
            ),
        ),
        graph(
            "Limits of cost", "none",
            Query("sum by (limit, event) (increase(claimline_cost_limit_total[1h]))", "{{limit}} {{event}}"),
        ),
    ),
)  # fmt: skip
TRANSCRIPTS = Row(
    "Transcripts and claims",
    (
        graph("Turns per minute, by source", "none", per_minute("claimline_turns_total", "source")),
        graph("Transcription latency", "s", *quantiles("claimline_transcription_latency_seconds", 0.5, 0.95)),
        graph(
            "Suspect transcripts", "none",
            Query("sum by (reason) (increase(claimline_transcripts_suspect_total[1h]))", "{{reason}}"),
        ),
        graph(
            "Turns whose two transcripts differ", "none",
            Query("sum by (kind) (increase(claimline_asr_differs_total[1h]))", "{{kind}}"),
            about="In something that a claim depends on; only with transcription.asr_model.",
        ),
        graph(
            "Word error rate between the two", "percentunit",
            Query(
                "sum(rate(claimline_asr_word_error_rate_sum[1h])) / sum(rate(claimline_asr_word_error_rate_count[1h]))",
                "mean",
            ),
        ),
        graph(
            "Claims at the end of their call, and conflicts", "none",
            Query("sum by (state) (increase(claimline_claims_total[1h]))", "{{state}}"),
            Query("sum by (field) (increase(claimline_claim_conflicts_total[1h]))", "conflict: {{field}}"),
        ),
    ),
)  # fmt: skip
DELIVERY = Row(
    "Delivery",
    (
        graph(
            "Messages waiting and given up", "none",
            Query("max(claimline_outbox_pending)", "waiting"),
            Query("max(claimline_outbox_dead)", "given up"),
        ),
        graph("Age of the oldest", "s", Query("max(claimline_outbox_oldest_age_seconds)", "oldest")),
        graph("Tries per minute", "none", per_minute("claimline_webhook_attempts_total", "outcome")),
        graph(
            "The backend's state", "none", Query("max by (state) (claimline_webhook_endpoint_state)", "{{state}}"),
            about="Disabled: it answered 410, and nothing is sent until `claimline outbox resume`.",
        ),
        graph(
            "Outbox writable", "none", Query("claimline_outbox_writable", "{{instance}}"),
            about="0: the disk refuses what calls write, and new calls are refused.",
        ),
        graph(
            "Messages held in memory", "none", Query("claimline_journal_held", "{{instance}}"),
            about="Until the outbox takes them; lost if the worker is restarted.",
        ),
    ),
)  # fmt: skip
ERRORS = Row(
    "Errors and processes",
    (
        graph("Realtime errors per minute", "none", per_minute("claimline_realtime_errors_total", "code")),
        graph("Sessions replaced, per minute", "none", per_minute("claimline_realtime_reconnects_total", "reason")),
        graph(
            "Processor", "percentunit",
            Query("rate(process_cpu_seconds_total[$__rate_interval])", "cores of {{instance}}"),
        ),
        graph("Memory", "bytes", Query("process_resident_memory_bytes", "{{instance}}")),
        graph("Open files", "none", Query("process_open_fds", "{{instance}}")),
    ),
)  # fmt: skip


def _while_it_lived(expr: str) -> str:
    """What its worker showed, per `instance`, as long as the call was there."""
    return f"({expr}) and on (instance) {LIVE}"


def _rates(*metrics: str) -> tuple[Query, ...]:
    return tuple(
        Query(
            _while_it_lived(f"sum by (instance) (rate({metric}[$__rate_interval])) * 60"),
            metric.removeprefix("claimline_").removesuffix("_total").replace("_", " "),
        )
        for metric in metrics
    )


CALL = Row(
    "Call $call_id",
    (
        Text(
            "**[This call in the console](${claimline}/#${call_id})**, with its timeline, and"
            " [all that the service knows of it](${claimline}/calls/${call_id}): turns, what they cost, the quality of"
            " the line, how it ended. A worker remembers its last calls (`http.recent_calls`); after that the webhooks"
            " and the log lines with this `call_id` have it.\n\nHere it is seen while it lived: what it cost, and what"
            " its worker showed meanwhile."
        ),
        stat("Cost when last seen", "currencyUSD", f"last_over_time({LIVE}[$__range])"),
        stat(
            "Highest cost per minute", "currencyUSD", f"max_over_time(deriv({LIVE}[1m])[$__range:5s]) * 60",
        ),
        graph("Cost so far", "currencyUSD", Query(LIVE, "{{instance}}"), width=12, links=(CONSOLE,)),
        graph(
            "Calls on the same worker", "none",
            Query(_while_it_lived("claimline_calls_active"), "{{instance}}"), width=12,
        ),
    ),
)  # fmt: skip
MEANWHILE = Row(
    "Its worker meanwhile",
    (
        graph(
            "Response latency", "s",
            Query(
                _while_it_lived(
                    "histogram_quantile(0.95, sum by (le, instance)"
                    " (rate(claimline_response_latency_seconds_bucket[$__rate_interval])))"
                ),
                "p95",
                exemplars=True,
            ),
        ),
        graph(
            "Event-loop lag", "s",
            Query(
                _while_it_lived(
                    "histogram_quantile(0.99, sum by (le, instance)"
                    " (rate(claimline_event_loop_lag_seconds_bucket[$__rate_interval])))"
                ),
                "p99",
            ),
        ),
        graph(
            "Lost by us, per minute", "none",
            *_rates(
                "claimline_media_deadline_misses_total",
                "claimline_playout_underruns_total",
                "claimline_uplink_frames_dropped_total",
            ),
        ),
        graph(
            "Realtime errors and sessions replaced, per minute", "none",
            *_rates("claimline_realtime_errors_total", "claimline_realtime_reconnects_total"),
        ),
        graph(
            "Turns and interruptions, per minute", "none",
            *_rates("claimline_turns_total", "claimline_barge_in_total"),
        ),
        graph(
            "Messages waiting", "none", Query(_while_it_lived("claimline_outbox_pending"), "{{instance}}"),
            about="Of all calls.",
        ),
    ),
)  # fmt: skip

DASHBOARDS = (
    Dashboard("claimline", "claimline: the day", (NOW, CALLS, LINES, MONEY, TRANSCRIPTS, DELIVERY, ERRORS)),
    Dashboard(
        "claimline-call",
        "claimline: one call",
        (CALL, MEANWHILE),
        since="now-1h",
        variables=(
            {
                "name": "call_id",
                "label": "Call",
                "type": "query",
                "datasource": {"type": "prometheus", "uid": "prometheus"},
                "query": {"query": "label_values(claimline_call_live_cost_usd, call_id)", "refId": "calls"},
                "refresh": 2,
                "sort": 0,
            },
            {
                "name": "claimline",
                "label": "Address of claimline",
                "type": "textbox",
                "query": "http://127.0.0.1:8080",
                "current": {"text": "http://127.0.0.1:8080", "value": "http://127.0.0.1:8080"},
            },
        ),
    ),
)


def files() -> dict[str, str]:
    """The text of each file by its name."""
    return {f"{one.uid}.json": json.dumps(one.model(), indent=1) + "\n" for one in DASHBOARDS}


if __name__ == "__main__":
    for name, text in files().items():
        (HERE / name).write_text(text, "utf-8")
