"""Content loss: how far an output's features moved from its content image's."""

from torch import Tensor

from styletransfer.errors import ShapeMismatch
from styletransfer.metrics.checks import Maps, require_finite, require_maps, require_same_batch


def content_loss(outputs: Maps, contents: Maps) -> Tensor:
    """Measure ``1/2 sum (F - P)**2`` at one layer, per image. Differentiable.

    Args:
        outputs: ``(N, C, H, W)`` features of the outputs.
        contents: features of the content images, same shape; ``N`` or 1 of them.

    Returns:
        ``(N,)`` float64, 0 for equal features, a sum over positions and channels (no mean);
        lower is better.

    Raises:
        ShapeMismatch: the maps differ in shape, or are not 4-D.
        NonFiniteInput: NaN or infinity went in or came out.

    Reference:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.
    """
    outputs = require_maps("outputs", outputs)
    contents = require_maps("contents", contents)
    require_same_batch(outputs, contents)
    if outputs.shape[1:] != contents.shape[1:]:
        raise ShapeMismatch(
            f"content features {tuple(contents.shape)} do not fit outputs {tuple(outputs.shape)}"
        )
    # Float64 from here on: a sum of half a million float32 squares would lose three digits.
    difference = outputs.double() - contents.double()
    return require_finite("content_loss", difference.square().sum(dim=(1, 2, 3)) / 2)
