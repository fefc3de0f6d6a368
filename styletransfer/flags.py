"""What looks odd about a set of outputs. Flags accuse nobody: organizers look and decide."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.metrics.memorization import nearest_distance, separation
from styletransfer.metrics.structure import WINDOW, ssim
from styletransfer.values import Image
from styletransfer.vgg import to_batch

# Compared at an eighth of the size: shifts by a pixel, JPEG, blur and noise hide no copy then.
# Measured on photographs and paintings of 256 pixels: disguised copies 0.96 to 1, a photograph in
# four shades 0.95, half photograph and half painting 0.61, a trained generator's outputs 0.52.
SHRINK = 8
COPY_SSIM = 0.955
# As MiFID has it: nearer than this to reference images, on average, is suspicious.
MEMORISED_DISTANCE = 0.1
# And nearer than the references are to one another, by this factor: paintings may resemble each
# other, and features of the surrogate network all point nearly the same way. Measured with it, and
# 6 to 72 references: these under a shift and noise 0.3 to 0.62, other paintings 0.68 to 1.4, a
# trained generator's outputs 0.79 to 3.2.
MEMORISED_SHARE = 0.65


@dataclass(frozen=True)
class Flag:
    """One oddity.

    Attributes:
        code: ``copies_content``, ``copies_style``, ``near_references``, ``depends_on_order``,
            ``fails_second_pass`` or ``sensitive``.
        pairs: the pairs it was seen in, by their number; empty where it is about all outputs.
        value: how strongly: the largest likeness, the mean distance to the references, the largest
            difference in grey levels, the pairs without a picture, or how many times as bad.
        metric: which metric is ``sensitive``.
        disturbance: to what: ``shift``, ``jpeg`` or ``blur``.
    """

    code: str
    pairs: tuple[int, ...]
    value: float
    metric: str | None = None
    disturbance: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without what says nothing about this flag."""
        named = {key: value for key, value in asdict(self).items() if value is not None}
        return named | {"pairs": list(self.pairs)}


@torch.inference_mode()
def measure_likeness(output: Image, content: Image, style: Image) -> tuple[float, float]:
    """Return how much an output is like its content and its style image, each at most 1.

    Pictures smaller than 88 pixels are too small to tell: 0 for those.
    """
    if min(output.shape[:2]) < SHRINK * WINDOW:
        return 0.0, 0.0
    shrunk = _shrink(output)
    return _likeness(shrunk, content), _likeness(shrunk, style)


def find_copies(likeness: NDArray[np.float64]) -> list[Flag]:
    """Return flags for outputs that are nearly the pair's content or style image.

    Args:
        likeness: ``(n, 2)``, what ``measure_likeness`` said of each.
    """
    flags = []
    for code, values in zip(("copies_content", "copies_style"), likeness.T, strict=True):
        pairs = tuple(np.flatnonzero(values >= COPY_SSIM).tolist())
        if pairs:
            flags.append(Flag(code, pairs, round(float(values.max()), 4)))
    return flags


def find_memorised(outputs: NDArray[np.floating], references: NDArray[np.floating]) -> list[Flag]:
    """Return a flag where outputs lie suspiciously near the real images, by their features."""
    distance = nearest_distance(outputs, references)
    if distance >= MEMORISED_DISTANCE or distance >= MEMORISED_SHARE * separation(references):
        return []
    return [Flag("near_references", (), round(distance, 4))]


def _likeness(shrunk: Tensor, image: Image) -> float:
    return float(ssim(shrunk, _shrink(image)))


def _shrink(image: Image) -> Tensor:
    return F.avg_pool2d(to_batch([image]), SHRINK).clamp(0, 1)
