"""What an ONNX graph needs of memory at least, by the shapes of what its nodes make; torch-free.

Only for models that `styletransfer.onnx_file.check_onnx` has let through. Shapes are found by
onnx's own inference, on a copy without weights and with the size of the pictures filled in. Where
they can't be found, nothing is counted.
"""

import math
from collections.abc import Mapping

import onnx
from onnx import numpy_helper, shape_inference

from styletransfer.memory_need import FLOAT_BYTES, MemoryNeed
from styletransfer.onnx_folding import Shape, Values, fold, is_small

# Neither run in place nor are left out: what goes in and what comes out is there at the same time.
_HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "InstanceNormalization", "MatMul"})
_BYTES_OF: Mapping[int, int] = {
    onnx.TensorProto.FLOAT: 4,
    onnx.TensorProto.DOUBLE: 8,
    onnx.TensorProto.INT64: 8,
    onnx.TensorProto.INT32: 4,
    onnx.TensorProto.FLOAT16: 2,
    onnx.TensorProto.BFLOAT16: 2,
}
# Sizes that depend on sizes: real exports need two rounds.
_ROUNDS = 4

Sizes = Mapping[str, tuple[int, int]]


def need_of_graph(
    model: onnx.ModelProto, sizes: Sizes, *, weights: int, file_bytes: int
) -> MemoryNeed:
    """Return what a checked model needs for pictures of these sizes.

    Args:
        model: as it was checked.
        sizes: height and width of the picture for each input, by name.
        weights: how many numbers its weights are.
        file_bytes: how long the file is.
    """
    made = _find_bytes(model, sizes)
    largest = max((_bytes_at(node, made) for node in _needed_nodes(model.graph)), default=0)
    return MemoryNeed(FLOAT_BYTES * weights, file_bytes, largest)


def _find_bytes(model: onnx.ModelProto, sizes: Sizes) -> dict[str, int]:
    """Return the bytes of every value whose shape is known then."""
    shapes: dict[str, Shape] = {}
    found: dict[str, int] = {}
    for _ in range(_ROUNDS):
        outline = _outline(model, sizes, fold(model.graph, shapes))
        try:
            inferred = shape_inference.infer_shapes(outline, data_prop=True)
        except Exception:  # noqa: BLE001 - what is wrong with the graph, the runtime will tell
            break
        before = len(shapes)
        for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
            shape = _shape_of(value)
            if shape is not None:
                shapes[value.name] = shape
                width = _BYTES_OF.get(value.type.tensor_type.elem_type, 1)
                found[value.name] = width * math.prod(shape)
        if len(shapes) == before:
            break
    return found


def _outline(model: onnx.ModelProto, sizes: Sizes, values: Mapping[str, Values]) -> onnx.ModelProto:
    """Copy a model with inputs in the place of long weights, constants in that of small values."""
    outline = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph, given = outline.graph, model.graph
    graph.name = "outline"
    graph.output.extend(onnx.ValueInfoProto(name=each.name) for each in given.output)
    for tensor in given.initializer:
        if is_small(tensor):
            graph.initializer.append(tensor)
        else:
            graph.input.append(_declare(tensor.name, tensor.data_type, tuple(tensor.dims)))
    for name, (height, width) in sizes.items():
        graph.input.append(_declare(name, onnx.TensorProto.FLOAT, (1, 3, height, width)))
    for node in given.node:
        output = node.output[0] if node.output else ""
        if output in values:
            graph.initializer.append(numpy_helper.from_array(values[output], output))
        elif node.op_type == "Constant":
            for tensor in (a.t for a in node.attribute if a.HasField("t")):
                graph.input.append(_declare(output, tensor.data_type, tuple(tensor.dims)))
        else:
            graph.node.append(node)
    return outline


def _declare(name: str, kind: int, shape: Shape) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def _shape_of(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    sides = tensor.shape.dim
    if not tensor.HasField("shape") or any(not side.HasField("dim_value") for side in sides):
        return None
    shape = tuple(side.dim_value for side in sides)
    # Products that overflow in there come back negative.
    return None if any(side < 0 for side in shape) else shape


def _needed_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that the output is made of: others are never run."""
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    waiting, seen = [output.name for output in graph.output], set[int]()
    while waiting:
        number = makers.get(waiting.pop())
        if number is not None and number not in seen:
            seen.add(number)
            waiting += graph.node[number].input
    return [graph.node[number] for number in sorted(seen)]


def _bytes_at(node: onnx.NodeProto, made: Mapping[str, int]) -> int:
    outputs = sum(made.get(name, 0) for name in node.output)
    if node.op_type not in _HEAVY or not node.input:
        return outputs
    return outputs + made.get(node.input[0], 0)
