"""Only the branches of `If` get a name; everything else of an ONNX file stays byte for byte."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.onnx_names import name_subgraphs


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field (lengths below 16384)."""
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    return bytes([number << 3 | 2]) + size + content


def node(op_type: bytes, graph: bytes) -> bytes:
    return field(1, field(4, op_type) + field(5, field(1, b"then_branch") + field(6, graph)))


BRANCH = field(1, field(4, b"Add"))
NAMED = BRANCH + field(2, b"branch")
IR_VERSION = b"\x08\x0a"


def test_branches_are_named_and_lengths_mended() -> None:
    padding = field(9, b"w" * 120)
    before = IR_VERSION + field(7, node(b"Mul", b"") + node(b"If", BRANCH) + padding) + field(8, b"opset")
    after = IR_VERSION + field(7, node(b"Mul", b"") + node(b"If", NAMED) + padding) + field(8, b"opset")
    assert name_subgraphs(before) == after


def test_graphs_of_other_nodes_stay() -> None:
    model = field(7, node(b"Loop", BRANCH))
    assert name_subgraphs(model) == model


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_kept(data: bytes) -> None:
    with suppress(ValueError):
        assert len(name_subgraphs(data)) >= len(data)


def test_a_cut_file_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        name_subgraphs(field(7, node(b"If", BRANCH))[:-3])
