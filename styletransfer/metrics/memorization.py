"""Frechet distance that punishes outputs copied from the references."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styletransfer.errors import MetricInputError, ShapeMismatch, TooFewSamples
from styletransfer.metrics.arrays import to_array
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance

Matrix = NDArray[np.float64]

BLOCK_ROWS = 512
SMALLEST_DISTANCE = 1e-14


def nearest_distance(outputs: ArrayLike, references: ArrayLike) -> float:
    """Measure the mean over outputs of the smallest ``1 - |cos|`` to any reference.

    Args:
        outputs: ``(n, d)`` features, n >= 1.
        references: ``(m, d)`` features, m >= 1.

    Returns:
        between 0 (every output points as some reference does) and 1. A feature of length zero has
        no direction: it counts as far from everything.

    Raises:
        ShapeMismatch: not two-dimensional, empty, or of different dimensions.
        NonFiniteInput: NaN or infinity.
    """
    made, known = _directions("outputs", outputs), _directions("references", references)
    if made.shape[1] != known.shape[1]:
        raise ShapeMismatch(f"{made.shape[1]} dimensions can't be compared with {known.shape[1]}")
    nearest = [
        1 - np.abs(made[start : start + BLOCK_ROWS] @ known.T).max(axis=1)
        for start in range(0, len(made), BLOCK_ROWS)
    ]
    return float(np.clip(np.concatenate(nearest), 0, 1).mean())


def separation(references: ArrayLike) -> float:
    """Measure how near references are to one another: to what a distance of outputs compares.

    Args:
        references: ``(m, d)`` features, m >= 2. Of more than 512 the first 512 are each compared
            with all others.

    Returns:
        the mean over references of the smallest ``1 - |cos|`` to any other, between 0 and 1.

    Raises:
        TooFewSamples: fewer than two references.
        ShapeMismatch, NonFiniteInput: as for ``nearest_distance``.
    """
    known = _directions("references", references)
    if len(known) < 2:
        raise TooFewSamples("references are near to one another only where there are two of them")
    likeness = np.abs(known[:BLOCK_ROWS] @ known.T)
    np.fill_diagonal(likeness, 0)
    return float(np.clip(1 - likeness.max(axis=1), 0, 1).mean())


def mifid(outputs: ArrayLike, references: ArrayLike, eps: float = 0.1) -> float:
    """Measure the Frechet distance, divided by the memorization distance where that is suspicious.

    ``FID / m`` with ``m`` the mean over outputs of the smallest ``1 - |cos|`` to any reference
    feature if that is below ``eps``, else 1. Outputs that repeat references come close to them and
    win a small FID: the small divisor takes that win away.

    Args:
        outputs: ``(n, d)`` features of the outputs, n >= 2.
        references: ``(m, d)`` features of the reference images, m >= 2.
        eps: how near is suspicious, above 0.

    Returns:
        a number >= 0, at least the FID; lower is better. ``m`` counts as 1e-14 at least, as in
        torchmetrics: what rounding leaves of a copy's distance says nothing.

    Raises:
        MetricInputError: ``eps`` is not above 0; its subclasses as for ``nearest_distance`` and
            ``frechet_distance``.

    Reference:
        Bai et al. On Training Sample Memorization: Lessons from Benchmarking Generative Modeling
        with a Large-scale Competition. KDD 2021.
    """
    if not eps > 0:
        raise MetricInputError(f"eps must be above 0, got {eps}")
    distance = nearest_distance(outputs, references)
    fid = frechet_distance(
        FeatureStatistics.from_features(outputs), FeatureStatistics.from_features(references)
    )
    return fid if distance >= eps else fid / max(distance, SMALLEST_DISTANCE)


def _directions(name: str, values: ArrayLike) -> Matrix:
    rows = to_array(name, values).astype(np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise ShapeMismatch(f"{name}: expected features (N, d), got {rows.shape}")
    FeatureStatistics.from_features(rows)  # refuses NaN and infinity
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0))
