"""The networks the platform can build itself: any architecture, with weights or untrained."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from styletransfer.architectures import ARCHITECTURES
from styletransfer.architectures.description import Architecture

# Both normalisations, as torch and all public checkpoints have it.
NORM_EPSILON = 1e-5
_BUFFERS = ("running_mean", "running_var")


def build(architecture: str, parameters: Mapping[str, int]) -> "Network":
    """Build one of `ARCHITECTURES` with untrained weights; parameters left out have defaults."""
    if architecture not in ARCHITECTURES:
        raise ValueError(f"no such architecture: {architecture}")
    return Network(ARCHITECTURES[architecture], parameters)


class Network(nn.Module):
    """The weights of an architecture under their public names, and the layers that use them.

    Maps (N, 3, H, W) for each input to (N, 3, H, W), sides multiples of the architecture's number.
    """

    def __init__(self, architecture: Architecture, parameters: Mapping[str, int]) -> None:
        super().__init__()
        self.architecture = architecture
        self.parameters_given = architecture.fill_in(parameters)
        shapes = architecture.list_shapes(self.parameters_given)
        for key, shape in shapes.items():
            self._add(key, shape, shapes.get(f"{key.rpartition('.')[0]}.weight", shape))

    def forward(self, *images: Tensor) -> Tensor:
        painted: Tensor = self.architecture.paint(self, *images)
        return painted

    def _add(self, key: str, shape: tuple[int, ...], shape_of_weight: tuple[int, ...]) -> None:
        *path, name = key.split(".")
        holder: nn.Module = self
        for part in path:
            if part not in dict(holder.named_children()):
                holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        if name in _BUFFERS:
            holder.register_buffer(name, torch.full(shape, float(name == "running_var")))
            return
        weight = nn.Parameter(torch.empty(shape))
        if len(shape_of_weight) == 1:  # of a normalisation
            nn.init.constant_(weight, float(name == "weight"))
        else:  # as torch begins with its own convolutions
            bound = 1 / math.sqrt(math.prod(shape_of_weight[1:]))
            nn.init.uniform_(weight, -bound, bound)
        holder.register_parameter(name, weight)

    def _find(self, key: str) -> Tensor | None:
        path, _, name = key.rpartition(".")
        return getattr(self.get_submodule(path), name, None)

    def convolve(self, key: str, x: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self.get_parameter(f"{key}.weight"), self._find(f"{key}.bias")
        return functional.conv2d(x, weight, bias, stride, padding)

    def deconvolve(
        self, key: str, x: Tensor, *, stride: int = 2, padding: int = 1, output_padding: int = 0
    ) -> Tensor:
        weight, bias = self.get_parameter(f"{key}.weight"), self._find(f"{key}.bias")
        return functional.conv_transpose2d(x, weight, bias, stride, padding, output_padding)

    def instance_norm(self, x: Tensor, key: str | None = None) -> Tensor:
        weight = bias = None
        if key is not None:
            weight, bias = self.get_parameter(f"{key}.weight"), self.get_parameter(f"{key}.bias")
        return functional.instance_norm(x, weight=weight, bias=bias, eps=NORM_EPSILON)

    def batch_norm(self, key: str, x: Tensor) -> Tensor:
        mean, variance = (self.get_buffer(f"{key}.{name}") for name in _BUFFERS)
        weight, bias = self.get_parameter(f"{key}.weight"), self.get_parameter(f"{key}.bias")
        return functional.batch_norm(
            x, mean, variance, weight, bias, self.training, eps=NORM_EPSILON
        )

    def reflect(self, x: Tensor, border: int) -> Tensor:
        return functional.pad(x, (border,) * 4, mode="reflect")

    def enlarge(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2.0, mode="nearest")

    def shrink(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(x, 2, ceil_mode=True)

    def relu(self, x: Tensor) -> Tensor:
        return functional.relu(x)

    def leaky_relu(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x, 0.2)

    def tanh(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def join(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=1)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of every channel, (N, C, 1, 1)."""
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True)
        return mean, (variance + NORM_EPSILON).sqrt()
