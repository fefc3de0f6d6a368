"""Kernel distance between two sets of features: unbiased for any number of samples."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styletransfer.errors import NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.metrics.arrays import to_array

Matrix = NDArray[np.float64]

# Rows of one kernel matrix held at a time: 10,000 references need 80 MB instead of 800.
BLOCK_ROWS = 1024


def kernel_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Measure the squared maximum mean discrepancy with ``k(a, b) = (a . b / d + 1)**3``; KID.

    ``sum_{i != j} k(x_i, x_j) / (n (n - 1)) + the same of y - 2 mean k(x_i, y_j)``. Its expectation
    does not depend on the number of samples; equal sets give a value a little below zero.

    Args:
        x: ``(n, d)`` features of one set, n >= 2.
        y: ``(m, d)`` features of the other, m >= 2; m may differ from n.

    Returns:
        a number, usually small; it may be negative and is not clamped. Lower is better.

    Raises:
        ShapeMismatch: not two-dimensional, or the sets differ in dimensions.
        TooFewSamples: fewer than two samples in a set.
        NonFiniteInput: NaN or infinity went in or came out.

    Reference:
        Binkowski et al. Demystifying MMD GANs. ICLR 2018.
    """
    first, second = _features("x", x), _features("y", y)
    if first.shape[1] != second.shape[1]:
        raise ShapeMismatch(f"{first.shape[1]} dimensions can't be compared with {second.shape[1]}")
    between = _kernel_sum(first, second) / (len(first) * len(second))
    distance = _mean_of_others(first) + _mean_of_others(second) - 2 * between
    if not np.isfinite(distance):
        raise NonFiniteInput("the distance is not a finite number")
    return distance


def kernel_parts(x: ArrayLike, y: ArrayLike) -> tuple[Matrix, Matrix, float]:
    """Return what distances of resampled ``x`` are put together from.

    Returns:
        the kernel among the rows of ``x`` ``(n, n)``; for each of them its mean over ``y``
        ``(n,)``; and the mean over pairs of different rows of ``y``.

    Raises:
        ShapeMismatch, TooFewSamples, NonFiniteInput: as for ``kernel_distance``.
    """
    first, second = _features("x", x), _features("y", y)
    between = [
        _kernel(first, second[start : start + BLOCK_ROWS]).sum(axis=1)
        for start in range(0, len(second), BLOCK_ROWS)
    ]
    return _kernel(first, first), np.sum(between, axis=0) / len(second), _mean_of_others(second)


def _features(name: str, values: ArrayLike) -> Matrix:
    rows = to_array(name, values).astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ShapeMismatch(f"{name}: expected features (N, d), got {rows.shape}")
    if len(rows) < 2:
        raise TooFewSamples(f"{name}: a distance of sets needs 2 samples in each, got {len(rows)}")
    if not np.isfinite(rows).all():
        raise NonFiniteInput(f"{name} holds NaN or infinity")
    return rows


def _mean_of_others(rows: Matrix) -> float:
    """Average the kernel over pairs of different rows."""
    own = (np.square(rows).sum(axis=1) / rows.shape[1] + 1) ** 3
    count = len(rows)
    return (_kernel_sum(rows, rows) - float(own.sum())) / (count * (count - 1))


def _kernel_sum(rows: Matrix, others: Matrix) -> float:
    total = 0.0
    for start in range(0, len(rows), BLOCK_ROWS):
        total += float(_kernel(rows[start : start + BLOCK_ROWS], others).sum())
    return total


def _kernel(rows: Matrix, others: Matrix) -> Matrix:
    return np.asarray((rows @ others.T / rows.shape[1] + 1) ** 3)
