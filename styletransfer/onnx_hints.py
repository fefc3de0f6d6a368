"""What an ONNX graph tells of the pictures it takes and returns, without running it; torch-free.

Only for graphs that `styletransfer.onnx_file.parse_onnx` has let through: constants are read,
and those of others may name files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Numbers = NDArray[np.float64]

# Keep a value what it is, wherever they move or repeat it.
_MOVES = frozenset(
    """
    Cast CastLike Clip DepthToSpace Expand Flatten Gather Identity Max Min Pad Relu Reshape Resize
    Round Slice Squeeze Transpose Unsqueeze Upsample
    """.split()  # noqa: SIM905 - a list literal is two dozen lines
)
_CONSTANT_MOVES = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_SCALES = frozenset({"Add", "Div", "Mul", "Neg", "Sub"})
_ASKS_FOR_SHAPE = frozenset({"Shape", "Size"})
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "Tanh": (-1, 1),
    "Softsign": (-1, 1),
    "Sigmoid": (0, 1),
    "HardSigmoid": (0, 1),
}
_STRIDED = frozenset({"AveragePool", "Conv", "MaxPool"})
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
# Chains of operators longer than this scale no picture.
_FAR_ENOUGH = 64
# A picture has no more numbers of its own than one for each channel.
_CHANNELS = 3


@dataclass(frozen=True)
class Scaling:
    """``factor * x + shift``, for all channels or each: what is done to a picture."""

    factor: Numbers
    shift: Numbers

    @property
    def is_plain(self) -> bool:
        """Tell whether it changes nothing."""
        return bool((self.factor == 1).all() and (self.shift == 0).all())

    def image_of(self, low: float, high: float) -> tuple[Numbers, Numbers]:
        """Return where the ends of an interval come to lie, for each channel."""
        ends = self.factor * low + self.shift, self.factor * high + self.shift
        return np.minimum(*ends), np.maximum(*ends)


@dataclass(frozen=True)
class Ending:
    """What a graph ends with, seen from its output.

    Attributes:
        scaling: done last.
        bounds: of the output, where its last layer has them; with the scaling.
        weight_norm: the mean length of a filter of the last convolution, without the scaling.
    """

    scaling: Scaling
    bounds: tuple[float, float] | None
    weight_norm: float | None


class Graph:
    """A parsed graph, indexed by the names of its values."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._nodes = list(graph.node)
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._makers: dict[str, onnx.NodeProto] = {}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in self._nodes:
            self._makers |= dict.fromkeys(node.output, node)
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def beginning(self, name: str) -> Scaling:
        """Return what is done to an input before any layer sees it."""
        factor, shift = np.ones(1), np.zeros(1)
        for _ in range(_FAR_ENOUGH):
            users = [n for n in self._users.get(name, []) if n.op_type not in _ASKS_FOR_SHAPE]
            if not users or users[0].op_type not in _SCALES | _MOVES or not users[0].output:
                break
            node = users[0]
            if node.op_type in _SCALES:
                step = self._scaling_of(node, name)
                if step is None:
                    break
                factor, shift = factor * step.factor, shift * step.factor + step.shift
            elif node.input[0] != name:
                break
            name = node.output[0]
        return Scaling(factor, shift)

    def ending(self, name: str) -> Ending:
        """Return what an output was made by."""
        factor, shift = np.ones(1), np.zeros(1)
        bounds, norm = None, None
        for _ in range(_FAR_ENOUGH):
            node = self._makers.get(name)
            if node is None:
                break
            bounds = self._bounds_of(node)
            if bounds is not None or node.op_type not in _SCALES | _MOVES:
                norm = self._weight_norm(node)
                break
            if node.op_type in _SCALES:
                name, step = self._undo(node)
                if step is None:
                    break
                factor, shift = factor * step.factor, shift + factor * step.shift
            else:
                name = node.input[0] if node.input else ""
        scaling = Scaling(factor, shift)
        if bounds is not None:
            low, high = scaling.image_of(*bounds)
            bounds = float(low.min()), float(high.max())
        return Ending(scaling, bounds, norm)

    def find_multiple(self) -> int:
        """Return how often the graph divides its pictures' sides before it enlarges them."""
        scales: dict[str, float] = {}
        largest = 1.0
        for node in self._nodes:
            scale = max((scales.get(name, 1.0) for name in node.input), default=1.0)
            scale = max(1.0, scale * self._shrinking(node))
            largest = max(largest, scale)
            scales |= dict.fromkeys(node.output, scale)
        return int(min(np.ceil(largest), 2**31))

    def _scaling_of(self, node: onnx.NodeProto, name: str) -> Scaling | None:
        """Return what a node does to one of its inputs, if the other is a constant."""
        if node.op_type == "Neg":
            return Scaling(np.array([-1.0]), np.zeros(1))
        if len(node.input) != 2:
            return None
        is_first = node.input[0] == name
        other = self._constant(node.input[1 if is_first else 0])
        if other is None:
            return None
        one, none = np.ones(1), np.zeros(1)
        if node.op_type == "Add":
            return Scaling(one, other)
        if node.op_type == "Sub":
            return Scaling(one, -other) if is_first else Scaling(-one, other)
        if node.op_type == "Mul":
            return Scaling(other, none)
        if is_first and (other != 0).all():
            return Scaling(1 / other, none)
        return None

    def _undo(self, node: onnx.NodeProto) -> tuple[str, Scaling | None]:
        for name in node.input:
            if self._constant(name) is None:
                return name, self._scaling_of(node, name)
        return "", None

    def _bounds_of(self, node: onnx.NodeProto) -> tuple[float, float] | None:
        if node.op_type != "Clip":
            return _BOUNDS.get(node.op_type)
        given = {a.name: a.f for a in node.attribute if a.name in ("min", "max")}
        for place, which in ((1, "min"), (2, "max")):
            value = self._constant(node.input[place]) if len(node.input) > place else None
            if value is not None:
                given[which] = float(value[0])
        low, high = given.get("min"), given.get("max")
        return None if low is None or high is None or not low < high else (low, high)

    def _constant(self, name: str) -> Numbers | None:
        """Return one finite number, or one for each channel."""
        for _ in range(_FAR_ENOUGH):
            if name in self._weights:
                return _numbers_in(self._weights[name])
            node = self._makers.get(name)
            if node is None:
                return None
            if node.op_type == "Constant":
                return next(_values_of(node), None)
            if node.op_type not in _CONSTANT_MOVES or not node.input:
                return None
            name = node.input[0]
        return None

    def _weight_norm(self, node: onnx.NodeProto) -> float | None:
        tensor = self._weights.get(node.input[1]) if len(node.input) > 1 else None
        if node.op_type not in _CONVOLUTIONS or tensor is None or len(tensor.dims) != 4:
            return None
        weights = np.asarray(numpy_helper.to_array(tensor), dtype=np.float64)
        outputs = tensor.dims[0 if node.op_type == "Conv" else 1]
        return float(np.sqrt((weights**2).sum() / outputs)) if outputs else None

    def _shrinking(self, node: onnx.NodeProto) -> float:
        """Return by how much the sides of what comes out are smaller."""
        numbers = {a.name: list(a.ints) or [a.i] for a in node.attribute}
        stride = float(max(1, *numbers.get("strides", [1]), 1))
        block = float(max(1, numbers.get("blocksize", [1])[0]))
        if node.op_type in _STRIDED:
            return stride
        if node.op_type == "ConvTranspose":
            return 1 / stride
        if node.op_type in ("SpaceToDepth", "DepthToSpace"):
            return block if node.op_type == "SpaceToDepth" else 1 / block
        return self._resizing(node) if node.op_type in ("Resize", "Upsample") else 1.0

    def _resizing(self, node: onnx.NodeProto) -> float:
        scales = [list(a.floats) for a in node.attribute if a.name == "scales"]
        for name in node.input[1:]:
            scales += [list(found) for found in self._four_numbers(name)]
        wanted = [scale[-1] for scale in scales if len(scale) == 4 and scale[-1] > 0]
        # To a size that is only known when it runs: in nearly all networks, twice as large.
        return 1 / float(wanted[0]) if wanted else 0.5

    def _four_numbers(self, name: str) -> Iterator[Numbers]:
        node = self._makers.get(name)
        if name in self._weights:
            tensors = [self._weights[name]]
        elif node is not None and node.op_type == "Constant":
            tensors = [a.t for a in node.attribute if a.HasField("t")]
        else:
            return
        for tensor in tensors:
            if tensor.data_type == onnx.TensorProto.FLOAT and list(tensor.dims) == [4]:
                yield np.asarray(numpy_helper.to_array(tensor), dtype=np.float64)


def _numbers_in(tensor: onnx.TensorProto) -> Numbers | None:
    elements = 1
    for side in tensor.dims:
        elements *= side
    if elements not in (1, _CHANNELS) or list(tensor.dims[-2:]) == [1, _CHANNELS]:
        return None
    values = np.asarray(numpy_helper.to_array(tensor), dtype=np.float64).ravel()
    return values if np.isfinite(values).all() else None


def _values_of(node: onnx.NodeProto) -> Iterator[Numbers]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            found = _numbers_in(attribute.t)
            if found is not None:
                yield found
        elif attribute.name == "value_float" and np.isfinite(attribute.f):
            yield np.array([attribute.f], dtype=np.float64)
        elif attribute.name == "value_int":
            yield np.array([attribute.i], dtype=np.float64)
