"""Style loss: how far an output's Gram matrices are from its style image's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from styletransfer.errors import MetricInputError, ShapeMismatch
from styletransfer.metrics.checks import Maps, require_finite, require_maps, require_same_batch

Normalization = Literal["gatys", "spatial"]


@dataclass(frozen=True)
class Gram:
    """Raw Gram matrices of one layer with the number of positions they sum over.

    Attributes:
        matrix: ``(N, C, C)``.
        positions: ``H * W`` of the maps.
    """

    matrix: Tensor
    positions: int

    @classmethod
    def of(cls, features: Maps) -> "Gram":
        """Take the Gram matrices of ``(N, C, H, W)`` features."""
        maps = require_maps("features", features)
        return cls(gram_matrix(maps), maps.shape[2] * maps.shape[3])


def gram_matrix(features: Maps) -> Tensor:
    """Correlate channels over positions: ``(N, C, H, W)`` -> ``(N, C, C)``, raw (a sum).

    Raises:
        ShapeMismatch: ``features`` are not 4-D.
        NonFiniteInput: NaN or infinity went in or came out.
    """
    maps = require_maps("features", features)
    flat = maps.flatten(start_dim=2)  # a view for channels_last maps too
    gram = torch.bmm(flat, flat.mT)
    # Row i holds a NaN or an infinity exactly if its diagonal element, a sum of squares, does.
    require_finite("gram_matrix", gram.diagonal(dim1=1, dim2=2))
    return gram


def gram_distance(outputs: Gram, styles: Gram, normalization: Normalization = "gatys") -> Tensor:
    """Compare the Gram matrices of one layer, ``(N,)`` float64. Differentiable.

    Each matrix is divided by its own number of positions first, so that maps of different sizes
    compare; with equal sizes ``gatys`` is the paper's ``1 / (4 N^2 M^2)``.
    """
    if normalization not in get_args(Normalization):
        raise MetricInputError(f"unknown normalization {normalization!r}: 'gatys' or 'spatial'")
    require_same_batch(outputs.matrix, styles.matrix)
    if outputs.matrix.shape[1:] != styles.matrix.shape[1:]:
        raise ShapeMismatch(
            f"{outputs.matrix.shape[1]} channels can't be compared with {styles.matrix.shape[1]}"
        )
    channels = outputs.matrix.shape[1]
    difference = (
        outputs.matrix.double() / outputs.positions - styles.matrix.double() / styles.positions
    )
    divisor = 4 * channels**2 if normalization == "gatys" else 4
    return require_finite("gram_distance", difference.square().sum(dim=(1, 2)) / divisor)


def style_layer_loss(outputs: Maps, styles: Maps, normalization: Normalization = "gatys") -> Tensor:
    """Measure one layer's ``E_l`` per image. Differentiable.

    Args:
        outputs: ``(N, C, H, W)`` features of the outputs.
        styles: ``N`` or 1 style images' features, with as many channels, of any height and width.
        normalization: ``gatys``: ``sum((G/M - S/M_S)**2) / (4 C**2)``;
            ``spatial``: ``sum((G/M - S/M_S)**2) / 4``.

    Returns:
        ``(N,)`` float64, 0 for equal statistics; lower is better.

    Raises:
        ShapeMismatch: not 4-D, or different numbers of channels or images.
        NonFiniteInput: NaN or infinity went in or came out.
    """
    return gram_distance(Gram.of(outputs), Gram.of(styles), normalization)


def style_loss(
    outputs: Sequence[Maps],
    styles: Sequence[Maps],
    weights: Sequence[float] | None = None,
    normalization: Normalization = "gatys",
) -> Tensor:
    """Measure the weighted sum of ``style_layer_loss`` over layers. Differentiable.

    Args:
        outputs: one ``(N, C_l, H_l, W_l)`` tensor per layer.
        styles: the same layers of the style images; ``N`` or 1 of them, of any size.
        weights: one finite, non-negative number per layer; equal weights of sum 1 without it.
        normalization: see ``style_layer_loss``.

    Returns:
        ``(N,)`` float64, dimensionless, 0 for equal statistics; lower is better.

    Raises:
        MetricInputError: no layers, unequal numbers of them, bad weights, or a subclass of it
            for shapes and non-finite values.

    Reference:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.
    """
    return weigh_layers(
        [Gram.of(features) for features in outputs],
        [Gram.of(features) for features in styles],
        weights,
        normalization,
    )


def weigh_layers(
    outputs: Sequence[Gram],
    styles: Sequence[Gram],
    weights: Sequence[float] | None = None,
    normalization: Normalization = "gatys",
) -> Tensor:
    """Measure ``style_loss`` from Gram matrices that were taken before."""
    if not outputs or len(outputs) != len(styles):
        raise ShapeMismatch(f"{len(outputs)} layers can't be compared with {len(styles)}")
    if weights is None:
        weights = [1 / len(outputs)] * len(outputs)
    if len(weights) != len(outputs):
        raise ShapeMismatch(f"{len(outputs)} layers need as many weights, got {len(weights)}")
    weights = [float(weight) for weight in weights]
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise MetricInputError(f"weights are finite and not negative, got {weights}")
    layers = zip(weights, outputs, styles, strict=True)
    losses = [w * gram_distance(ours, theirs, normalization) for w, ours, theirs in layers]
    if len({len(loss) for loss in losses}) > 1:
        raise ShapeMismatch("the layers are of different numbers of images")
    return require_finite("style_loss", torch.stack(losses).sum(dim=0))
