"""The demo's baselines: two tiny ONNX graphs and a generator that this project trained."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from onnx import TensorProto, checker, helper

OPSET = 17
IR_VERSION = 8

GENERATOR_WIDTH = 12
ONE_STYLE = "night-impasto"  # the style image that the trained generator paints in


@dataclass(frozen=True)
class Baseline:
    """A checkpoint with its manifest, ready to be submitted like anybody's."""

    name: str
    checkpoint: bytes
    filename: str
    manifest: dict[str, Any]


def identity_baseline() -> Baseline:
    """Return the generator that copies the content: no content loss, no style."""
    manifest = _onnx_manifest("content")
    return Baseline("Identity", _copy_graph(("content",), "content"), "identity.onnx", manifest)


def style_paste_baseline() -> Baseline:
    """Return the generator that answers with the style image: no style loss, no content."""
    manifest = _onnx_manifest("content", "style")
    graph = _copy_graph(("content", "style"), "style")
    return Baseline("Style paste", graph, "style_paste.onnx", manifest)


def trained_baseline() -> Baseline:
    """Return the generator that `manage.py train_baseline` trained on one style."""
    manifest = {
        "format": "safetensors",
        "architecture": "transformer_net",
        "parameters": {"width": GENERATOR_WIDTH},
        "inputs": [{"role": "content", "name": "content"}],
        "input_range": "0..255",
        "output_range": "0..255",
        "channel_order": "RGB",
        "size": {"multiple_of": 4},
    }
    checkpoint = _read_asset("one_style.safetensors")
    return Baseline("Trained generator", checkpoint, "one_style.safetensors", manifest)


def discriminator_bytes() -> bytes:
    """Return the PatchGAN that `manage.py train_baseline` trained together with the generator."""
    return _read_asset("discriminator.safetensors")


def _read_asset(name: str) -> bytes:
    return (files("evaluation.demo") / "assets" / name).read_bytes()


def _onnx_manifest(*roles: str) -> dict[str, Any]:
    # On the scale 0..255 nothing is multiplied, so that 8-bit pixels come back as they went in.
    return {
        "format": "onnx",
        "architecture": None,
        "parameters": {},
        "inputs": [{"role": role, "name": role} for role in roles],
        "input_range": "0..255",
        "output_range": "0..255",
        "channel_order": "RGB",
        "size": {"multiple_of": 1},
    }


def _copy_graph(inputs: tuple[str, ...], copied: str) -> bytes:
    """Write a graph that hands one of its inputs back."""
    shape: list[str | int | None] = [1, 3, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Identity", [copied], ["output"])],
        f"copy_{copied}",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
