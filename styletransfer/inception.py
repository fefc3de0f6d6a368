"""The Inception network of the FID, as pytorch-fid runs it: its pool3 features."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from styletransfer.convolution import FrozenConvolution
from styletransfer.errors import ShapeMismatch, WeightsMismatch
from styletransfer.images import resize_bicubic
from styletransfer.inception_layout import BLOCKS, CONVOLUTIONS, STEM, Conv
from styletransfer.values import Image
from styletransfer.vgg import to_batch

FEATURES = 2048
_SIDE = 299
_BN_EPSILON = 1e-3


def _convolution(spec: Conv) -> FrozenConvolution:
    """Make a convolution that takes batch normalisation folded in."""
    return FrozenConvolution(
        spec.inputs, spec.outputs, spec.kernel, stride=spec.stride, padding=spec.padding
    )


class _Block(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        for branch, spec in BLOCKS[name].items():
            self.add_module(branch, _convolution(spec))

    def chain(self, maps: Tensor, *branches: str) -> Tensor:
        for branch in branches:
            maps = cast(Tensor, self.get_submodule(branch)(maps))
        return maps


class _BlockA(_Block):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat(
            [
                self.chain(maps, "branch1x1"),
                self.chain(maps, "branch5x5_1", "branch5x5_2"),
                self.chain(maps, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
                self.chain(_average(maps), "branch_pool"),
            ],
            dim=1,
        )


class _BlockB(_Block):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat(
            [
                self.chain(maps, "branch3x3"),
                self.chain(maps, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
                F.max_pool2d(maps, 3, stride=2),
            ],
            dim=1,
        )


class _BlockC(_Block):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat(
            [
                self.chain(maps, "branch1x1"),
                self.chain(maps, *(f"branch7x7_{step}" for step in (1, 2, 3))),
                self.chain(maps, *(f"branch7x7dbl_{step}" for step in (1, 2, 3, 4, 5))),
                self.chain(_average(maps), "branch_pool"),
            ],
            dim=1,
        )


class _BlockD(_Block):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat(
            [
                self.chain(maps, "branch3x3_1", "branch3x3_2"),
                self.chain(maps, *(f"branch7x7x3_{step}" for step in (1, 2, 3, 4))),
                F.max_pool2d(maps, 3, stride=2),
            ],
            dim=1,
        )


class _BlockE(_Block):
    def __init__(self, name: str, *, pools_maximum: bool) -> None:
        super().__init__(name)
        self.pools_maximum = pools_maximum

    def forward(self, maps: Tensor) -> Tensor:
        short = self.chain(maps, "branch3x3_1")
        long = self.chain(maps, "branch3x3dbl_1", "branch3x3dbl_2")
        # The published network pools by maximum in its last block; kept, for comparable numbers.
        pooled = (
            F.max_pool2d(maps, 3, stride=1, padding=1) if self.pools_maximum else _average(maps)
        )
        return torch.cat(
            [
                self.chain(maps, "branch1x1"),
                self.chain(short, "branch3x3_2a"),
                self.chain(short, "branch3x3_2b"),
                self.chain(long, "branch3x3dbl_3a"),
                self.chain(long, "branch3x3dbl_3b"),
                self.chain(pooled, "branch_pool"),
            ],
            dim=1,
        )


def _average(maps: Tensor) -> Tensor:
    # As in TensorFlow, the padding does not count.
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


class FidInception(nn.Module):
    """Frozen FID Inception; equal to pytorch-fid's up to float32 rounding.

    Reference:
        Heusel et al. GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium. NeurIPS 2017. Conventions of pytorch-fid 0.3.0.
    """

    def __init__(self) -> None:
        super().__init__()
        for name, spec in STEM.items():
            self.add_module(name, _convolution(spec))
        for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            self.add_module(name, _BlockA(name))
        self.add_module("Mixed_6a", _BlockB("Mixed_6a"))
        for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            self.add_module(name, _BlockC(name))
        self.add_module("Mixed_7a", _BlockD("Mixed_7a"))
        self.add_module("Mixed_7b", _BlockE("Mixed_7b", pools_maximum=False))
        self.add_module("Mixed_7c", _BlockE("Mixed_7c", pools_maximum=True))
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights by their published names, folding batch normalisation in.

        Raises:
            WeightsMismatch: a weight is missing, misshapen or not finite.
        """
        folded: dict[str, Tensor] = {}
        try:
            for name in CONVOLUTIONS:
                folded[f"{name}.weight"], folded[f"{name}.bias"] = _fold(weights, name)
            self.load_state_dict(folded)
        except (KeyError, RuntimeError) as error:
            raise WeightsMismatch(f"not the weights of the FID Inception: {error}") from error
        if not all(bool(value.isfinite().all()) for value in folded.values()):
            raise WeightsMismatch("the weights of the FID Inception hold NaN or infinity")

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Return pool3 features of RGB ``images`` in 0..1: ``(N, 3, H, W)`` -> ``(N, 2048)``."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeMismatch(f"expected (N, 3, H, W), got {tuple(images.shape)}")
        maps = F.interpolate(images, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)
        return self._run(2 * maps - 1)

    @torch.inference_mode()
    def clean_features(self, images: Sequence[Image]) -> Tensor:
        """Return the ``(N, 2048)`` pool3 features of 8-bit images as clean-fid prepares them.

        Resized by Pillow, antialiased and not rounded, then ``(x - 128) / 128``.
        """
        resized = np.stack([resize_bicubic(image, side=_SIDE) for image in images])
        pixels = torch.from_numpy(resized).permute(0, 3, 1, 2).to(self.device)
        return self._run((pixels - 128) / 128)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def _run(self, maps: Tensor) -> Tensor:
        maps = maps.contiguous(memory_format=torch.channels_last)
        for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"):
            maps = self.get_submodule(name)(maps)
        maps = F.max_pool2d(maps, 3, stride=2)
        for name in ("Conv2d_3b_1x1", "Conv2d_4a_3x3"):
            maps = self.get_submodule(name)(maps)
        maps = F.max_pool2d(maps, 3, stride=2)
        for name in BLOCKS:
            maps = self.get_submodule(name)(maps)
        return maps.mean(dim=(2, 3))

    def features(self, images: Sequence[Image]) -> Tensor:
        """Return ``(1, 2048)`` features per 8-bit image, one at a time, stacked.

        One at a time: the features of an image then never depend on its neighbours.
        """
        return torch.cat([self(to_batch([image], self.device)) for image in images])


def _fold(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    statistics = {
        key: weights[f"{name}.bn.{key}"].double()
        for key in ("weight", "bias", "running_mean", "running_var")
    }
    # In float64, so that folding costs one rounding of each weight and no more.
    scale = statistics["weight"] / (statistics["running_var"] + _BN_EPSILON).sqrt()
    kernel = weights[f"{name}.conv.weight"].double() * scale.view(-1, 1, 1, 1)
    bias = statistics["bias"] - statistics["running_mean"] * scale
    return kernel.float(), bias.float()
