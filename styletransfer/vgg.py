"""VGG-19 features, truncated at the deepest layer that is needed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from styletransfer.devices import CPU
from styletransfer.errors import MetricInputError, ShapeMismatch, WeightsMismatch
from styletransfer.recipe import VGG19_LAYERS
from styletransfer.values import Image

# ImageNet's mean and standard deviation, which the published weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_WIDTHS = (64, 128, 256, 512, 512)


def to_batch(images: Sequence[Image], device: torch.device = CPU) -> Tensor:
    """Turn equally sized 8-bit RGB images into floats ``(N, 3, H, W)`` in 0..1, channels last."""
    if not images or any(image.shape != images[0].shape for image in images):
        raise ShapeMismatch("expected at least one image, all of one size")
    if any(image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 for image in images):
        raise ShapeMismatch("expected 8-bit RGB images of shape (H, W, 3)")
    # Stacking keeps the arrays' own layout, which must not decide about the last bits of a score.
    pixels = torch.from_numpy(np.ascontiguousarray(np.stack(images)))
    if device.type != "cpu":
        # Bytes travel, not floats; from pinned memory they do while the device still computes.
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    # The permuted view is channels_last already: no copy is made here or later.
    return pixels.permute(0, 3, 1, 2).float().div_(255)


class Vgg19(nn.Module):
    """Frozen VGG-19 with max pooling; features are taken after ReLU.

    Reference:
        Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image Recognition.
        ICLR 2015. Weights in torchvision's form (RGB in 0..1, ImageNet mean and deviation).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, deepest: str = "relu5_1") -> None:
        super().__init__()
        self.layers = VGG19_LAYERS[: _depth(deepest) + 1]
        self.stack = nn.Sequential()  # the published weights' `features`, with the same numbers
        self._ends: dict[int, str] = {}
        width = 3
        for name in self.layers:
            block, index = int(name[4]), int(name[6])
            if index == 1 and block > 1:
                self.stack.append(nn.MaxPool2d(2, 2))
            self.stack.append(nn.Conv2d(width, _WIDTHS[block - 1], 3, padding=1))
            self.stack.append(nn.ReLU(inplace=True))
            self._ends[len(self.stack) - 1] = name
            width = _WIDTHS[block - 1]
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights by their published names; those of deeper layers are left aside.

        Raises:
            WeightsMismatch: a weight is missing, misshapen or not finite.
        """
        try:
            ours = {key: weights[key.replace("stack", "features", 1)] for key in self.state_dict()}
            self.load_state_dict(ours)
        except (KeyError, RuntimeError) as error:
            raise WeightsMismatch(f"not the weights of VGG-19: {error}") from error
        if not all(bool(value.isfinite().all()) for value in ours.values()):
            raise WeightsMismatch("the weights of VGG-19 hold NaN or infinity")

    def features(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the maps of ``layers`` for RGB ``images`` ``(N, 3, H, W)`` in 0..1.

        Gradients flow to the images; the weights are frozen.
        """
        taken: dict[str, Tensor] = {}
        self._walk(images, layers, taken.__setitem__)
        return taken

    @torch.inference_mode()
    def visit(
        self, images: Tensor, layers: Iterable[str], take: Callable[[str, Tensor], None]
    ) -> None:
        """Hand each of the maps to ``take`` as it comes, shallowest first, without gradients.

        A map that ``take`` does not keep is freed before the next one is made: Gram matrices need
        no more than one layer's maps in memory.
        """
        self._walk(images, layers, take)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.mean.device

    def _walk(
        self, images: Tensor, layers: Iterable[str], take: Callable[[str, Tensor], None]
    ) -> None:
        wanted = set(layers)
        if not wanted <= set(self.layers):
            raise MetricInputError(f"this network ends at {self.layers[-1]}: no {wanted}")
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeMismatch(f"expected (N, 3, H, W), got {tuple(images.shape)}")
        maps = (images.contiguous(memory_format=torch.channels_last) - self.mean) / self.std
        for index, module in enumerate(self.stack):
            maps = cast(Tensor, module(maps))
            name = self._ends.get(index)
            if name in wanted:
                take(name, maps)
                wanted.remove(name)
                if not wanted:
                    return


def _depth(layer: str) -> int:
    if layer not in VGG19_LAYERS:
        raise MetricInputError(f"unknown layer {layer!r}; layers are {', '.join(VGG19_LAYERS)}")
    return VGG19_LAYERS.index(layer)


def deepest_of(layers: Iterable[str]) -> str:
    """Return the deepest of some layers."""
    return max(layers, key=_depth)
