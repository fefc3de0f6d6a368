"""Graphs to make cases of: the smallest there is, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.hostile.case import Case, fixed

SIDES: list[Any] = [1, 3, "h", "w"]
Weights = dict[str, Any]
Edit = Callable[[ModelProto], object]


def node(
    kind: str, inputs: str = "content", output: str = "output", **attributes: Any
) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def picture(name: str, shape: Any = SIDES, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: Sequence[NodeProto] | None = None,
    *,
    inputs: Sequence[onnx.ValueInfoProto] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    weights: Weights | None = None,
    opset: int = 17,
) -> ModelProto:
    """Make a graph that returns the content if nothing else is asked for."""
    made = helper.make_graph(
        list(nodes or [node("Identity")]),
        "generator",
        list(inputs or [picture("content")]),
        list(outputs or [picture("output", None)]),
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (weights or {}).items()
        ],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def written(made: ModelProto) -> bytes:
    return bytes(made.SerializeToString())


def edited(edit: Edit, **parts: Any) -> bytes:
    made = model(**parts)
    edit(made)
    return written(made)


def case(
    name: str, data: bytes, code: str, reason: str | None = None, *, alone: bool = False
) -> Case:
    return Case(f"onnx: {name}", fixed(data), code, reason, alone=alone)


def graph(
    name: str, code: str, reason: str | None = None, *, alone: bool = False, **parts: Any
) -> Case:
    return case(name, written(model(**parts)), code, reason, alone=alone)


def varint(value: int) -> bytes:
    """Write a number as protobuf does."""
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])
