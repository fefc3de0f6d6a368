import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_safetensors

from styletransfer.checkpoint import load_generator
from styletransfer.errors import REFUSALS, CheckpointRejected
from styletransfer.inference import stylise, to_pixels
from styletransfer.manifest import Manifest
from styletransfer.onnx_file import check_onnx

PIXELS = np.random.default_rng(4).integers(0, 256, (16, 24, 3), dtype=np.uint8)
CONTENT = {"role": "content", "name": "content"}
STYLE = {"role": "style", "name": "style"}
Edit = Callable[[onnx.ModelProto], object]


def declare(**changes: Any) -> Manifest:
    plain = {"format": "onnx", "input_range": "0..255", "output_range": "0..255"}
    return Manifest.model_validate(plain | changes)


def picture(name: str, shape: Any = (1, 3, "h", "w"), dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def make_model(
    nodes: list[Any] | None = None,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    weights: dict[str, Any] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """Write content * 0.5 + 10, or another graph."""
    if nodes is None:
        nodes = [
            helper.make_node("Mul", ["content", "half"], ["darker"]),
            helper.make_node("Add", ["darker", "ten"], ["output"]),
        ]
    if weights is None:
        weights = {"half": np.array([0.5], np.float32), "ten": np.array([10], np.float32)}
    graph = helper.make_graph(
        nodes,
        "graph",
        [picture("content")] if inputs is None else inputs,
        [picture("output", None)] if outputs is None else outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def make_file(edit: Edit | None = None, **parts: Any) -> bytes:
    model = make_model(**parts)
    if edit is not None:
        edit(model)
    return bytes(model.SerializeToString())


def refusal(data: bytes, manifest: Manifest | None = None) -> CheckpointRejected:
    with pytest.raises(CheckpointRejected) as caught:
        stylise(load_generator(data, manifest or declare()), PIXELS, PIXELS)
    assert caught.value.code in REFUSALS
    json.dumps(caught.value.facts)
    return caught.value


def test_a_graph_is_run() -> None:
    generator = load_generator(memoryview(make_file()), declare())
    assert np.array_equal(stylise(generator, PIXELS), PIXELS * np.float32(0.5) + 10)
    assert generator.inputs == ("content",)
    assert generator.parameters_count == 2


def test_the_inputs_are_fed_by_name_and_one_may_be_unused() -> None:
    both = [picture("style"), picture("content")]
    paste = make_file(nodes=[helper.make_node("Identity", ["style"], ["output"])], inputs=both)
    manifest = declare(inputs=[CONTENT, STYLE])
    style = 255 - PIXELS
    assert np.array_equal(to_pixels(stylise(load_generator(paste, manifest), PIXELS, style)), style)
    copy = make_file(nodes=[helper.make_node("Identity", ["content"], ["output"])], inputs=both)
    assert np.array_equal(to_pixels(stylise(load_generator(copy, manifest), PIXELS, style)), PIXELS)


def test_weights_listed_among_the_inputs_are_no_inputs() -> None:
    def list_weights(model: onnx.ModelProto) -> None:
        model.ir_version = 3
        model.graph.input.extend(
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("half", "ten")]
        )

    output = stylise(load_generator(make_file(list_weights, opset=9), declare()), PIXELS)
    assert np.array_equal(output, PIXELS * np.float32(0.5) + 10)


def test_weights_in_constant_nodes_are_counted_too() -> None:
    nodes = [
        helper.make_node(
            "Constant",
            [],
            ["offset"],
            value=numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32)),
        ),
        helper.make_node("Add", ["content", "offset"], ["output"]),
    ]
    assert load_generator(make_file(nodes=nodes, weights={}), declare()).parameters_count == 3


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ([picture("input.1")], "names"),
        ([picture("content"), picture("style")], "names"),
        ([], "names"),
        ([picture("content", (4, 3, "h", "w"))], "layout"),
        ([picture("content", (1, "h", "w", 3))], "layout"),
        ([picture("content", (1, 256, 256, 3))], "layout"),
        ([picture("content", (3, "h", "w"))], "layout"),
    ],
)
def test_inputs_other_than_the_declared_pictures_are_refused(
    inputs: list[Any], problem: str
) -> None:
    error = refusal(make_file(inputs=inputs))
    assert (error.code, error.facts["problem"]) == ("wrong_inputs", problem)


def test_the_names_of_both_sides_are_given() -> None:
    error = refusal(make_file(inputs=[picture("input.1")]), declare(inputs=[CONTENT, STYLE]))
    assert error.facts["expected"] == ["content", "style"]
    assert error.facts["found"] == ["input.1"]


def test_a_size_fixed_in_the_graph_must_be_that_of_the_phase() -> None:
    fixed = make_file(inputs=[picture("content", (1, 3, 16, 24))])
    output = stylise(load_generator(fixed, declare(size={"multiple_of": 32})), PIXELS)
    assert output.shape == PIXELS.shape
    error = refusal(make_file(inputs=[picture("content", (1, 3, 64, 48))]))
    assert (error.code, error.facts) == ("wrong_size", {"expected": [16, 24], "found": [64, 48]})


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def external_without_flag(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="weights.bin")


def external_in_constant(model: onnx.ModelProto) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], name="hidden")
    tensor.external_data.add(key="location", value="weights.bin")
    model.graph.node.append(helper.make_node("Constant", [], ["hidden"], value=tensor))


@pytest.mark.parametrize("edit", [external, external_without_flag, external_in_constant])
def test_weights_kept_outside_the_file_are_refused(edit: Edit) -> None:
    assert refusal(make_file(edit)).code == "external_data"


def add_node(node: Any) -> Edit:
    return lambda model: model.graph.node.append(node)


BODY = helper.make_graph([], "body", [], [])


@pytest.mark.parametrize(
    ("node", "operator"),
    [
        (helper.make_node("Loop", ["", ""], ["x"], body=BODY), "Loop"),
        (helper.make_node("If", ["c"], ["x"], then_branch=BODY, else_branch=BODY), "If"),
        (helper.make_node("RandomNormal", [], ["x"], shape=[1]), "RandomNormal"),
        (helper.make_node("Dropout", ["content"], ["x"]), "Dropout"),
        (
            helper.make_node("FusedConv", ["content"], ["x"], domain="com.microsoft"),
            "com.microsoft::FusedConv",
        ),
        (helper.make_node("Relu", ["content"], ["x"], domain="mine"), "mine::Relu"),
        (helper.make_node("EPContext", [], ["x"], domain="com.microsoft"), None),
    ],
)
def test_operators_outside_the_list_are_named(node: Any, operator: str | None) -> None:
    error = refusal(make_file(add_node(node)))
    assert error.code == "unsupported_operator"
    assert operator is None or error.facts["operator"] == operator


def with_function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function("mine", "F", ["x"], ["y"], [], [helper.make_opsetid("", 17)])
    )


def with_training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def with_sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def with_subgraph(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("body", BODY))


def with_untyped_subgraph(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="body")
    attribute.g.CopyFrom(BODY)


def with_reference(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="axis", ref_attr_name="axis")


def with_weight_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def with_many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([helper.make_node("Relu", ["content"], ["x"])] * 10_001)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (with_function, "functions"),
        (with_training, "training_info"),
        (with_sparse, "sparse_weights"),
        (with_subgraph, "sub_graph_or_sparse_attribute"),
        (with_untyped_subgraph, "sub_graph_or_sparse_attribute"),
        (with_reference, "function_attribute"),
        (with_weight_twice, "repeated_weight"),
        (with_many_nodes, "too_many_nodes"),
        (lambda model: model.graph.node[0].input.append("nowhere"), "runtime"),
        (lambda model: model.opset_import.pop(), "runtime"),
        (lambda model: setattr(model.opset_import[0], "version", 999), "runtime"),
        (lambda model: setattr(model, "ir_version", 90), "runtime"),
    ],
)
def test_what_a_network_does_not_need_is_refused(edit: Edit, reason: str) -> None:
    error = refusal(make_file(edit))
    assert (error.code, error.facts["reason"]) == ("onnx_refused", reason)


def test_metadata_and_comments_never_reach_the_runtime() -> None:
    def decorate(model: onnx.ModelProto) -> None:
        model.metadata_props.add(key="ort_config", value='{"session_options": {}}')
        model.doc_string = "secret"
        model.graph.doc_string = "secret"
        model.graph.node[0].doc_string = "secret"
        model.graph.node[0].metadata_props.add(key="secret", value="secret")
        model.graph.initializer[0].doc_string = "secret"
        model.graph.value_info.append(picture("darker", (9, 9, 9, 10**9)))
        model.opset_import.append(helper.make_opsetid("secret", 1))

    data = make_file(decorate) + b"\xfa\x7f\x06secret"  # An unknown field at the end.
    checked = check_onnx(data, declare())
    assert b"secret" in data
    assert b"secret" not in checked.model
    assert b"ort_config" not in checked.model
    assert b"darker" in checked.model
    assert np.array_equal(
        stylise(load_generator(data, declare()), PIXELS), PIXELS * np.float32(0.5) + 10
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_nan_and_infinite_weights_are_refused(value: float, dtype: type[Any]) -> None:
    weights = {"half": np.array([value], dtype), "ten": np.array([10], np.float32)}
    error = refusal(make_file(weights=weights))
    assert (error.code, error.facts["key"]) == ("non_finite_weights", "half")


def test_nan_in_the_long_form_of_a_tensor_is_found() -> None:
    def spell_out(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].CopyFrom(
            helper.make_tensor("half", TensorProto.FLOAT, [1], [float("nan")])
        )

    assert refusal(make_file(spell_out)).code == "non_finite_weights"


def test_one_infinite_constant_is_no_weight() -> None:
    nodes = [helper.make_node("Max", ["content", "least"], ["output"])]
    data = make_file(nodes=nodes, weights={"least": np.array(-np.inf, np.float32)})
    assert np.array_equal(to_pixels(stylise(load_generator(data, declare()), PIXELS)), PIXELS)


def change_weight(**fields: Any) -> Edit:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        for name, value in fields.items():
            if name == "dims":
                del tensor.dims[:]
                tensor.dims.extend(value)
            else:
                setattr(tensor, name, value)

    return change


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (change_weight(dims=[10**9, 10**9]), "tensor_size"),
        (change_weight(dims=[2]), "tensor_size"),
        (change_weight(dims=[-1]), "tensor_shape"),
        (change_weight(dims=[1] * 9), "tensor_shape"),
        (change_weight(raw_data=b"abc"), "tensor_size"),
        (lambda model: model.ClearField("graph"), "no_graph"),
        (lambda model: model.graph.ClearField("node"), "no_graph"),
    ],
)
def test_a_file_that_contradicts_itself_is_corrupt(edit: Edit, reason: str) -> None:
    error = refusal(make_file(edit))
    assert (error.code, error.facts["reason"]) == ("corrupt_file", reason)


def test_a_file_cut_anywhere_is_refused() -> None:
    data = make_file(weights={"half": np.ones(5_000, np.float32), "ten": np.ones(1, np.float32)})
    for length in [20, 100, 5_000, len(data) - 1]:
        assert refusal(data[:length]).code == "corrupt_file", length


def test_any_flipped_byte_is_refused_or_harmless() -> None:
    data = make_file()
    rng = np.random.default_rng(6)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= int(rng.integers(1, 256))
        # Any other exception fails the test.
        with suppress(CheckpointRejected):
            stylise(load_generator(bytes(broken), declare()), PIXELS)


@pytest.mark.parametrize(
    "edit",
    [
        lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 11),
        lambda model: setattr(model.graph.output[0].type.tensor_type, "elem_type", 10),
        change_weight(data_type=TensorProto.STRING),
        change_weight(data_type=12345),
        change_weight(data_type=TensorProto.COMPLEX64),
    ],
)
def test_other_number_formats_are_refused(edit: Edit) -> None:
    assert refusal(make_file(edit)).code == "wrong_dtype"


def test_an_undeclared_output_of_another_number_format_is_refused_when_it_comes() -> None:
    nodes = [helper.make_node("Cast", ["content"], ["output"], to=TensorProto.INT32)]
    untyped = onnx.ValueInfoProto(name="output")
    error = refusal(make_file(nodes=nodes, outputs=[untyped]))
    assert error.code == "wrong_dtype"


def test_two_outputs_are_refused() -> None:
    error = refusal(make_file(outputs=[picture("output", None), picture("darker", None)]))
    assert (error.code, error.facts["found"]) == ("output_shape", 2)


def test_too_many_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styletransfer.onnx_file.MAX_PARAMETERS", 1)
    error = refusal(make_file())
    assert (error.code, error.facts) == ("too_many_parameters", {"limit": 1, "found": 2})


@pytest.mark.parametrize(
    ("nodes", "code"),
    [
        ([helper.make_node("Log", ["content"], ["output"])], "non_finite_output"),
        ([helper.make_node("Transpose", ["content"], ["output"])], "output_shape"),
        ([helper.make_node("ReduceMean", ["content"], ["output"])], "output_shape"),
        ([helper.make_node("Reshape", ["content", "shape"], ["output"])], "generator_crashed"),
    ],
)
def test_a_network_that_fails_when_it_runs_is_refused(nodes: list[Any], code: str) -> None:
    weights = {"shape": np.array([7, 7], np.int64)}
    assert refusal(make_file(nodes=nodes, weights=weights)).code == code


def test_a_safetensors_file_is_no_onnx_file() -> None:
    error = refusal(save_safetensors({"a": np.zeros(3, np.float32)}))
    assert error.facts == {"expected": "onnx", "found": "safetensors"}


def test_a_graph_that_wants_two_hundred_gigabytes_is_out_of_memory() -> None:
    nodes = [
        helper.make_node("Expand", ["content", "shape"], ["large"]),
        helper.make_node("ReduceMax", ["large"], ["output"], axes=[0], keepdims=1),
    ]
    data = make_file(nodes=nodes, weights={"shape": np.array([200_000, 3, 512, 512], np.int64)})
    script = """
import resource, sys
import numpy as np
from styletransfer import checkpoint
from styletransfer.manifest import Manifest

resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
manifest = Manifest(format="onnx", input_range="0..255", output_range="0..255")
try:
    generator = checkpoint.load_generator(sys.stdin.buffer.read(), manifest)
    checkpoint.stylise(generator, np.zeros((512, 512, 3), dtype=np.uint8))
except checkpoint.CheckpointRejected as error:
    print(error.code)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script],
        input=data,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert answer.stdout.decode().strip() == "out_of_memory", answer.stderr


def test_the_runtime_writes_no_files_and_sends_nothing_home(tmp_path: Path) -> None:
    script = (
        "from styletransfer import checkpoint; checkpoint.warm_up()\n"
        "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environment = {
        key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"
    }
    answer = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment
        | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
        | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert answer.stdout.strip() == "1", answer.stderr
    assert list(tmp_path.iterdir()) == []
