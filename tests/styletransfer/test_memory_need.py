"""What a generator needs at least is known before it runs, and is never more than it takes."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from onnx import TensorProto, helper
from torch.profiler import ProfilerActivity, profile

from styletransfer.architectures import ARCHITECTURES
from styletransfer.checkpoint import load_generator
from styletransfer.errors import CheckpointRejected
from styletransfer.generators import build
from styletransfer.manifest import Manifest
from styletransfer.memory_need import Room, need_of_architecture
from styletransfer.onnx_file import check_onnx
from styletransfer.warm_samples import make_onnx
from tests.hostile.onnx_graphs import model, node, picture, written

MIB = 1 << 20


def declare(architecture: str | None, **parameters: int) -> Manifest:
    two = architecture is not None and ARCHITECTURES[architecture].inputs == 2
    roles = ("content", "style") if two else ("content",)
    return Manifest.model_validate(
        {
            "format": "safetensors" if architecture else "onnx",
            "architecture": architecture,
            "parameters": parameters,
            "inputs": [{"role": role, "name": role} for role in roles],
            "input_range": "0..1",
            "output_range": "0..1",
        }
    )


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        ("transformer_net", {"width": 8}),
        ("resnet_generator", {"blocks": 6, "width": 8}),
        ("unet_generator", {"downs": 5, "width": 8}),
        ("adain", {"width": 8}),
    ],
)
def test_an_architecture_takes_what_its_layers_hold_and_not_much_more(
    architecture: str, parameters: Mapping[str, int]
) -> None:
    manifest = declare(architecture, **parameters)
    data = safetensors.torch.save(dict(build(architecture, parameters).state_dict()))
    generator = load_generator(data, manifest, Room(1 << 40, 128, 128))
    need = generator.memory_need
    assert need is not None
    assert need.weights_bytes == 4 * generator.parameters_count
    assert need.file_bytes == len(data)
    pictures = {role: np.zeros((1, 3, 128, 128), np.float32) for role in generator.inputs}
    generator.run(pictures)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        generator.run(pictures)
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    taken = max(accumulate(sizes)) + sum(picture.nbytes for picture in pictures.values())
    # What convolutions copy into layouts of their own comes on top.
    assert need.layers_bytes <= taken <= 2 * need.layers_bytes


def test_layers_hold_in_proportion_to_the_picture_as_it_is_padded() -> None:
    architecture, manifest = ARCHITECTURES["transformer_net"], declare("transformer_net")
    small, large, padded = (
        need_of_architecture(architecture, manifest, Room(1, side, side), 0).layers_bytes
        for side in (256, 512, 509)
    )
    assert 3.8 < large / small < 4
    assert padded == large


def onnx_need(height: int, width: int, **sample: Any) -> int:
    checked = check_onnx(make_onnx(**sample), declare(None), Room(1 << 40, height, width))
    assert checked.memory_need is not None
    return checked.memory_need.layers_bytes


def test_a_graph_takes_what_goes_into_a_convolution_and_what_comes_out() -> None:
    # (3, 102, 202) padded, (3, 50, 100) convolved; 3 times as much is enlarged again.
    assert onnx_need(100, 200) == 4 * 3 * (102 * 202 + 50 * 100)


def test_paddings_and_sizes_that_a_graph_computes_are_followed() -> None:
    zero = helper.make_tensor("zero", TensorProto.INT64, [1], [0])
    # As torch.onnx.export writes paddings and sizes: computed, though they never change.
    nodes = [
        helper.make_node("ConstantOfShape", ["four"], ["none"], value=zero),
        helper.make_node("Concat", ["two", "none"], ["six"], axis=0),
        helper.make_node("Reshape", ["six", "pairs"], ["table"]),
        helper.make_node("Slice", ["table", "last", "first", "zero", "back"], ["turned"]),
        helper.make_node("Transpose", ["turned"], ["across"], perm=[1, 0]),
        helper.make_node("Reshape", ["across", "flat"], ["pads"]),
        helper.make_node("Pad", ["content", "pads"], ["padded"], mode="reflect"),
        helper.make_node("Shape", ["padded"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "two_", "zero"], ["outer"]),
        helper.make_node("Concat", ["outer", "sides"], ["wanted"], axis=0),
        helper.make_node("Resize", ["padded", "", "", "wanted"], ["large"], mode="nearest"),
        node("Identity", "large"),
    ]
    numbers = {
        "four": [6], "two": [3, 5], "pairs": [-1, 2], "last": [-1], "first": [-(2**63)],
        "zero": [0], "back": [-1], "flat": [-1], "two_": [2], "sides": [1000, 2000],
    }  # fmt: skip
    weights = {name: np.array(value, np.int64) for name, value in numbers.items()}
    made = model(nodes, weights=weights, inputs=[picture("content", [1, 3, "h", "w"])])
    checked = check_onnx(written(made), declare(None), Room(1 << 40, 64, 64))
    assert checked.memory_need is not None
    assert checked.memory_need.layers_bytes == 4 * 3 * 1000 * 2000


def test_what_can_not_fit_is_refused_before_it_is_built() -> None:
    need = need_of_architecture(
        ARCHITECTURES["transformer_net"], declare("transformer_net"), Room(1, 1024, 1024), 0
    )
    manifest = declare("transformer_net", width=32)
    data = safetensors.torch.save(dict(build("transformer_net", {"width": 32}).state_dict()))
    enough = Room(need.total_bytes, 1024, 1024)
    assert load_generator(data, manifest, enough).memory_need is not None
    with pytest.raises(CheckpointRejected) as caught:
        load_generator(data, manifest, Room(need.total_bytes - 65 * MIB, 1024, 1024))
    assert caught.value.code == "too_much_memory"
    assert caught.value.facts["size"] == [1024, 1024]
