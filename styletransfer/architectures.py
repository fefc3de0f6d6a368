"""The generator architectures a manifest may name: bounds, sizes and key names, without torch.

The tables of keys and shapes live here rather than with the networks, so that the header of a
safetensors file can be compared with them before a byte of weights is read or a layer is built.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Shapes = dict[str, tuple[int, ...]]

# Left in old checkpoints by normalisation layers that never use them.
STRAY_SUFFIXES = (".running_mean", ".running_var", ".num_batches_tracked")


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
    """A generator the platform can build itself and fill with a participant's weights."""

    name: str
    title: str
    parameters: Mapping[str, Parameter]
    list_shapes: Callable[[Mapping[str, int]], Shapes]
    size_multiple: int = 4
    inputs: int = 1

    def fill_in(self, parameters: Mapping[str, int]) -> dict[str, int]:
        """Return all parameters of the architecture, defaults for those not given."""
        return {key: parameters.get(key, spec.default) for key, spec in self.parameters.items()}

    def expected_shapes(self, parameters: Mapping[str, int]) -> Shapes:
        """Return key -> shape of the checkpoint for these parameters."""
        return self.list_shapes(self.fill_in(parameters))

    def count_weights(self, parameters: Mapping[str, int]) -> int:
        """Count the numbers in such a checkpoint."""
        return count_elements(self.expected_shapes(parameters).values())


def count_elements(shapes: Iterable[tuple[int, ...]]) -> int:
    """Count the numbers in tensors of these shapes."""
    total = 0
    for shape in shapes:
        elements = 1
        for dimension in shape:
            elements *= dimension
        total += elements
    return total


def is_stray(key: str) -> bool:
    """Tell whether a key is a running statistic that instance normalisation never reads."""
    return key.endswith(STRAY_SUFFIXES)


def _convolution(key: str, outputs: int, inputs: int, kernel: int) -> Shapes:
    return {f"{key}.weight": (outputs, inputs, kernel, kernel), f"{key}.bias": (outputs,)}


def _norm(key: str, channels: int) -> Shapes:
    return {f"{key}.weight": (channels,), f"{key}.bias": (channels,)}


def _transformer_net_shapes(parameters: Mapping[str, int]) -> Shapes:
    width = parameters["width"]
    wide, wider = 2 * width, 4 * width
    shapes: Shapes = {}
    for number, (outputs, inputs, kernel) in enumerate(
        [(width, 3, 9), (wide, width, 3), (wider, wide, 3)], start=1
    ):
        shapes |= _convolution(f"conv{number}.conv2d", outputs, inputs, kernel)
        shapes |= _norm(f"in{number}", outputs)
    for number in range(1, 6):
        for layer in (1, 2):
            shapes |= _convolution(f"res{number}.conv{layer}.conv2d", wider, wider, 3)
            shapes |= _norm(f"res{number}.in{layer}", wider)
    shapes |= _convolution("deconv1.conv2d", wide, wider, 3) | _norm("in4", wide)
    shapes |= _convolution("deconv2.conv2d", width, wide, 3) | _norm("in5", width)
    return shapes | _convolution("deconv3.conv2d", 3, width, 9)


def _resnet_generator_shapes(parameters: Mapping[str, int]) -> Shapes:
    width, blocks = parameters["width"], parameters["blocks"]
    wide, wider = 2 * width, 4 * width
    # The numbers are positions in one nn.Sequential: padding, normalisation and activations
    # (which hold no weights) take positions too.
    shapes = _convolution("model.1", width, 3, 7)
    shapes |= _convolution("model.4", wide, width, 3) | _convolution("model.7", wider, wide, 3)
    for block in range(10, 10 + blocks):
        shapes |= _convolution(f"model.{block}.conv_block.1", wider, wider, 3)
        shapes |= _convolution(f"model.{block}.conv_block.5", wider, wider, 3)
    up = 10 + blocks
    # A transposed convolution stores (inputs, outputs, height, width).
    shapes |= {f"model.{up}.weight": (wider, wide, 3, 3), f"model.{up}.bias": (wide,)}
    shapes |= {f"model.{up + 3}.weight": (wide, width, 3, 3), f"model.{up + 3}.bias": (width,)}
    return shapes | _convolution(f"model.{up + 7}", 3, width, 7)


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="transformer_net",
            title="TransformerNet (fast neural style, Johnson et al. 2016)",
            parameters={"width": Parameter(default=32, low=1, high=128)},
            list_shapes=_transformer_net_shapes,
        ),
        Architecture(
            name="resnet_generator",
            title="ResNet generator (CycleGAN, Zhu et al. 2017)",
            parameters={
                "blocks": Parameter(default=9, low=6, high=9, choices=(6, 9)),
                "width": Parameter(default=64, low=1, high=128),
            },
            list_shapes=_resnet_generator_shapes,
        ),
    )
}
