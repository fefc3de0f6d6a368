"""Refuse inputs that have no score, before or after the arithmetic."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch
from styletransfer.metrics.arrays import to_array

Maps = Tensor | NDArray[Any]
"""Features or images ``(N, C, H, W)``; gradients flow through tensors only."""


def to_tensor(name: str, values: Maps) -> Tensor:
    """Return a tensor as it is, and anything else as a tensor of its numbers.

    Raises:
        MetricInputError: not real numbers, or rows of different lengths.
    """
    if isinstance(values, Tensor):
        return values
    array = to_array(name, values)
    # A copy of what torch can't take as it is: foreign byte order, strides that run backwards.
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def require_maps(name: str, values: Maps) -> Tensor:
    """Return a non-empty floating-point ``(N, C, H, W)``, or refuse."""
    features = to_tensor(name, values)
    if features.ndim != 4 or features.numel() == 0:
        raise ShapeMismatch(f"{name}: expected (N, C, H, W), got {tuple(features.shape)}")
    if not features.is_floating_point():
        raise MetricInputError(f"{name}: expected floating-point features, got {features.dtype}")
    return features


def require_finite(name: str, values: Tensor) -> Tensor:
    """Return ``values``, or refuse NaN and infinity."""
    if not bool(values.detach().isfinite().all()):
        raise NonFiniteInput(f"{name}: NaN or infinity in what went in or came out")
    return values


def require_same_batch(outputs: Tensor, others: Tensor) -> None:
    """Refuse a second batch that is neither as long as the first nor a single one to repeat."""
    if others.shape[0] not in (1, outputs.shape[0]):
        raise ShapeMismatch(
            f"expected {outputs.shape[0]} images to compare with, or 1, got {others.shape[0]}"
        )
