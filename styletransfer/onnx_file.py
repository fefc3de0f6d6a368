"""Check an ONNX file and write it anew with nothing in it but a plain network; torch-free.

Runtimes obey much that a network does not need: files named in the model, settings in its
metadata, functions that unfold without end. All of it is refused or dropped, and what runs is
the checked model written anew, so that no second parser can see anything else in the file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from styletransfer.errors import CheckpointRejected
from styletransfer.manifest import Manifest
from styletransfer.memory_need import MemoryNeed, Room, padded_size
from styletransfer.onnx_memory import need_of_graph
from styletransfer.safetensors_file import FACTS_SHOWN, MAX_TENSORS, shorten

MAX_NODES = 10_000
MAX_PARAMETERS = 200_000_000
MAX_RANK = 8

# Deterministic, without sub-graphs, files, randomness or strings; far more than real exports use.
OPERATORS = frozenset(
    """
    Abs Acos Add And ArgMax ArgMin Asin Atan AveragePool BatchNormalization Cast CastLike Ceil Celu
    Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace Div Einsum Elu
    Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid
    HardSwish Identity InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Less
    LessOrEqual Log LogSoftmax LpNormalization MatMul Max MaxPool Mean MeanVarianceNormalization Min
    Mish Mod Mul Neg Not Or PRelu Pad Pow RMSNormalization Range Reciprocal ReduceL1 ReduceL2
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round
    ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tanh ThresholdedRelu Tile TopK Transpose Trilu
    Unsqueeze Upsample Where Xor
    """.split()  # noqa: SIM905 - a list literal is a hundred lines
)
_DOMAINS = ("", "ai.onnx")

_Tensor = onnx.TensorProto
_TYPE_NAMES: dict[int, str] = {number: name for name, number in _Tensor.DataType.items()}
_FLOATS = (_Tensor.FLOAT, _Tensor.FLOAT16, _Tensor.BFLOAT16, _Tensor.DOUBLE)
# Data type -> bytes per element and the field that holds it when it isn't raw.
_STORAGE: dict[int, tuple[int, str]] = {
    _Tensor.FLOAT: (4, "float_data"),
    _Tensor.FLOAT16: (2, "int32_data"),
    _Tensor.BFLOAT16: (2, "int32_data"),
    _Tensor.DOUBLE: (8, "double_data"),
    _Tensor.INT64: (8, "int64_data"),
    _Tensor.INT32: (4, "int32_data"),
    _Tensor.INT8: (1, "int32_data"),
    _Tensor.UINT8: (1, "int32_data"),
    _Tensor.BOOL: (1, "int32_data"),
}
_PLAIN_ATTRIBUTES = (
    onnx.AttributeProto.FLOAT,
    onnx.AttributeProto.INT,
    onnx.AttributeProto.STRING,
    onnx.AttributeProto.TENSOR,
    onnx.AttributeProto.FLOATS,
    onnx.AttributeProto.INTS,
    onnx.AttributeProto.STRINGS,
)

Side = int | None


@dataclass(frozen=True)
class CheckedOnnx:
    """A model that may be given to a runtime."""

    model: bytes
    parameters_count: int
    fixed_sizes: dict[str, tuple[Side, Side]]
    output: str
    memory_need: MemoryNeed | None


def check_onnx(
    data: bytes | memoryview, manifest: Manifest, room: Room | None = None
) -> CheckedOnnx:
    """Check everything a file can be refused for without running it.

    Raises:
        CheckpointRejected: corrupt_file, external_data, onnx_refused, unsupported_operator,
            wrong_dtype, non_finite_weights, too_many_parameters, wrong_inputs, output_shape or
            too_much_memory.
    """
    model, weights = parse_onnx(data)
    graph = model.graph
    fixed_sizes = _match_inputs(graph, manifest)
    output = _require_one_output(graph)
    for tensor in _all_tensors(graph):
        _require_finite(tensor)
    _strip(model)
    need = None
    if room is not None:
        target = padded_size(manifest, room)
        sizes = {
            image.name: (fixed[0] or target[0], fixed[1] or target[1])
            for image in manifest.inputs
            for fixed in [fixed_sizes[image.role]]
        }
        need = need_of_graph(model, sizes, weights=weights, file_bytes=len(data))
        need.require(room)
    return CheckedOnnx(model.SerializeToString(), weights, fixed_sizes, output, need)


def parse_onnx(data: bytes | memoryview) -> tuple[onnx.ModelProto, int]:
    """Return a model that may be looked into, and how many weights it has.

    Raises:
        CheckpointRejected: corrupt_file, external_data, onnx_refused, unsupported_operator,
            wrong_dtype or too_many_parameters.
    """
    try:
        model = onnx.ModelProto.FromString(bytes(data))
    except DecodeError as error:
        raise CheckpointRejected("corrupt_file", reason="protobuf") from error
    if not model.HasField("graph") or not model.graph.node:
        raise CheckpointRejected("corrupt_file", reason="no_graph")
    _require_plain_model(model)
    _require_operators(model.graph)
    weights = 0
    for tensor in _all_tensors(model.graph):
        _require_tensor(tensor)
        weights += math.prod(tensor.dims) if tensor.data_type in _FLOATS and tensor.dims else 0
        if weights > MAX_PARAMETERS:
            raise CheckpointRejected("too_many_parameters", limit=MAX_PARAMETERS, found=weights)
    return model, weights


def image_inputs(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    """Return the inputs that a caller has to give, by name."""
    # Old exports list every weight among the inputs.
    weights = {tensor.name for tensor in graph.initializer}
    return {value.name: value for value in graph.input if value.name not in weights}


def fixed_sides(value: onnx.ValueInfoProto) -> list[Side]:
    """Return the shape that an input declares; None for a side of any length."""
    return [
        side.dim_value if side.dim_value > 0 else None for side in value.type.tensor_type.shape.dim
    ]


def _all_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _refuse(reason: str, **facts: object) -> CheckpointRejected:
    return CheckpointRejected("onnx_refused", reason=reason, **facts)


def _require_plain_model(model: onnx.ModelProto) -> None:
    graph = model.graph
    if model.functions:
        raise _refuse("functions")
    if model.training_info:
        raise _refuse("training_info")
    if graph.sparse_initializer:
        raise _refuse("sparse_weights")
    if len(graph.node) > MAX_NODES:
        raise _refuse("too_many_nodes", limit=MAX_NODES, found=len(graph.node))
    if len(graph.initializer) > MAX_TENSORS or len(graph.input) > MAX_TENSORS:
        raise _refuse("too_many_tensors", limit=MAX_TENSORS, found=len(graph.initializer))
    names = {tensor.name for tensor in graph.initializer}
    if len(names) != len(graph.initializer):
        raise _refuse("repeated_weight")


def _require_operators(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.domain not in _DOMAINS:
            name = f"{shorten(node.domain)}::{shorten(node.op_type)}"
            raise CheckpointRejected("unsupported_operator", operator=name)
        if node.op_type not in OPERATORS:
            raise CheckpointRejected("unsupported_operator", operator=shorten(node.op_type))
        for attribute in node.attribute:
            _require_plain_attribute(node, attribute)


def _require_plain_attribute(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    operator = node.op_type
    if attribute.ref_attr_name:
        raise _refuse("function_attribute", operator=operator)
    has_more = (
        attribute.HasField("g")
        or attribute.HasField("sparse_tensor")
        or attribute.HasField("tp")
        or attribute.tensors
        or attribute.graphs
        or attribute.sparse_tensors
        or attribute.type_protos
    )
    # Exports from before IR version 3 leave the type out; the fields above still tell.
    if has_more or (attribute.type and attribute.type not in _PLAIN_ATTRIBUTES):
        raise _refuse("sub_graph_or_sparse_attribute", operator=operator)


def _require_tensor(tensor: onnx.TensorProto) -> None:
    name = shorten(tensor.name)
    # Whatever the path says: a runtime would read a file of its choice.
    if tensor.external_data or tensor.data_location == _Tensor.EXTERNAL:
        raise CheckpointRejected("external_data", key=name)
    if tensor.data_type not in _STORAGE:
        raise CheckpointRejected("wrong_dtype", key=name, found=_type_name(tensor.data_type))
    if tensor.HasField("segment") or len(tensor.dims) > MAX_RANK or any(d < 0 for d in tensor.dims):
        raise CheckpointRejected("corrupt_file", reason="tensor_shape", key=name)
    width, field = _STORAGE[tensor.data_type]
    elements = math.prod(tensor.dims)
    listed = len(getattr(tensor, field))
    if tensor.HasField("raw_data"):
        # Both at once would let two readers see two networks.
        fits = len(tensor.raw_data) == width * elements and not listed
    else:
        fits = listed == elements
    if not fits:
        raise CheckpointRejected("corrupt_file", reason="tensor_size", key=name)


def _require_finite(tensor: onnx.TensorProto) -> None:
    if tensor.data_type not in _FLOATS:
        return
    values = numpy_helper.to_array(tensor)
    # A single infinity is an honest constant (the start of a maximum); it is no weight.
    refused = ~np.isfinite(values) if tensor.dims else np.isnan(values)
    if refused.any():
        raise CheckpointRejected("non_finite_weights", key=shorten(tensor.name))


def _match_inputs(graph: onnx.GraphProto, manifest: Manifest) -> dict[str, tuple[Side, Side]]:
    """Return role -> the (height, width) fixed in the graph."""
    found = image_inputs(graph)
    declared = {image.name: image.role for image in manifest.inputs}
    if found.keys() != declared.keys():
        raise CheckpointRejected(
            "wrong_inputs",
            problem="names",
            expected=list(declared),
            found=[shorten(name) for name in list(found)[:FACTS_SHOWN]],
        )
    return {declared[name]: _require_picture(value) for name, value in found.items()}


def _require_picture(value: onnx.ValueInfoProto) -> tuple[Side, Side]:
    name, tensor = shorten(value.name), value.type.tensor_type
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        raise CheckpointRejected(
            "wrong_dtype", problem="picture", key=name, expected="FLOAT", found=_word(kind)
        )
    if tensor.elem_type != _Tensor.FLOAT:
        raise CheckpointRejected(
            "wrong_dtype",
            problem="picture",
            key=name,
            expected="FLOAT",
            found=_type_name(tensor.elem_type),
        )
    if not tensor.HasField("shape"):
        return None, None
    sides = fixed_sides(value)
    is_channels_last = len(sides) == 4 and sides[1] is None and sides[3] == 3
    if (
        len(sides) != 4
        or sides[0] not in (None, 1)
        or sides[1] not in (None, 3)
        or is_channels_last
    ):
        raise CheckpointRejected(
            "wrong_inputs", problem="layout", key=name, expected=[1, 3, None, None], found=sides[:8]
        )
    return sides[2], sides[3]


def _require_one_output(graph: onnx.GraphProto) -> str:
    if len(graph.output) != 1:
        raise CheckpointRejected(
            "output_shape", problem="outputs", expected=1, found=len(graph.output)
        )
    output = graph.output[0]
    other = output.type.WhichOneof("value")
    if other not in (None, "tensor_type"):
        raise CheckpointRejected(
            "wrong_dtype",
            problem="picture",
            key=shorten(output.name),
            expected="FLOAT",
            found=_word(other),
        )
    kind = output.type.tensor_type.elem_type
    if kind not in (_Tensor.UNDEFINED, _Tensor.FLOAT):
        raise CheckpointRejected(
            "wrong_dtype",
            problem="picture",
            key=shorten(output.name),
            expected="FLOAT",
            found=_type_name(kind),
        )
    return str(output.name)


def _word(kind: str) -> str:
    return kind.removesuffix("_type")


def _type_name(data_type: int) -> str:
    return _TYPE_NAMES.get(data_type, str(data_type))


def _strip(model: onnx.ModelProto) -> None:
    """Drop everything the network does not need to run."""
    graph = model.graph
    for field in ("metadata_props", "configuration", "doc_string", "domain"):
        model.ClearField(field)
    # Shapes of inner tensors are claims; the runtime finds out by itself.
    for field in ("metadata_props", "value_info", "quantization_annotation", "doc_string"):
        graph.ClearField(field)
    for node in graph.node:
        for field in ("metadata_props", "device_configurations", "doc_string", "overload"):
            node.ClearField(field)
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
        tensor.ClearField("doc_string")
    opsets = [opset for opset in model.opset_import if opset.domain in _DOMAINS]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    model.DiscardUnknownFields()
