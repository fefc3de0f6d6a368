"""Tiny files, honest and hostile, that make the loader use everything it will ever need."""

import argparse
import io
import json
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from styletransfer.architectures import ARCHITECTURES
from styletransfer.generators import build
from styletransfer.manifest import Input, Manifest

Sample = tuple[bytes, Manifest]

# A parameter that every architecture has.
TINY = {"width": 2}


def honest_samples() -> Iterator[Sample]:
    """Yield a generator of every architecture, in 32 and 16 bits, and two ONNX graphs."""
    for name in ARCHITECTURES:
        network = build(name, TINY)
        manifest = weights_manifest(name)
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            weights = {key: value.to(dtype) for key, value in network.state_dict().items()}
            yield safetensors.torch.save(weights), manifest
    yield make_onnx(), _onnx_manifest()
    yield make_onnx(two_inputs=True), _onnx_manifest(two_inputs=True)


def hostile_samples() -> Iterator[Sample]:
    """Yield files that are refused at every stage, the run included."""
    onnx_file, manifest = make_onnx(), _onnx_manifest()
    yield b"", manifest
    yield b"<html></html>", manifest
    yield onnx_file[: len(onnx_file) // 2], manifest
    yield make_onnx(weight=float("nan")), manifest
    # Mistyped: refused by the runtime when it loads; unfitting: when it runs.
    yield make_onnx(pads_type=TensorProto.FLOAT), manifest
    yield make_onnx(factor_shape=(7, 1)), manifest
    name = "transformer_net"
    network = build(name, TINY)
    weights = safetensors.torch.save(dict(network.state_dict()))
    yield weights[:-1], weights_manifest(name)
    yield safetensors.torch.save({"other": torch.zeros(1)}), weights_manifest(name)
    header = json.dumps({"a": "b"}).encode()
    yield len(header).to_bytes(8, "little") + header, weights_manifest(name)


def state_dicts() -> Iterator[bytes]:
    """Yield files of `torch.save`: of both forms, honest ones first, then ones that are refused."""
    weights = dict(build("transformer_net", TINY).state_dict())
    options = {"epoch": 3, "loss": np.float64(0.5), "options": argparse.Namespace(lr=1e-3)}
    tensors = {
        dtype: torch.ones(2, dtype=dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int64)
    }
    others = {str(dtype).replace(".", "_"): tensor for dtype, tensor in tensors.items()}
    honest = save_torch({"model": OrderedDict(weights), **options})
    yield from honest
    parallel = {f"module.{key}": value for key, value in others.items()}
    yield from save_torch({"last": nn.Parameter(torch.ones(2)), **parallel})
    for whole in honest:
        yield whole[: len(whole) // 2]
        yield whole[:60]
    yield from save_torch({"a": 1})
    yield from save_torch({"a": dict(others), "b": dict(others)})
    yield from save_torch({"a": _Unknown()})


class _Unknown:
    """An object that no loader of tensors makes."""


def save_torch(value: Any) -> tuple[bytes, bytes]:
    """Return a file as `torch.save` writes it now, and as it did before version 1.6."""
    files = []
    for is_zip in (True, False):
        buffer = io.BytesIO()
        torch.save(value, buffer, _use_new_zipfile_serialization=is_zip)
        files.append(buffer.getvalue())
    return files[0], files[1]


def make_onnx(
    *,
    two_inputs: bool = False,
    weight: float = 0.1,
    pads_type: int = TensorProto.INT64,
    factor_shape: tuple[int, ...] = (1, 1),
) -> bytes:
    """Write a small graph of the operators that stylisation networks use."""
    kernel = np.full((3, 3, 3, 3), weight, dtype=np.float32)
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1], dtype=np.int64)
    if pads_type != TensorProto.INT64:
        pads = pads.astype(helper.tensor_dtype_to_np_dtype(pads_type))
    initialisers = [
        numpy_helper.from_array(kernel, "kernel"),
        numpy_helper.from_array(pads, "pads"),
        numpy_helper.from_array(np.ones(3, dtype=np.float32), "scale"),
        numpy_helper.from_array(np.zeros(3, dtype=np.float32), "shift"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], dtype=np.float32), "twice"),
        numpy_helper.from_array(np.ones(factor_shape, dtype=np.float32), "factor"),
    ]
    inputs = ["content", "style"] if two_inputs else ["content"]
    nodes = [
        helper.make_node("Pad", ["content", "pads"], ["padded"], mode="reflect"),
        helper.make_node("Conv", ["padded", "kernel"], ["small"], strides=[2, 2]),
        helper.make_node("InstanceNormalization", ["small", "scale", "shift"], ["normal"]),
        helper.make_node("Relu", ["normal"], ["relu"]),
        helper.make_node("Resize", ["relu", "", "twice"], ["large"], mode="nearest"),
        helper.make_node("Mul", ["large", "factor"], ["scaled"]),
        helper.make_node("ReduceMean", [inputs[-1]], ["mean"], axes=[2, 3]),
        helper.make_node("Add", ["scaled", "mean"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sample",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, "h", "w"]) for n in inputs],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        initialisers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(onnx.ModelProto.SerializeToString(model))


def weights_manifest(architecture: str) -> Manifest:
    """Describe a generator of an architecture at its smallest."""
    style = (Input(role="style", name="style"),) if ARCHITECTURES[architecture].inputs == 2 else ()
    return Manifest(
        format="safetensors",
        architecture=architecture,
        parameters=TINY,
        inputs=(Input(role="content", name="content"), *style),
        input_range="imagenet",
        output_range="0..255",
        channel_order="BGR",
    )


def _onnx_manifest(*, two_inputs: bool = False) -> Manifest:
    style = (Input(role="style", name="style"),) if two_inputs else ()
    return Manifest(
        format="onnx",
        inputs=(Input(role="content", name="content"), *style),
        input_range="-1..1",
        output_range="0..1",
    )
