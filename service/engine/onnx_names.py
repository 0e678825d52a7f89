"""Names for the unnamed subgraphs of an ONNX file.

onnxruntime's .ort format keeps no names of the branches of an `If`; saved as ONNX they are missing, and loading that is
refused ("Field 'name' of 'graph' is required"). The file is protobuf (onnx.proto3); this is all of it that is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# Field numbers of onnx.proto3.
_MODEL_GRAPH = 7
_GRAPH_NODE = 1
_GRAPH_NAME = 2
_NODE_OP_TYPE = 4
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_GRAPH = 6

_BYTES = 2
_NAME = bytes([_GRAPH_NAME << 3 | _BYTES, 6]) + b"branch"


class _Field(NamedTuple):
    number: int
    whole: memoryview
    """With its key and length."""
    content: memoryview


def name_subgraphs(model: bytes) -> bytes:
    """The same ModelProto, every branch of every top-level `If` node named.

    Raises ValueError where it is not protobuf.
    """
    return b"".join(_rewritten(memoryview(model), (_MODEL_GRAPH, _GRAPH_NODE, _NODE_ATTRIBUTE, _ATTRIBUTE_GRAPH)))


def _rewritten(message: memoryview, path: tuple[int, ...]) -> Iterator[bytes | memoryview]:
    if not path:
        yield message
        yield _NAME
        return
    number, *rest = path
    for field in _fields(message):
        if field.number != number or (number == _GRAPH_NODE and not _is_if(field.content)):
            yield field.whole
            continue
        content = b"".join(_rewritten(field.content, tuple(rest)))
        yield _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _is_if(node: memoryview) -> bool:
    return any(field.number == _NODE_OP_TYPE and bytes(field.content) == b"If" for field in _fields(node))


def _fields(message: memoryview) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        key, start = _read_varint(message, at)
        match key & 7:
            case 0:
                _, end = _read_varint(message, start)
            case 1:
                end = start + 8
            case 2:
                length, start = _read_varint(message, start)
                end = start + length
            case 5:
                end = start + 4
            case kind:
                raise ValueError(f"not an ONNX file: wire type {kind} at byte {at}")
        if end > len(message):
            raise ValueError(f"not an ONNX file: the field at byte {at} is cut short")
        yield _Field(key >> 3, message[at:end], message[start:end])
        at = end


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("not an ONNX file: it ends inside a number")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
