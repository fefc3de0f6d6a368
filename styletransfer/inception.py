"""The Inception network of the FID: pytorch-fid's own, prepared for speed; its pool3 features."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from styletransfer.convolution import FrozenConvolution
from styletransfer.errors import ShapeMismatch, WeightsMismatch
from styletransfer.images import resize_bicubic
from styletransfer.torchvision_compat import import_torchvision
from styletransfer.values import Image
from styletransfer.vgg import to_batch

FEATURES = 2048
_SIDE = 299
_CLASSES = 1008


class _Uninitialised(TorchFunctionMode):
    """Spares drawing random weights that others replace at once."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return func(*args, **given)


class FidInception(nn.Module):
    """Frozen FID Inception; equal to pytorch-fid's up to float32 rounding.

    Batch normalisation is folded into the convolutions, which run channels last.

    Reference:
        Heusel et al. GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium. NeurIPS 2017. Conventions of pytorch-fid 0.3.0.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights by their published names.

        Raises:
            WeightsMismatch: a weight is missing, misshapen or not finite.
        """
        super().__init__()
        try:
            self.blocks = _make_blocks(weights)
        except RuntimeError as error:
            raise WeightsMismatch(f"not the weights of the FID Inception: {error}") from error
        with _Uninitialised():
            _fold_all(self.blocks)
        if not all(bool(value.isfinite().all()) for value in self.parameters()):
            raise WeightsMismatch("the weights of the FID Inception hold NaN or infinity")
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

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

    def features(self, images: Sequence[Image]) -> Tensor:
        """Return ``(N, 2048)`` features of 8-bit images, taken one at a time."""
        return torch.cat([self(to_batch([image], self.device)) for image in images])

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def _run(self, maps: Tensor) -> Tensor:
        maps = maps.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            maps = block(maps)
        return maps.flatten(1)


def _make_blocks(weights: Mapping[str, Tensor]) -> nn.ModuleList:
    """Build pytorch-fid's network with weights that were checked, instead of its own download."""
    import_torchvision()
    from pytorch_fid import inception

    # Its classifier takes no part in features, and not every file holds one.
    unused = {"fc.weight": torch.zeros(_CLASSES, FEATURES), "fc.bias": torch.zeros(_CLASSES)}
    given = unused | dict(weights)
    download = inception.load_state_dict_from_url
    inception.load_state_dict_from_url = lambda *_, **__: given
    try:
        with _Uninitialised():
            network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[FEATURES]])
    finally:
        inception.load_state_dict_from_url = download
    blocks: nn.ModuleList = network.blocks
    return blocks


def _fold_all(module: nn.Module) -> None:
    """Replace each convolution with its batch normalisation and ReLU by a single step."""
    for name, child in module.named_children():
        if type(child).__name__ == "BasicConv2d":
            setattr(module, name, _fold(child.conv, child.bn))
        else:
            _fold_all(child)


def _fold(conv: Any, bn: Any) -> FrozenConvolution:
    folded = FrozenConvolution(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride[0],
        padding=conv.padding,
    )
    # In float64, so that folding costs one rounding of each weight and no more.
    scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    bias = bn.bias.double() - bn.running_mean.double() * scale
    kernel = conv.weight.double() * scale.view(-1, 1, 1, 1)
    folded.load_state_dict({"weight": kernel.float(), "bias": bias.float()})
    return folded
