"""The example file and docs/configuration.md say what service/config.py says."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from service.config import ENV_PREFIX, Config, load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "claimline.example.toml"
REFERENCE = ROOT / "docs" / "configuration.md"

SETTING = re.compile(r"^#(\w+ = )", re.MULTILINE)
"""A line of the example that is a setting once its "#" is gone; prose has a space there."""
ALTERNATIVE = re.compile(r"^# or: (\w+ = .*)$", re.MULTILINE)


def _tables_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _tables_in(argument)


def _settings(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every key with its default (None: there is none). Of alternative tables the first one's default counts."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = prefix + name
        tables = list(_tables_in(field.annotation))
        default = None if field.is_required() else field.default
        if not tables or (default is not None and not isinstance(default, BaseModel)):
            found[key] = json.loads(json.dumps(default, default=str))
        for table in tables:
            found = _settings(table, f"{key}.") | found
    return found


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return found


SETTINGS = _settings(Config)


@pytest.fixture(autouse=True)
def _nothing_set_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith((ENV_PREFIX, "OPENAI_API_KEY")):
            monkeypatch.delenv(name)


def test_the_example_as_it_is_changes_nothing() -> None:
    assert load(EXAMPLE) == load(None)


def test_every_line_of_the_example_is_a_valid_setting_once_it_is_uncommented() -> None:
    text = EXAMPLE.read_text("utf-8")
    Config(**tomllib.loads(SETTING.sub(r"\1", text)))
    for line in ALTERNATIVE.findall(text):
        tomllib.loads(line)


def test_the_example_shows_every_setting_with_its_default() -> None:
    text = EXAMPLE.read_text("utf-8")
    shown = _flat(tomllib.loads(SETTING.sub(r"\1", text)))
    for line in ALTERNATIVE.findall(text):
        for key in _flat(tomllib.loads(line)):
            shown |= {full: SETTINGS[full] for full in SETTINGS if full.endswith(f".{key}") and full not in shown}
    assert set(shown) == set(SETTINGS)
    with_default = {key: default for key, default in SETTINGS.items() if default is not None}
    assert {key: shown[key] for key in with_default} == with_default


def test_the_example_marks_what_has_no_default() -> None:
    marked = set(re.findall(r"^#(\w+) = .*# \(unset\)", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    unset = [key.split(".") for key, default in SETTINGS.items() if default is None]
    assert {path[1] for path in unset if len(path) == 2} <= marked <= {part for path in unset for part in path[-2:]}


def test_the_reference_gives_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+\.[\w.]+)` \| (.*?) \|", REFERENCE.read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == {
        key: "none" if default is None else f"`{json.dumps(default)}`" for key, default in SETTINGS.items()
    }
