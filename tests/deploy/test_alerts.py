"""The alerts: each fires in its test and is silent in the healthy one, and each has a runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = (PROMETHEUS / "alerts.yml").read_text("utf-8")
NAMES = re.findall(r"- alert: (\w+)", RULES)

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="not installed: prometheus")


def _promtool(*arguments: str) -> str:
    ended = subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@needs_promtool
def test_rules_and_configuration_are_understood() -> None:
    assert f"{len(NAMES)} rules found" in _promtool("check", "rules", "alerts.yml")
    assert "alerts.yml" in _promtool("check", "config", "prometheus.yml")


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in _promtool("test", "rules", "alerts_test.yml")


def test_each_alert_is_tested_to_fire_and_to_be_silent() -> None:
    cases = (PROMETHEUS / "alerts_test.yml").read_text("utf-8")
    fires = re.findall(r"alertname: (\w+)\n +eval_time: \S+\n +exp_alerts:\n +- exp_labels", cases)
    silent = re.findall(r"\{ alertname: (\w+), eval_time: \S+ \}", cases)
    healthy = cases.partition("  - name: a worker is gone")[0]
    assert set(fires) == set(silent) == set(NAMES)
    assert re.findall(r"\{ alertname: (\w+),", healthy) == NAMES
    assert len(NAMES) > 12


def test_each_alert_says_how_bad_it_is_and_has_a_runbook_of_its_own() -> None:
    runbooks = (ROOT / "docs" / "runbooks.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbooks, re.MULTILINE | re.DOTALL))
    assert list(sections) == NAMES
    for name, rule in zip(NAMES, RULES.split("- alert: ")[1:], strict=True):
        assert re.search(r"labels: \{ severity: (critical|warning) \}", rule), name
        assert re.search(r"summary: \S", rule), name
        assert re.search(r"description: \S", rule), name
        assert f"runbook_url: docs/runbooks.md#{name.lower()}\n" in rule + "\n", name
        assert all(f"**{word}:**" in sections[name] for word in ("Means", "Look at", "Do")), name


def test_prometheus_loads_the_alerts_where_compose_mounts_them() -> None:
    assert "rule_files: [alerts.yml]" in (PROMETHEUS / "prometheus.yml").read_text("utf-8")
    compose = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    assert "./prometheus:/etc/prometheus:ro" in compose
    assert "--enable-feature=exemplar-storage" in compose
