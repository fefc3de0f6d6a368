"""Work out the small whole numbers in an ONNX graph, such as sizes and paddings; torch-free.

Exports compute them by a dozen nodes where one constant would do, and shape inference gives up
there. Values of at most `SMALL` numbers are followed, by the few operators that such chains are
made of; anything else, and anything that goes wrong, is left unknown.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

SMALL = 64
Values = NDArray[Any]
_KINDS = {
    onnx.TensorProto.INT64: np.dtype(np.int64),
    onnx.TensorProto.INT32: np.dtype(np.int32),
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
}
Shape = tuple[int, ...]


def is_small(tensor: onnx.TensorProto) -> bool:
    """Tell whether a constant may be a size."""
    return tensor.data_type in _KINDS and math.prod(tensor.dims) <= SMALL


def fold(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> dict[str, Values]:
    """Return the values that can be worked out, by name; nodes are in the order they run.

    Args:
        graph: a checked one.
        shapes: of the values whose shape is known.
    """
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer if is_small(t)}
    found: dict[str, Values] = {}
    for node in graph.node:
        if not node.output or not node.output[0]:
            continue
        value = None
        with contextlib.suppress(Exception):  # what is wrong with a node, the runtime will tell
            value = _work_out(node, known, shapes)
        if value is not None and value.size <= SMALL:
            known[node.output[0]] = found[node.output[0]] = value
    return found


def _work_out(
    node: onnx.NodeProto, known: Mapping[str, Values], shapes: Mapping[str, Shape]
) -> Values | None:
    given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    if node.op_type == "Constant":
        return _constant(given)
    if node.op_type == "Shape":
        shape = shapes.get(node.input[0])
        return None if shape is None else np.array(shape, np.int64)[_part(given, len(shape))]
    does = _OPERATORS.get(node.op_type)
    names = [name for name in node.input if name]
    if does is None or not all(name in known for name in names):
        return None
    return np.asarray(does(given, *(known[name] for name in names)))


def _constant(given: Mapping[str, Any]) -> Values | None:
    if "value" in given:
        return numpy_helper.to_array(given["value"]) if is_small(given["value"]) else None
    for name, kind in (("value_int", np.int64), ("value_float", np.float32)):
        for key in (name, f"{name}s"):
            if key in given:
                return np.array(given[key], kind)
    return None


def _part(given: Mapping[str, Any], length: int) -> slice:
    return slice(given.get("start", 0), given.get("end", length))


def _fill(given: Mapping[str, Any], shape: Values) -> Values:
    if math.prod(shape.tolist()) > SMALL:
        raise ValueError("long")
    value = given.get("value")
    what = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    return np.full(shape, what[0], what.dtype)


def _slice(
    given: Mapping[str, Any],
    data: Values,
    starts: Values | None = None,
    ends: Values | None = None,
    axes: Values | None = None,
    steps: Values | None = None,
) -> Values:
    first = given["starts"] if starts is None else starts
    last = given["ends"] if ends is None else ends
    along = given.get("axes", range(len(first))) if axes is None else axes
    by = np.ones(len(first), np.int64) if steps is None else steps
    cut = [slice(None)] * data.ndim
    for begin, end, axis, step in zip(first, last, along, by, strict=True):
        # "To before the first" is the smallest number there is.
        is_past_start = step < 0 and end < -data.shape[axis]
        cut[int(axis)] = slice(int(begin), None if is_past_start else int(end), int(step))
    return data[tuple(cut)]


def _reshape(given: Mapping[str, Any], data: Values, shape: Values) -> Values:
    sides = [data.shape[i] if side == 0 else int(side) for i, side in enumerate(shape)]
    return data.reshape(sides)


def _axes(given: Mapping[str, Any], more: tuple[Values, ...]) -> tuple[int, ...]:
    return tuple(int(axis) for axis in (more[0] if more else given["axes"]))


def _squeeze(given: Mapping[str, Any], data: Values, *more: Values) -> Values:
    return np.squeeze(data, _axes(given, more) if more or "axes" in given else None)


def _divide(given: Mapping[str, Any], a: Values, b: Values) -> Values:
    if np.issubdtype(a.dtype, np.integer):
        return np.trunc(a / b).astype(a.dtype)
    return np.asarray(a / b)


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Add": lambda given, a, b: a + b,
    "Cast": lambda given, a: a.astype(_KINDS[given["to"]]),
    "Ceil": lambda given, a: np.ceil(a),
    "Concat": lambda given, *parts: np.concatenate(parts, given["axis"]),
    "ConstantOfShape": _fill,
    "Div": _divide,
    "Floor": lambda given, a: np.floor(a),
    "Gather": lambda given, a, i: np.take(a, i, given.get("axis", 0)),
    "Identity": lambda given, a: a,
    "Mod": lambda given, a, b: np.mod(a, b),
    "Mul": lambda given, a, b: a * b,
    "Neg": lambda given, a: -a,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": lambda given, a, b: a - b,
    "Transpose": lambda given, a: np.transpose(a, given.get("perm")),
    "Unsqueeze": lambda given, a, *more: np.expand_dims(a, _axes(given, more)),
}
