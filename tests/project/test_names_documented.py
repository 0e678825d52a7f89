"""What the documents name exists, and what exists is named: metrics, make targets, folders, links, versions."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args

import pytest

import service
from service.billing.meter import AGENT, ASR
from service.call import ending, summary
from service.claim import extraction
from service.cli import parser
from service.telemetry.metrics import Metrics
from service.transcript import request
from sip.admission import RefusalReason

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def _documented_metrics() -> dict[str, str]:
    reference = (ROOT / "docs" / "operations.md").read_text("utf-8")
    return dict(re.findall(r"^\| `(claimline_\w+)` \| (\w+) \|", reference, re.MULTILINE))


def test_the_reference_lists_exactly_the_metrics_there_are() -> None:
    families = [family for family in Metrics().registry.collect() if family.name.startswith("claimline_")]
    assert _documented_metrics() == {
        family.name + ("_total" if family.type == "counter" else ""): family.type for family in families
    }


def _asked(expressions: str) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"claimline_\w+", expressions)}


def test_dashboards_and_alerts_ask_only_for_documented_metrics() -> None:
    dashboards = [
        json.loads(path.read_text("utf-8")) for path in (ROOT / "deploy" / "grafana").glob("dashboards/*.json")
    ]
    panels = [panel for dashboard in dashboards for panel in dashboard["panels"]]
    shown = _asked(" ".join(target["expr"] for panel in panels for target in panel.get("targets", ())))
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8")
    watched = _asked(alerts)
    documented = set(_documented_metrics())
    assert shown <= documented
    assert watched <= documented
    assert len(shown) > 30
    assert len(watched) > 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_make_targets_of_a_document_lead_somewhere(document: Path) -> None:
    text = document.read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    for path, heading in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", text):
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name} links to {path}"
        assert not heading or heading in _anchors(target), f"{document.name} links to {path}#{heading}"


def _anchors(document: Path) -> set[str]:
    """Of its headings, as they are made of them where it is shown."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_operations_lists_every_way_in_which_a_call_ends() -> None:
    source = (ROOT / "service" / "call" / "ending.py").read_text("utf-8")
    fixed = set(re.findall(r'Ending\("(\w+)", "(\w+)"\)', source))
    agent = {("success", ending.by_agent(reason).reason) for reason in ("completed", "caller_request", "no_input")}
    by_code = {("client_error", ending.sip_reason(code, "sip_failure")) for code in range(300, 700)}
    refused = {("rejected", reason) for reason in (*get_args(RefusalReason), "not_ready", "cost_limit")}
    refused -= {("rejected", "bad_request")}
    section = (ROOT / "docs" / "operations.md").read_text("utf-8").split("## How calls end")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    told = {(result, reason) for result, reasons in rows for reason in re.findall(r"`(\w+)`", reasons)}
    assert fixed | agent | by_code | refused <= told


def test_costs_names_every_purpose() -> None:
    purposes = {AGENT, ASR, *(module.PURPOSE for module in (extraction, request, summary))}
    costs = (ROOT / "docs" / "costs.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| [a-z]", costs, re.MULTILINE)) == purposes


def _documented_commands() -> list[str]:
    text = "\n".join(path.read_text("utf-8") for path in DOCUMENTS)
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    return re.findall(r"^(?:\.venv/bin/)?claimline (.*)$", shell, re.MULTILINE)


@pytest.mark.parametrize("command", _documented_commands())
def test_documented_commands_are_understood(command: str) -> None:
    parser().parse_args(shlex.split(command, comments=True))


def test_the_readme_maps_every_part() -> None:
    mapped = set(re.findall(r"^\| `([\w/]+)` \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    packages = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "service").glob("*/*.py")}
    assert packages | {"sip", "deploy", "tests"} <= mapped
    assert [folder for folder in mapped if not (ROOT / folder).is_dir()] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.split(r"[=<>\[ ]", one)[0] for one in declared}
    rows = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("## Dependencies")[1].split("## Glossary")[0]
    explained = set(re.findall(r"[a-z0-9-]+", " ".join(re.findall(r"^\| (.*?) \|", rows, re.MULTILINE))))
    assert names - explained == set()


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest
    assert service.__version__ == project["version"] == newest[1]
