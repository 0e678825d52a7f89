"""Every install is pinned by hash, to the same version in each set, and to no machine's own index."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
SETS = ("runtime", "local", "dev", "build")
LINE = re.compile(r"|#.*|[a-z0-9-]+==\S+ \\| {4}--hash=sha256:[0-9a-f]{64}( \\)?| {4}#.*")


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (REQUIREMENTS / f"{name}.txt").read_text("utf-8"), re.MULTILINE))


def _declared(specs: list[str]) -> set[str]:
    return {re.split(r"[=<>\[ ]", spec)[0] for spec in specs}


@pytest.mark.parametrize("name", SETS)
def test_each_line_is_a_pin_a_hash_or_its_reason(name: str) -> None:
    lines = (REQUIREMENTS / f"{name}.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert all(after.startswith("    --hash=") for line, after in pairwise(lines) if "==" in line)


def test_each_smaller_set_is_part_of_the_greater() -> None:
    runtime, local, dev, build = (_pins(name) for name in SETS)
    assert runtime.items() < local.items() < dev.items()
    assert build.items() < dev.items()


def test_what_the_project_declares_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    assert _declared(project["project"]["dependencies"]) <= set(_pins("runtime"))
    assert _declared(extras["local"]) <= set(_pins("local"))
    assert _declared(extras["dev"]) <= set(_pins("dev"))
    assert _declared(project["build-system"]["requires"]) == set(_pins("build"))
