"""The dashboards as files: made from their source, whole, and led to from exemplars."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
FILES = {path.name: path.read_text("utf-8") for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(GRAFANA))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("dashboards", GRAFANA / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _panels(text: str) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads(text)["panels"]
    return panels


def test_the_files_are_what_their_source_makes(source: ModuleType) -> None:
    assert source.files() == FILES, "run: python deploy/grafana/dashboards.py"


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_panels_are_whole_and_do_not_overlap(text: str) -> None:
    panels = _panels(text)
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] in {"stat", "timeseries"}:
            assert panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"prometheus"}


def test_exemplars_lead_to_the_dashboard_of_their_call() -> None:
    provisioned = (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
    found = re.search(r"url: /d/([\w-]+)/\S+\?var-(\w+)=\$\$\{__value\.raw\}", provisioned)
    assert found
    assert "uid: prometheus" in provisioned
    dashboard = json.loads(FILES[f"{found[1]}.json"])
    assert found[2] in {variable["name"] for variable in dashboard["templating"]["list"]}
    assert "/calls/${call_id}" in "".join(
        panel["options"].get("content", "") for panel in dashboard["panels"] if "options" in panel
    )
    shown = [target for panel in _panels(FILES["claimline.json"]) for target in panel.get("targets", ())]
    assert {"claimline_response_latency_seconds", "claimline_call_cost_usd", "claimline_call_mos"} <= {
        name for target in shown if target["exemplar"] for name in re.findall(r"(claimline_\w+)_bucket", target["expr"])
    }


def test_variables_that_panels_use_are_defined() -> None:
    for text in FILES.values():
        defined = {variable["name"] for variable in json.loads(text)["templating"]["list"]}
        used = set(re.findall(r"\$\{?(?!__)(\w+)", json.dumps(_panels(text))))
        assert used <= defined


def test_the_first_page_of_grafana_is_there() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    home = re.search(r"HOME_DASHBOARD_PATH: /var/lib/grafana/dashboards/(\S+)", compose)
    assert home
    assert home[1] in FILES
