"""Tiny ONNX generators, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

SIDE: list[int | str] = [1, 3, "h", "w"]


def manifest(*roles: str) -> dict[str, Any]:
    """Describe an ONNX generator that works on 0..255."""
    return {
        "format": "onnx",
        "architecture": None,
        "parameters": {},
        "inputs": [{"role": role, "name": role} for role in roles or ("content",)],
        "input_range": "0..255",
        "output_range": "0..255",
        "channel_order": "RGB",
        "size": {"multiple_of": 1},
    }


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    *,
    inputs: Sequence[str] = ("content",),
    weights: dict[str, NDArray[np.float32]] | None = None,
) -> Path:
    """Write a graph from ``inputs`` to "output"."""
    stored = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "generator",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, SIDE) for name in inputs],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, SIDE)],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def identity(path: Path) -> Path:
    """Return the content picture."""
    return save(path, [helper.make_node("Identity", ["content"], ["output"])])


def mean_of_two(path: Path) -> Path:
    """Return the mean of content and style."""
    half = np.array(0.5, np.float32)
    nodes = [
        helper.make_node("Add", ["content", "style"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["output"]),
    ]
    return save(path, nodes, inputs=("content", "style"), weights={"half": half})


def divide_by_zero(path: Path) -> Path:
    """Return NaN wherever the content is black."""
    nodes = [
        helper.make_node("Sub", ["content", "content"], ["zero"]),
        helper.make_node("Div", ["zero", "zero"], ["output"]),
    ]
    return save(path, nodes)


def convolutions(path: Path, *, channels: int, kernel: int, layers: int = 1) -> Path:
    """Widen to ``channels``, convolve, and narrow again: as slow or as large as wanted."""
    weights = {"in": np.full((channels, 3, 1, 1), 1e-3, np.float32)}
    nodes = [helper.make_node("Conv", ["content", "in"], ["wide0"])]
    pads = [kernel // 2] * 4
    for i in range(layers):
        weights[f"w{i}"] = np.full((channels, channels, kernel, kernel), 1e-6, np.float32)
        nodes.append(helper.make_node("Conv", [f"wide{i}", f"w{i}"], [f"wide{i + 1}"], pads=pads))
    weights["out"] = np.full((3, channels, 1, 1), 1e-3, np.float32)
    nodes.append(helper.make_node("Conv", [f"wide{layers}", "out"], ["output"]))
    return save(path, nodes, weights=weights)
