"""How much of a content image's structure an output keeps: SSIM on pixels, CFSD on features."""

import torch
from torch import Tensor
from torch.nn import functional

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch
from styletransfer.metrics.checks import Maps, require_finite, require_maps, require_same_batch

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
# Rows of a similarity matrix held at a time: 16,384 positions squared would take 2 GiB at once.
BLOCK_POSITIONS = 256


def ssim(a: Maps, b: Maps) -> Tensor:
    """Measure structural similarity with an 11x11 Gaussian window (sigma 1.5).

    Population moments, windows that lie inside the image only, mean over positions and channels.
    Differentiable.

    Args:
        a: ``(N, C, H, W)`` images in [0, 1], at least 11 pixels high and wide.
        b: images of the same shape; N or 1 of them.

    Returns:
        ``(N,)`` float64 in [-1, 1], 1 for equal images; higher is better.

    Raises:
        ShapeMismatch: the images differ in shape or are smaller than the window.
        MetricInputError: a pixel lies outside [0, 1].
        NonFiniteInput: NaN or infinity.

    Reference:
        Wang et al. Image Quality Assessment: From Error Visibility to Structural Similarity.
        IEEE TIP 2004.
    """
    x, y = _picture("a", a), _picture("b", b)
    require_same_batch(x, y)
    if x.shape[1:] != y.shape[1:] or min(x.shape[2:]) < WINDOW:
        raise ShapeMismatch(f"{tuple(x.shape)} and {tuple(y.shape)} in windows of {WINDOW} pixels")
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    likeness = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x.square() + mean_y.square() + c1) * (variance_x + variance_y + c2)
    )
    return require_finite("ssim", likeness.mean(dim=(1, 2, 3)))


def _picture(name: str, values: Maps) -> Tensor:
    image = require_maps(name, values)
    if not bool(image.isfinite().all()):
        raise NonFiniteInput(f"{name}: NaN or infinity")
    if bool((image < 0).any()) or bool((image > 1).any()):
        raise MetricInputError(f"{name}: expected pixels in [0, 1]")
    return image.double()


def _blur(image: Tensor) -> Tensor:
    offsets = torch.arange(WINDOW, dtype=torch.float64, device=image.device) - WINDOW // 2
    line = torch.exp(-offsets.square() / (2 * SIGMA**2))
    line = line / line.sum()
    channels = image.shape[1]
    rows = line.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    columns = line.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    return functional.conv2d(
        functional.conv2d(image, rows, groups=channels), columns, groups=channels
    )


def cfsd(content: Maps, output: Maps) -> Tensor:
    """Measure how far the self-similarity of an output's features is from its content image's.

    ``1/(hw) sum_i KL(softmax_j(c_i . c_j / C**2) || softmax_j(s_i . s_j / C**2))`` over positions,
    the content image first. Differentiable; similarity is made block by block.

    Args:
        content: ``(N, C, h, w)`` features of the content images at one layer; N or 1 of them.
        output: features of the outputs, same shape.

    Returns:
        ``(N,)`` float64 >= 0, 0 for equal features; lower is better.

    Raises:
        ShapeMismatch: the maps differ in shape, or are not 4-D.
        NonFiniteInput: NaN or infinity went in or came out.

    Reference:
        Chung, Hyun, Heo. Style Injection in Diffusion: A Training-free Approach for Adapting
        Large-scale Diffusion Models for Style Transfer. CVPR 2024.
    """
    content, output = require_maps("content", content), require_maps("output", output)
    require_same_batch(output, content)
    if content.shape[1:] != output.shape[1:]:
        raise ShapeMismatch(f"{tuple(content.shape)} does not fit {tuple(output.shape)}")
    values = [
        _divergence(_positions(one), _positions(other))
        for one, other in zip(content.expand_as(output), output, strict=True)
    ]
    return require_finite("cfsd", torch.stack(values))


def _positions(features: Tensor) -> Tensor:
    """Return ``(hw, C)`` features divided by C, as the formula wants both factors."""
    return features.double().flatten(1).T / features.shape[0]


def _divergence(content: Tensor, output: Tensor) -> Tensor:
    total = content.new_zeros(())
    for start in range(0, len(content), BLOCK_POSITIONS):
        block = slice(start, start + BLOCK_POSITIONS)
        p = torch.log_softmax(content[block] @ content.T, dim=1)
        q = torch.log_softmax(output[block] @ output.T, dim=1)
        total = total + (p.exp() * (p - q)).sum()
    return total / len(content)
