"""What an architecture is made of, without torch.

The tables of keys and shapes let the header of a file be compared with them before a byte of
weights is read or a layer is built.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Shapes = dict[str, tuple[int, ...]]
Parameters = Mapping[str, int]

# A tensor of torch, which this package must not import.
Picture = Any


class Layers(Protocol):
    """What an architecture paints with: layers that find their weights by key, and plain ones.

    `styletransfer.generators.Network` is the one that there is.
    """

    parameters_given: Parameters

    def convolve(self, key: str, x: Picture, *, stride: int = 1, padding: int = 0) -> Picture: ...
    def deconvolve(
        self, key: str, x: Picture, *, stride: int = 2, padding: int = 1, output_padding: int = 0
    ) -> Picture: ...
    def instance_norm(self, x: Picture, key: str | None = None) -> Picture: ...
    def batch_norm(self, key: str, x: Picture) -> Picture: ...
    def reflect(self, x: Picture, border: int) -> Picture: ...
    def enlarge(self, x: Picture) -> Picture: ...
    def shrink(self, x: Picture) -> Picture: ...
    def relu(self, x: Picture) -> Picture: ...
    def leaky_relu(self, x: Picture) -> Picture: ...
    def tanh(self, x: Picture) -> Picture: ...
    def join(self, *parts: Picture) -> Picture: ...
    def moments(self, x: Picture) -> tuple[Picture, Picture]: ...


@dataclass(frozen=True)
class Parameter:
    """A whole number a participant may choose for an architecture."""

    default: int
    low: int
    high: int
    choices: tuple[int, ...] | None = None

    def allows(self, value: int) -> bool:
        """Tell whether the architecture can be built with this value."""
        if self.choices is not None:
            return value in self.choices
        return self.low <= value <= self.high

    def describe(self) -> str:
        """Name the values that are allowed."""
        if self.choices is not None:
            return " or ".join(str(choice) for choice in self.choices)
        return f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Architecture:
    """A generator the platform can build itself and fill with a participant's weights.

    Attributes:
        name: as manifests have it.
        title: as people know it, with its source.
        parameters: the whole numbers that may be chosen.
        list_shapes: key -> shape of every weight, in the order of the layers.
        paint: runs it on (N, 3, H, W) for each input, height and width multiples of the number
            that `find_multiple` gives.
        guess_parameters: finds the parameters by the shapes in a file of this architecture; may
            raise anything for another's.
        find_multiple: what height and width have to be multiples of.
        usual_range: the range of values that checkpoints in circulation take and return.
        inputs: how many pictures it takes: the content, then the style.
        unused: names of weights that files of this kind hold and the network never reads.
    """

    name: str
    title: str
    parameters: Mapping[str, Parameter]
    list_shapes: Callable[[Parameters], Shapes]
    paint: Callable[..., Picture]
    guess_parameters: Callable[[Shapes], dict[str, int]]
    find_multiple: Callable[[Parameters], int] = lambda _parameters: 4
    usual_range: str = "0..255"
    inputs: int = 1
    # Left in old checkpoints by instance normalisation, which never uses them.
    unused: re.Pattern[str] = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")

    def fill_in(self, parameters: Parameters) -> dict[str, int]:
        """Return all parameters of the architecture, defaults for those not given."""
        return {key: parameters.get(key, spec.default) for key, spec in self.parameters.items()}

    def expected_shapes(self, parameters: Parameters) -> Shapes:
        """Return key -> shape of the checkpoint for these parameters."""
        return self.list_shapes(self.fill_in(parameters))

    def count_weights(self, parameters: Parameters) -> int:
        """Count the numbers in such a checkpoint."""
        return count_elements(self.expected_shapes(parameters).values())

    def size_multiple(self, parameters: Parameters) -> int:
        """Return what height and width of its pictures are multiples of."""
        return self.find_multiple(self.fill_in(parameters))

    def recognise(self, shapes: Shapes) -> dict[str, int] | None:
        """Return the parameters by which a file of these shapes fits; None if there are none."""
        guessed = self.guess(shapes)
        if guessed is None:
            return None
        expected = self.expected_shapes(guessed)
        rest = shapes.keys() - expected.keys()
        is_whole = all(shapes.get(key) == shape for key, shape in expected.items())
        is_alone = all(self.unused.fullmatch(key) for key in rest)
        return guessed if is_whole and is_alone else None

    def guess(self, shapes: Shapes) -> dict[str, int] | None:
        """Return the parameters that a file's shapes speak for, whether or not all of it fits."""
        try:
            guessed = self.guess_parameters(shapes)
        except (LookupError, ValueError, TypeError):
            return None
        if any(not self.parameters[name].allows(value) for name, value in guessed.items()):
            return None
        return self.fill_in(guessed)


def count_elements(shapes: Iterable[tuple[int, ...]]) -> int:
    """Count the numbers in tensors of these shapes."""
    total = 0
    for shape in shapes:
        elements = 1
        for dimension in shape:
            elements *= dimension
        total += elements
    return total


def convolution(key: str, outputs: int, inputs: int, kernel: int, *, bias: bool = True) -> Shapes:
    """Return the weights of one convolution; of a transposed one, take the channels swapped."""
    shapes: Shapes = {f"{key}.weight": (outputs, inputs, kernel, kernel)}
    return shapes | {f"{key}.bias": (outputs,)} if bias else shapes


def norm(key: str, channels: int) -> Shapes:
    """Return the weights of one normalisation."""
    return {f"{key}.weight": (channels,), f"{key}.bias": (channels,)}
