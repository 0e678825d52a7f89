"""Why the engine refuses a client event, in the words of the protocol's `error` event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError


class Refusal(Exception):  # noqa: N818 - the protocol's own state of affairs, not a fault of ours
    """A client event that is not obeyed; the session goes on."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def refusal(error: ValidationError, value: Any, prefix: str = "") -> Refusal:
    """The first fault that pydantic found in `value`, as the service words it. `prefix` is where `value` stands."""
    first = error.errors(include_url=False)[0]
    kind: str = first["type"]
    context: dict[str, Any] = first.get("ctx", {})
    found, param = _locate(first["loc"], value, prefix)
    if kind.startswith("union_tag"):
        param = f"{param}.type" if param else "type"
    match kind:
        case "extra_forbidden":
            code, message = "unknown_parameter", f"Unknown parameter: '{param}'."
        case "missing" | "union_tag_not_found":
            code, message = "missing_required_parameter", f"Missing required parameter: '{param}'."
        case "literal_error" | "union_tag_invalid":
            shown = _short(context.get("tag", found))
            supported = context.get("expected_tags") or context.get("expected")
            code, message = "invalid_value", f"Invalid value: '{shown}'. Supported values are: {supported}."
        case _ if kind.endswith("_type"):
            expected, got = first["msg"].removeprefix("Input should be "), _NAMES.get(type(found), "something else")
            code, message = "invalid_type", f"Invalid type for '{param}': expected {expected}, but got {got} instead."
        case _:
            code, message = "invalid_value", f"Invalid value for '{param}': {first['msg']}."
    return Refusal(code, message, param)


_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def _locate(loc: Sequence[int | str], value: Any, prefix: str) -> tuple[Any, str]:
    """What stands at pydantic's location, and its path without names of union members, which are not in the value."""
    path = prefix
    for position, step in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            value, path = value[step], f"{path}[{step}]"
        elif isinstance(value, dict) and (step in value or last):
            value, path = value.get(step), f"{path}.{step}" if path else str(step)
    return value, path


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
