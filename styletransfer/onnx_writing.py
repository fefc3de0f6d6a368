"""Write an architecture of ours as an ONNX graph, operator by operator; torch-free.

An architecture paints with layers that are handed to it. Handed these, it writes itself down: no
exporter has to guess from a run what the network does, sides stay free, and only operators that
the platform takes are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from styletransfer.architectures import Architecture
from styletransfer.architectures.description import Parameters

# Old enough for every runtime of the last years.
OPSET = 17
IR_VERSION = 8
OUTPUT = "output"
_EPSILON = 1e-5

Weights = Mapping[str, NDArray[np.float32]]
Size = tuple[int | None, int | None]


def write_onnx(
    architecture: Architecture,
    parameters: Parameters,
    weights: Weights,
    *,
    names: tuple[str, ...],
    size: Size = (None, None),
) -> bytes:
    """Return the bytes of an ONNX file.

    Args:
        architecture: what paints.
        parameters: its whole numbers.
        weights: all of its weights, by their keys.
        names: of the inputs, the content's first.
        size: (height, width) that the graph is fixed to; None for sides of any length.
    """
    writer = _Writer(architecture.fill_in(parameters), weights)
    inputs = [_Value(writer, name, 3) for name in names]
    painted = architecture.paint(writer, *inputs)
    writer.nodes[-1].output[0] = OUTPUT
    assert painted.name == writer.last  # noqa: S101 - whatever was written last is the picture
    sides = ["height" if size[0] is None else size[0], "width" if size[1] is None else size[1]]
    graph = helper.make_graph(
        writer.nodes,
        architecture.name,
        [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, [1, 3, *(_side(name, side) for side in sides)]
            )
            for name in names
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 3, *sides])],
        initializer=[numpy_helper.from_array(array, key) for key, array in writer.kept.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="stylearena",
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _side(name: str, side: int | str) -> int | str:
    # A style picture may be of another size than the content.
    return side if isinstance(side, int) or name != "style" else f"{name}_{side}"


@dataclass(frozen=True)
class _Value:
    """A tensor in the graph; arithmetic on it becomes nodes."""

    writer: "_Writer"
    name: str
    channels: int

    def __add__(self, other: "_Value") -> "_Value":
        return self._with("Add", other)

    def __sub__(self, other: "_Value") -> "_Value":
        return self._with("Sub", other)

    def __mul__(self, other: "_Value") -> "_Value":
        return self._with("Mul", other)

    def __truediv__(self, other: "_Value") -> "_Value":
        return self._with("Div", other)

    def _with(self, operator: str, other: "_Value") -> "_Value":
        return self.writer.add(operator, self, other.name)


class _Writer:
    """`styletransfer.architectures.description.Layers` that write nodes."""

    def __init__(self, parameters: Parameters, weights: Weights) -> None:
        self.parameters_given = parameters
        self.nodes: list[onnx.NodeProto] = []
        self.kept: dict[str, NDArray[Any]] = {}
        self.last = ""
        self._weights = weights

    def add(
        self, operator: str, x: _Value, *others: str, channels: int | None = None, **attributes: Any
    ) -> _Value:
        """Write a node that takes ``x`` and others, and return what comes out."""
        self.last = f"{operator}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, [x.name, *others], [self.last], self.last, **attributes)
        )
        return _Value(self, self.last, x.channels if channels is None else channels)

    def convolve(self, key: str, x: _Value, *, stride: int = 1, padding: int = 0) -> _Value:
        shape = self._shape(key)
        return self.add(
            "Conv",
            x,
            *self._filters(key),
            channels=shape[0],
            kernel_shape=shape[2:],
            strides=[stride] * 2,
            pads=[padding] * 4,
        )

    def deconvolve(
        self, key: str, x: _Value, *, stride: int = 2, padding: int = 1, output_padding: int = 0
    ) -> _Value:
        shape = self._shape(key)
        return self.add(
            "ConvTranspose",
            x,
            *self._filters(key),
            channels=shape[1],
            kernel_shape=shape[2:],
            strides=[stride] * 2,
            pads=[padding] * 4,
            output_padding=[output_padding] * 2,
        )

    def instance_norm(self, x: _Value, key: str | None = None) -> _Value:
        if key is not None:
            scale, shift = self._weight(f"{key}.weight"), self._weight(f"{key}.bias")
        else:
            scale = self._constant(f"ones_{x.channels}", np.ones(x.channels, np.float32))
            shift = self._constant(f"zeros_{x.channels}", np.zeros(x.channels, np.float32))
        return self.add("InstanceNormalization", x, scale, shift, epsilon=_EPSILON)

    def batch_norm(self, key: str, x: _Value) -> _Value:
        names = ("weight", "bias", "running_mean", "running_var")
        found = [self._weight(f"{key}.{name}") for name in names]
        return self.add("BatchNormalization", x, *found, epsilon=_EPSILON)

    def reflect(self, x: _Value, border: int) -> _Value:
        pads = np.array([0, 0, border, border] * 2, np.int64)
        return self.add("Pad", x, self._constant(f"border_{border}", pads), mode="reflect")

    def enlarge(self, x: _Value) -> _Value:
        scales = self._constant("twice", np.array([1, 1, 2, 2], np.float32))
        return self.add(
            "Resize",
            x,
            "",
            scales,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def shrink(self, x: _Value) -> _Value:
        return self.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)

    def relu(self, x: _Value) -> _Value:
        return self.add("Relu", x)

    def leaky_relu(self, x: _Value) -> _Value:
        return self.add("LeakyRelu", x, alpha=0.2)

    def tanh(self, x: _Value) -> _Value:
        return self.add("Tanh", x)

    def join(self, *parts: _Value) -> _Value:
        first, *others = parts
        channels = sum(part.channels for part in parts)
        return self.add("Concat", first, *(part.name for part in others), channels=channels, axis=1)

    def moments(self, x: _Value) -> tuple[_Value, _Value]:
        """Return mean and deviation of every channel; of n positions, over n - 1."""
        mean = self.add("ReduceMean", x, axes=[2, 3], keepdims=1)
        away = x - mean
        squares = self.add("ReduceSumSquare", away, axes=[2, 3], keepdims=1)
        sides = self.add("Shape", x, start=2)
        positions = self.add("ReduceProd", self.add("Cast", sides, to=TensorProto.FLOAT))
        one = self._constant("one", np.array(1, np.float32))
        variance = squares / self.add("Sub", positions, one)
        epsilon = self._constant("epsilon", np.array(_EPSILON, np.float32))
        return mean, self.add("Sqrt", self.add("Add", variance, epsilon))

    def _filters(self, key: str) -> list[str]:
        bias = f"{key}.bias"
        return [self._weight(f"{key}.weight"), *([self._weight(bias)] if self._has(bias) else [])]

    def _has(self, key: str) -> bool:
        return key in self._weights

    def _shape(self, key: str) -> tuple[int, ...]:
        return self._weights[f"{key}.weight"].shape

    def _weight(self, key: str) -> str:
        return self._constant(key, self._weights[key])

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.kept[name] = value
        return name
