"""Learned perceptual distance from features, and the art score built on it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch
from styletransfer.metrics.checks import (
    Maps,
    require_finite,
    require_maps,
    require_same_batch,
    to_tensor,
)

# Keeps a position without any activation at zero instead of dividing by it.
EPSILON = 1e-10


def lpips_from_features(a: Sequence[Maps], b: Sequence[Maps], lins: Sequence[Maps]) -> Tensor:
    """Measure LPIPS from the layers of its network. Differentiable.

    At each position features are scaled to unit length over channels; squared differences are
    weighted by ``lins``, summed over channels, averaged over positions and summed over layers.

    Args:
        a: one ``(N, C_l, H_l, W_l)`` per layer, of N images.
        b: the same layers of the images to compare with; N or 1 of them.
        lins: one ``(C_l,)`` of non-negative weights per layer.

    Returns:
        ``(N,)`` float64, 0 for equal features; lower is better.

    Raises:
        ShapeMismatch: different numbers of layers, or maps or weights that do not fit.
        MetricInputError: no layers, or a negative weight.
        NonFiniteInput: NaN or infinity went in or came out.

    Reference:
        Zhang et al. The Unreasonable Effectiveness of Deep Features as a Perceptual Metric.
        CVPR 2018.
    """
    if not a:
        raise MetricInputError("LPIPS needs at least one layer")
    if not len(a) == len(b) == len(lins):
        raise ShapeMismatch(f"{len(a)} and {len(b)} layers with {len(lins)} weights")
    layers = [_layer(*each) for each in zip(a, b, lins, strict=True)]
    if len({len(layer) for layer in layers}) > 1:
        raise ShapeMismatch("the layers are of different numbers of images")
    return require_finite("lpips_from_features", torch.stack(layers).sum(dim=0))


def _layer(first: Maps, second: Maps, weights: Maps) -> Tensor:
    a, b = require_maps("a", first), require_maps("b", second)
    lin = to_tensor("lins", weights)
    require_same_batch(a, b)
    if a.shape[1:] != b.shape[1:] or lin.shape != (a.shape[1],):
        raise ShapeMismatch(f"{tuple(a.shape)}, {tuple(b.shape)} and weights {tuple(lin.shape)}")
    lin = require_finite("lins", lin.double())
    if bool((lin < 0).any()):
        raise MetricInputError("LPIPS weights are not negative")
    difference = (_unit(a) - _unit(b)).square()
    return (difference * lin[:, None, None]).sum(dim=1).mean(dim=(1, 2))


def _unit(features: Tensor) -> Tensor:
    wide = require_finite("features", features.double())
    length: Tensor = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
    return wide / (length + EPSILON)


def artfid(lpips: float, fid: float) -> float:
    """Put content and style together as ``(1 + LPIPS) (1 + FID)``.

    Args:
        lpips: mean LPIPS between outputs and their content images, >= 0.
        fid: Frechet distance between outputs and style images, >= 0.

    Returns:
        a number >= 1; lower is better.

    Raises:
        NonFiniteInput: a value is NaN or infinite.
        MetricInputError: a value is negative.

    Reference:
        Wright, Ommer. ArtFID: Quantitative Evaluation of Neural Style Transfer. GCPR 2022.
    """
    if not (math.isfinite(lpips) and math.isfinite(fid)):
        raise NonFiniteInput(f"LPIPS {lpips} and FID {fid} give no score")
    if lpips < 0 or fid < 0:
        raise MetricInputError(f"LPIPS {lpips} and FID {fid} can't be negative")
    return (1 + lpips) * (1 + fid)
