"""Checkpoints as a training ends with: real ONNX graphs and files of weights."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from styletransfer.architectures import ARCHITECTURES


def make_generator(
    path: Path,
    *,
    names: tuple[str, ...],
    sides: tuple[int, int] | None = None,
    weights: int = 3,
) -> Path:
    """Write a generator that brightens its first input; ``weights`` numbers make it large."""
    height, width = sides or ("height", "width")
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, height, width])
        for name in names
    ]
    made = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, height, width])
    ballast = np.random.default_rng(len(path.name)).random(weights, dtype=np.float32)
    tensors = [
        numpy_helper.from_array(ballast, "ballast"),
        numpy_helper.from_array(np.array([0.1], np.float32), "brightness"),
    ]
    nodes = [helper.make_node("Add", [names[0], "brightness"], ["output"])]
    graph = helper.make_graph(nodes, "generator", inputs, [made], initializer=tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, path)
    return path


def make_weights(path: Path, *, architecture: str = "transformer_net", **parameters: int) -> Path:
    """Write a file of weights that fits an architecture with these parameters."""
    shapes = ARCHITECTURES[architecture].expected_shapes(parameters)
    save_file({key: np.zeros(shape, np.float32) for key, shape in shapes.items()}, path)
    return path
