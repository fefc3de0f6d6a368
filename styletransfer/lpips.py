"""The network of LPIPS: AlexNet's features and the learned weights of their channels."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from styletransfer.convolution import FrozenConvolution
from styletransfer.errors import ShapeMismatch, WeightsMismatch
from styletransfer.lpips_layout import CONVOLUTIONS, LINS, POOLED
from styletransfer.metrics.perceptual import lpips_from_features

# AlexNet's strides shrink anything smaller to nothing.
SMALLEST_SIDE = 31

# LPIPS's own, of RGB in -1..1. Close to ImageNet's statistics, yet not the same numbers.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """Frozen LPIPS v0.1 on AlexNet; equal to the package ``lpips`` up to float32 rounding.

    Reference:
        Zhang et al. The Unreasonable Effectiveness of Deep Features as a Perceptual Metric.
        CVPR 2018. AlexNet as torchvision publishes it.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict(
            {
                name.partition(".")[2]: FrozenConvolution(
                    conv.inputs,
                    conv.outputs,
                    conv.kernel,
                    stride=conv.stride,
                    padding=conv.padding,
                )
                for name, conv in CONVOLUTIONS.items()
            }
        )
        for number, channels in enumerate(LINS.values()):
            self.register_buffer(f"lin{number}", torch.zeros(channels))
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights by their published names; AlexNet's classifier is left aside.

        Raises:
            WeightsMismatch: a weight is missing, misshapen, not finite or, where LPIPS has none,
                negative.
        """
        try:
            ours = {
                f"{name}.{part}": weights[f"{name}.{part}"]
                for name in CONVOLUTIONS
                for part in ("weight", "bias")
            }
            lins = {
                f"lin{number}": weights[name].reshape(channels)
                for number, (name, channels) in enumerate(LINS.items())
            }
            self.load_state_dict(ours | lins)
        except (KeyError, RuntimeError) as error:
            raise WeightsMismatch(f"not the weights of LPIPS: {error}") from error
        if not all(bool(value.isfinite().all()) for value in (ours | lins).values()):
            raise WeightsMismatch("the weights of LPIPS hold NaN or infinity")
        if any(bool((value < 0).any()) for value in lins.values()):
            raise WeightsMismatch("the weights of LPIPS's layers are not negative")

    @property
    def lins(self) -> list[Tensor]:
        """The weights of each layer's channels, ``(C_l,)``."""
        return [cast(Tensor, getattr(self, f"lin{number}")) for number in range(len(LINS))]

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.shift.device

    @torch.inference_mode()
    def take_features(self, images: Tensor) -> list[Tensor]:
        """Return the five layers' maps of RGB ``images`` ``(N, 3, H, W)`` in 0..1.

        Raises:
            ShapeMismatch: not such images, or smaller than ``SMALLEST_SIDE``.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeMismatch(f"expected (N, 3, H, W), got {tuple(images.shape)}")
        if min(images.shape[2:]) < SMALLEST_SIDE:
            raise ShapeMismatch(f"LPIPS needs images of at least {SMALLEST_SIDE} pixels a side")
        maps = 2 * images.contiguous(memory_format=torch.channels_last) - 1
        maps = (maps - self.shift) / self.scale
        taken = []
        for name in CONVOLUTIONS:
            if name in POOLED:
                maps = F.max_pool2d(maps, 3, stride=2)
            maps = cast(Tensor, self.get_submodule(name)(maps))
            taken.append(maps)
        return taken

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distance of each image of ``a`` to that of ``b``: ``(N,)`` float64."""
        return self.compare(self.take_features(a), self.take_features(b))

    def compare(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Return the distance between the features of images: ``(N,)`` float64."""
        return lpips_from_features(a, b, self.lins)
