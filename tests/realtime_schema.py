"""Strict checks of Realtime events against the types of PyPI `openai`: types, literals, and no field they do not name.

The types allow unknown fields, so every validated model is walked for extras. Allowed are only those that recordings of
the real service show: `id`, `object` and `expires_at` of a session, and `obfuscation` of a delta.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from openai.types.realtime.response_item_reference import ResponseItemReference
from pydantic import BaseModel, Field, TypeAdapter

_SESSION_EXTRAS = frozenset({"id", "object", "expires_at"})


def _tagged(alias: Any) -> TypeAdapter[Any]:
    members = get_args(get_args(alias)[0])
    tagged: Any = Annotated[Union[members], Field(discriminator="type")]  # noqa: UP007
    return TypeAdapter(tagged)


_SERVER = _tagged(RealtimeServerEvent)
_CLIENT = _tagged(RealtimeClientEvent)
_REFERENCE: TypeAdapter[Any] = TypeAdapter(ResponseItemReference)


def check_server_event(event: str | bytes | Mapping[str, Any]) -> Any:
    """Validate an event that a server sent; returns it as the SDK's model. Raises on anything the SDK does not know."""
    model = _SERVER.validate_json(_json(event), strict=True)
    _no_extras(model)
    return model


def check_client_event(event: str | bytes | Mapping[str, Any]) -> None:
    """Validate an event that a client sent. Raises on anything the SDK does not know."""
    value = json.loads(_json(event))
    if value.get("type") == "response.create":
        _take_out_references(value)
    _no_extras(_CLIENT.validate_json(json.dumps(value), strict=True))


def _take_out_references(value: dict[str, Any]) -> None:
    """Check references on their own: the SDK has their type, but its union of client events does not know it."""
    given = (value.get("response") or {}).get("input")
    if isinstance(given, list):
        references = [item for item in given if isinstance(item, dict) and item.get("type") == "item_reference"]
        for reference in references:
            _no_extras(_REFERENCE.validate_json(json.dumps(reference), strict=True))
        value["response"]["input"] = [item for item in given if item not in references]


def _json(event: str | bytes | Mapping[str, Any]) -> str | bytes:
    return json.dumps(event) if isinstance(event, Mapping) else event


def _no_extras(model: BaseModel) -> None:
    found = [path for path in _extras(model, "") if not _allowed(path)]
    assert not found, f"fields that the protocol does not name: {', '.join(sorted(found))}"


def _allowed(path: str) -> bool:
    return path == "obfuscation" or path in {f"session.{name}" for name in _SESSION_EXTRAS}


def _extras(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{path}.{name}" if path else name
        for name in type(value).model_fields:
            yield from _extras(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            yield from _extras(member, f"{path}[{index}]")
