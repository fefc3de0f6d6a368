"""Manifests guessed from files, compared with what is known of the files."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper

from evaluation.demo.baselines import identity_baseline, style_paste_baseline
from styletransfer.architectures import ARCHITECTURES
from styletransfer.checkpoint import load_generator
from styletransfer.errors import CheckpointRejected
from styletransfer.generators import build
from styletransfer.inference import stylise
from styletransfer.proposal import Proposal
from styletransfer.proposing import propose
from styletransfer.warm_samples import hostile_samples, make_onnx
from submissions.failures import Failure

CAFFE_BGR = [103.939, 116.779, 123.68]
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
Step = tuple[str, Any]


def weights_of(architecture: str, parameters: dict[str, int]) -> dict[str, torch.Tensor]:
    return dict(build(architecture, parameters).state_dict())


def graph(
    before: list[Step] = [],  # noqa: B006 - never changed
    after: list[Step] = [],  # noqa: B006
    *,
    inputs: dict[str, Any] | None = None,
    size_of_weights: float = 1.0,
    strides: int = 1,
    are_nodes: bool = False,
) -> bytes:
    """Write input, steps, a convolution, steps, output; a step is an operator and a constant."""
    taken = {"photo": (1, 3, "h", "w")} if inputs is None else inputs
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[:, 0] = size_of_weights
    initializers, name = {"kernel": kernel}, next(iter(taken))
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, value: Any, attributes: dict[str, Any] | None = None) -> None:
        nonlocal name
        given, new = [name], f"v{len(nodes)}"
        if value is not None:
            constant = np.array(value, np.float32)
            constant = constant.reshape(-1, 1, 1) if constant.size > 1 else constant
            if are_nodes:
                tensor = numpy_helper.from_array(constant)
                nodes.append(helper.make_node("Constant", [], [f"c{new}"], value=tensor))
            else:
                initializers[f"c{new}"] = constant
            given.append(f"c{new}")
        nodes.append(helper.make_node(operator, given, [new], **(attributes or {})))
        name = new

    for operator, value in before:
        add(operator, value)
    nodes.append(helper.make_node("Conv", [name, "kernel"], ["conv"], strides=[strides] * 2))
    name = "conv"
    if strides > 1:
        factors = np.array([1, 1, strides, strides], np.float32)
        initializers["factors"] = factors
        nodes.append(helper.make_node("Resize", [name, "", "factors"], ["large"], mode="nearest"))
        name = "large"
    for operator, value in after:
        add(operator, value)
    made = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in taken.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in initializers.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def ranges(data: bytes) -> tuple[str, str, str]:
    found = propose(data)
    load_generator(data, found.manifest)
    return found.manifest.input_range, found.manifest.output_range, found.manifest.channel_order


@pytest.mark.parametrize(
    ("architecture", "parameters", "expected_range"),
    [
        ("transformer_net", {"width": 5}, "0..255"),
        ("resnet_generator", {"width": 3, "blocks": 6}, "-1..1"),
        ("resnet_generator", {"width": 2, "blocks": 9}, "-1..1"),
    ],
)
def test_weights_tell_their_architecture(
    architecture: str, parameters: dict[str, int], expected_range: str
) -> None:
    data = safetensors.torch.save(weights_of(architecture, parameters))
    found = propose(data)
    assert found.manifest.architecture == architecture
    assert found.manifest.parameters == parameters
    assert found.manifest.input_range == found.manifest.output_range == expected_range
    assert found.guesses == ("input_range", "output_range", "channel_order")
    load_generator(data, found.manifest)


def test_every_architecture_is_recognised_by_the_weights_it_is_built_with() -> None:
    for name, architecture in ARCHITECTURES.items():
        parameters = architecture.fill_in(
            {"width": 2} if "width" in architecture.parameters else {}
        )
        found = propose(safetensors.torch.save(weights_of(name, parameters)))
        assert found.manifest.architecture == name
        assert found.manifest.parameters == parameters
        assert found.guesses == ("input_range", "output_range", "channel_order")
        assert len(found.manifest.inputs) == architecture.inputs


def test_running_statistics_of_old_checkpoints_do_not_matter() -> None:
    weights = weights_of("transformer_net", {"width": 2})
    weights["in1.running_mean"] = torch.zeros(2)
    assert propose(safetensors.torch.save(weights)).manifest.architecture == "transformer_net"


def test_nearly_an_architecture_is_proposed_as_a_guess_so_that_its_error_is_found() -> None:
    weights = weights_of("transformer_net", {"width": 4})
    weights["res3.conv1.conv2d.weight"] = torch.zeros(16, 16, 5, 5)
    del weights["in5.bias"]
    data = safetensors.torch.save(weights)
    found = propose(data)
    assert found.manifest.parameters == {"width": 4}
    assert "architecture" in found.guesses
    assert str(found.reasons["architecture"]) == "61 of the architecture's 62 weights are there."
    with pytest.raises(CheckpointRejected) as caught:
        load_generator(data, found.manifest)
    assert caught.value.facts["missing"] == ["in5.bias"]


def test_weights_of_something_else_are_refused_naming_some() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        propose(safetensors.torch.save({"encoder.0.weight": torch.zeros(1)}))
    assert caught.value.code == "unknown_architecture"
    told = Failure(caught.value.code, caught.value.facts).detail
    assert "encoder.0.weight" in told
    assert ", ".join(ARCHITECTURES) in told
    assert "torch.onnx.export" in told


@pytest.mark.parametrize("are_nodes", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [("Tanh", None)], ("-1..1", "-1..1")),
        ([], [("Sigmoid", None)], ("0..1", "0..1")),
        ([], [("Tanh", None), ("Mul", 150), ("Add", 127.5)], ("0..255", "0..255")),
        ([], [("Tanh", None), ("Add", 1), ("Div", 2)], ("0..1", "0..1")),
        ([], [("Sigmoid", None), ("Mul", 255)], ("0..255", "0..255")),
        ([], [("Mul", 255), ("Identity", None)], ("0..255", "0..255")),
        ([("Div", 255)], [], ("0..255", "0..1")),
        ([("Mul", 1 / 255)], [("Sigmoid", None)], ("0..255", "0..1")),
        ([("Div", 127.5), ("Sub", 1)], [("Tanh", None)], ("0..255", "-1..1")),
        ([("Mul", 2), ("Sub", 1)], [("Tanh", None)], ("0..1", "-1..1")),
        ([("Add", 1), ("Mul", 0.5)], [("Sigmoid", None)], ("-1..1", "0..1")),
        ([("Mul", 255)], [("Relu", None), ("Div", 255)], ("0..1", "0..1")),
        ([("Sub", MEAN), ("Div", DEVIATION)], [("Sigmoid", None)], ("0..1", "0..1")),
        ([("Sub", [255 * part for part in MEAN])], [("Tanh", None)], ("0..255", "-1..1")),
    ],
)
def test_what_a_graph_does_first_and_last_tells_its_ranges(
    before: list[Step], after: list[Step], expected: tuple[str, str], are_nodes: bool
) -> None:
    assert ranges(graph(before, after, are_nodes=are_nodes)) == (*expected, "RGB")


def test_the_size_of_the_last_weights_tells_the_range_where_nothing_else_does() -> None:
    small, large = propose(graph(size_of_weights=0.8)), propose(graph(size_of_weights=15))
    assert (small.manifest.output_range, large.manifest.output_range) == ("0..1", "0..255")
    assert small.reasons["output_range"].code == "size_of_last_weights"
    assert set(small.guesses) == {"size", "input_range", "output_range", "channel_order"}


def test_a_mean_colour_tells_the_order_of_the_channels() -> None:
    assert ranges(graph([("Sub", CAFFE_BGR)], [("Mul", 255)])) == ("0..255", "0..255", "BGR")
    assert ranges(graph([("Sub", CAFFE_BGR[::-1])], [("Mul", 255)]))[2] == "RGB"


def test_bounds_are_certain_and_named() -> None:
    reason = propose(graph([], [("Tanh", None)])).reasons["output_range"]
    assert reason.is_certain
    assert str(reason) == "The last layer can return no others: -1.0 to 1.0."


@pytest.mark.parametrize(
    ("names", "roles", "code"),
    [
        (["x"], ["content"], "seen_in_file"),
        (["content", "style"], ["content", "style"], "named_style"),
        (["Style_Image", "b"], ["style", "content"], "named_style"),
        (["a", "content_image"], ["style", "content"], "named_content"),
        (["input.1", "433"], ["content", "style"], "in_their_order"),
    ],
)
def test_inputs_get_their_roles_by_name_or_by_order(
    names: list[str], roles: list[str], code: str
) -> None:
    data = graph(inputs=dict.fromkeys(names, (1, 3, None, None)))
    found = propose(data)
    assert {each.name: each.role for each in found.manifest.inputs} == dict(
        zip(names, roles, strict=True)
    )
    assert found.reasons["inputs"].code == code
    load_generator(data, found.manifest)


def test_no_picture_or_three_are_refused_with_their_names() -> None:
    for names in ([], ["a", "b", "c"], ["bad\x07name"]):
        model = onnx.ModelProto.FromString(make_onnx())
        del model.graph.input[:]
        model.graph.input.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"])
            for name in names
        )
        with pytest.raises(CheckpointRejected) as caught:
            propose(model.SerializeToString())
        assert caught.value.code == "wrong_inputs"
        assert "content and style image" in Failure("wrong_inputs", caught.value.facts).detail


def test_sizes_are_read_where_they_are_fixed_and_counted_where_not() -> None:
    fixed = propose(graph(inputs={"x": (1, 3, 128, 96)}))
    assert fixed.manifest.model_dump(mode="json")["size"] == {"fixed": [128, 96]}
    assert "size" not in fixed.guesses
    for strides in (1, 2, 8):
        free = propose(graph(strides=strides)).manifest
        assert free.model_dump(mode="json")["size"] == {"multiple_of": strides}


def test_baselines_are_understood() -> None:
    pixels = np.full((8, 8, 3), 7, np.uint8)
    for baseline in (identity_baseline(), style_paste_baseline()):
        found = propose(baseline.checkpoint).manifest
        assert [each.name for each in found.inputs] == [
            each["name"] for each in baseline.manifest["inputs"]
        ]
        generator = load_generator(baseline.checkpoint, found)
        np.testing.assert_allclose(stylise(generator, pixels, pixels), pixels, atol=1e-3)


def test_hostile_files_raise_nothing_but_refusals() -> None:
    for data, _ in hostile_samples():
        try:
            found = propose(data)
        except CheckpointRejected:
            continue
        json.dumps(found.to_json())
    model = onnx.ModelProto.FromString(graph([("Mul", 1e38), ("Mul", 1e38), ("Div", 0)]))
    propose(model.SerializeToString())
    # A circle of operators, and constants whose files lie elsewhere.
    model.graph.node[0].input[0] = model.graph.node[0].output[0]
    model.graph.output[0].name = model.graph.node[0].output[0]
    propose(model.SerializeToString())
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(CheckpointRejected) as caught:
        propose(model.SerializeToString())
    assert caught.value.code == "external_data"


def test_a_proposal_is_plain_json_with_a_sentence_for_every_field() -> None:
    found: Proposal = propose(make_onnx(two_inputs=True))
    told = json.loads(json.dumps(found.to_json()))
    assert told["manifest"]["inputs"][1] == {"role": "style", "name": "style"}
    assert told["reasons"].keys() == told["manifest"].keys()
    assert all(str(reason).endswith(".") for reason in found.reasons.values())


@pytest.mark.skipif(
    "ARENA_REAL_INPUTS" not in os.environ, reason="ARENA_REAL_INPUTS names no folder of real inputs"
)
@pytest.mark.parametrize(
    ("name", "names", "expected_range", "size"),
    [
        (
            "transformernet_nc16_candy_256x256.onnx",
            ["input.1"],
            "0..255",
            {"fixed": [256, 256]},
        ),
        ("transformernet_nc16_mosaic_dynamic.onnx", ["content"], "0..255", {"multiple_of": 4}),
        ("fst_wave_dynamic.onnx", ["content"], "0..255", {"multiple_of": 4}),
        ("microast_dynamic.onnx", ["content", "style"], "0..1", {"multiple_of": 4}),
    ],
)
def test_published_graphs_are_understood(
    name: str, names: list[str], expected_range: str, size: dict[str, Any]
) -> None:
    data = (Path(os.environ["ARENA_REAL_INPUTS"]) / "checkpoints" / name).read_bytes()
    found = propose(data).manifest
    assert [each.name for each in found.inputs] == names
    assert (found.input_range, found.output_range) == (expected_range, expected_range)
    assert found.model_dump(mode="json")["size"] == size
    load_generator(data, found)
