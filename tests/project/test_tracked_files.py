"""No file of the project is tied to a machine or to a package registry's host, or holds a key."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Written with a gap, so that this file passes its own test.
FORBIDDEN = re.compile(
    "|".join(
        pattern.replace("~", "")
        for pattern in (
            r"py~pi\.org",
            r"python~hosted\.org",
            r"deb\.deb~ian\.org",
            r"archive\.ubu~ntu\.com",
            r"registry\.npm~js",
            r"index-~url [=:]? ?http",
            r"file:/~//",
            r"(?<![\w.])/(?:work|ro~ot|opt/wheels|home/\w+)/",
            r"\bsk-[A-Za-z0-9_-]{4~0,}",
            r"BEGIN [A-Z ]*PRIV~ATE KEY",
        )
    )
)


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_registry_host_a_machines_path_or_a_key() -> None:
    found = []
    for path in _files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert found == []


def test_no_file_is_large() -> None:
    assert [path.name for path in _files() if path.stat().st_size > 1_000_000] == []
