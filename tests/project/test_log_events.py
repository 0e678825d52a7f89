"""Every line that the code can log has a fixed name, one level, and a row in docs/operations.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
EVENT = re.compile(r"[a-z]+(_[a-z]+)+")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class LogCall:
    """One place that logs. Without events it has no fixed name."""

    where: str
    level: str
    events: tuple[str, ...]


def _is_logger(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in {"log", "_log", "logger", "_logger"}
        case ast.Call(func=ast.Attribute(attr=name)):
            return name == "get_logger"
    return False


def _names(event: ast.expr, function: Function | None) -> tuple[str, ...]:
    """What an event may be called: a literal, one of two literals, or a parameter that is a `Literal[…]`."""
    match event:
        case ast.Constant(value=str(name)):
            return (name,)
        case ast.IfExp(body=body, orelse=orelse):
            return _names(body, None) + _names(orelse, None)
        case ast.Name(id=parameter) if function is not None:
            for argument in function.args.args:
                if argument.arg == parameter and isinstance(argument.annotation, ast.Subscript):
                    among = argument.annotation.slice
                    return tuple(ast.literal_eval(name) for name in getattr(among, "elts", [among]))
    return ()


def _log_calls(source: str, where: str) -> Iterator[LogCall]:
    tree = ast.parse(source)
    holders: dict[ast.AST, Function] = {}
    for function in ast.walk(tree):
        if isinstance(function, Function):
            holders |= dict.fromkeys(ast.walk(function), function)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        place = f"{where}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[event, *_]) if _is_logger(logger):
                if level in LEVELS:
                    yield LogCall(place, LEVELS[level], _names(event, holders.get(node)))
                elif level == "log":
                    yield LogCall(place, "?", ())
            case ast.Attribute(value=logger, attr=level) if level in LEVELS and _is_logger(logger):
                if id(node) not in called:  # A method kept for later would be called without its name being seen.
                    yield LogCall(place, LEVELS[level], ())
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logging"), attr="getLogger")):
                yield LogCall(place, "?", ())


def _all() -> list[LogCall]:
    files = [path for folder in ("service", "sip") for path in sorted((ROOT / folder).rglob("*.py"))]
    # The one file that knows where lines go, the libraries' too.
    files.remove(ROOT / "service" / "telemetry" / "logs.py")
    return [call for path in files for call in _log_calls(path.read_text("utf-8"), str(path.relative_to(ROOT)))]


def _documented() -> dict[str, str]:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    section = re.search(r"^## Logs\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \|$", section[1], re.MULTILINE)
    assert len(rows) == len({name for name, _, _ in rows}), "an event has two rows"
    return {name: level for name, level, _ in rows}


def test_the_walk_sees_through_what_hides_a_name() -> None:
    source = """
def told(what: Literal["a_b", "c_d"], name):
    self._log.info(what)
    log.error("e_f" if name else "g_h")
    structlog.get_logger().exception("i_j")
    self.log.warning(f"k_{name}")
    tell = log.error
    log.log(40, "l_m")
    logging.getLogger("x")
"""
    found = sorted(_log_calls(source, "x.py"), key=lambda call: call.where)
    assert [(call.level, call.events) for call in found] == [
        ("info", ("a_b", "c_d")),
        ("error", ("e_f", "g_h")),
        ("error", ("i_j",)),
        ("warning", ()),
        ("error", ()),
        ("?", ()),
        ("?", ()),
    ]


def test_every_line_is_named_by_a_literal_of_the_form_subject_verb() -> None:
    calls = _all()
    assert len(calls) > 30
    assert [call for call in calls if not call.events] == []
    assert [call for call in calls for event in call.events if not EVENT.fullmatch(event)] == []


def test_operations_lists_exactly_the_lines_there_are_each_with_its_level() -> None:
    logged: dict[str, set[str]] = {}
    for call in _all():
        for event in call.events:
            logged.setdefault(event, set()).add(call.level)
    assert {event: levels for event, levels in logged.items() if len(levels) > 1} == {}
    assert _documented() == {event: level for event, levels in logged.items() for level in levels}
