"""Percentile bootstrap intervals, drawn the same everywhere."""

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.metrics.arrays import to_array
from styletransfer.metrics.frechet import FeatureStatistics, compose_distance, frechet_distance
from styletransfer.metrics.kernel import kernel_distance, kernel_parts

Indices = NDArray[np.integer]


def draw_indices(count: int, *, seed: int, resamples: int) -> Indices:
    """Draw ``(resamples, count)`` indices with replacement.

    Raw words of PCG64 scaled by integer arithmetic: unlike NumPy's own distributions they will be
    the same in every version.
    """
    if count < 1 or count >= 2**32 or resamples < 1 or seed < 0:
        raise MetricInputError(f"can't draw {resamples} resamples of {count} with seed {seed}")
    words = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(resamples * count)
    scaled = ((words >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)
    return scaled.astype(np.int64).reshape(resamples, count)


def bootstrap_mean(
    values: ArrayLike,
    *,
    indices: ArrayLike | None = None,
    seed: int | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Return a mean with its percentile bootstrap interval.

    Args:
        values: ``(n,)``.
        indices: ``(resamples, n)`` rows of indices into ``values``, instead of a seed.
        seed: draws the indices, see ``draw_indices``.
        resamples: how many rows to draw.
        level: of the interval, between 0 and 1; ends are linear quantiles.

    Returns:
        mean, low, high.

    Raises:
        NonFiniteInput: a value is NaN or infinite.
        MetricInputError: nothing to average, or neither or both of ``indices`` and ``seed``.
    """
    numbers = to_array("values", values).astype(np.float64)
    if numbers.ndim != 1 or numbers.size == 0:
        raise ShapeMismatch(f"expected values (n,), got {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise NonFiniteInput("a value is NaN or infinite")
    rows = _rows(numbers.size, indices, seed, resamples)
    low, high = _percentiles(numbers[rows].mean(axis=1), level)
    found = float(numbers.mean()), low, high
    if not np.isfinite(found).all():
        raise NonFiniteInput("the mean is not a finite number")
    return found


def bootstrap_frechet(
    outputs: FeatureStatistics,
    references: FeatureStatistics,
    *,
    indices: ArrayLike | None = None,
    seed: int | None = None,
    resamples: int = 200,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Return a Frechet distance with its resampling spread: outputs resampled, references fixed.

    A spread, not a confidence interval: resampled sets repeat rows, so their distances lie higher.

    Raises:
        TooFewSamples: fewer than two samples in a set.
        MetricInputError: the outputs' features were not kept, or as for ``bootstrap_mean``.
    """
    value = frechet_distance(outputs, references)
    features = outputs.rows - outputs.mean
    rows = _rows(len(features), indices, seed, resamples)
    # All products are taken once; a resample only picks rows of them and centres those.
    cross = features @ references.factor.T
    gram = features @ features.T
    to_reference = features @ (outputs.mean - references.mean)
    shift = outputs.mean - references.mean
    trace = float(np.square(references.factor).sum())
    distances = []
    for row in rows:
        picked, freedom = gram[np.ix_(row, row)], len(row) - 1
        moved = float(picked.mean())  # squared length of the resample's mean
        mean_shift = float(shift @ shift) + 2 * float(to_reference[row].mean()) + moved
        spread = float((np.trace(picked) - len(row) * moved) / freedom)
        centred = (cross[row] - cross[row].mean(axis=0)) / np.sqrt(freedom)
        distances.append(compose_distance(mean_shift, spread, trace, centred))
    low, high = _percentiles(np.array(distances), level)
    return value, low, high


def bootstrap_kernel(
    outputs: ArrayLike,
    references: ArrayLike,
    *,
    indices: ArrayLike | None = None,
    seed: int | None = None,
    resamples: int = 200,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Return a kernel distance with its resampling spread: outputs resampled, references fixed.

    A spread, not a confidence interval: a row drawn twice is compared with its copy, so resampled
    distances lie higher.

    Raises:
        TooFewSamples: fewer than two samples in a set.
        MetricInputError: as for ``kernel_distance`` and ``bootstrap_mean``.
    """
    value = kernel_distance(outputs, references)
    # Every kernel value is taken once; a resample only adds up those of its rows.
    own, between, others = kernel_parts(outputs, references)
    rows = _rows(len(own), indices, seed, resamples)
    count = len(own)
    distances = []
    for row in rows:
        picked = own[np.ix_(row, row)]
        within = (float(picked.sum()) - float(np.trace(picked))) / (count * (count - 1))
        distances.append(within + others - 2 * float(between[row].mean()))
    low, high = _percentiles(np.array(distances), level)
    return value, low, high


def _rows(count: int, indices: ArrayLike | None, seed: int | None, resamples: int) -> Indices:
    if (indices is None) == (seed is None):
        raise MetricInputError("give either indices or a seed")
    if indices is None:
        return draw_indices(count, seed=cast(int, seed), resamples=resamples)
    indices = to_array("indices", indices)
    if indices.dtype.kind not in "iu":
        raise MetricInputError(f"indices are whole numbers, got {indices.dtype}")
    if indices.ndim != 2 or indices.size == 0:
        raise ShapeMismatch(f"expected indices (resamples, n), got {indices.shape}")
    if indices.min() < 0 or indices.max() >= count:
        raise MetricInputError(f"an index is not within 0..{count - 1}")
    return indices


def _percentiles(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise MetricInputError(f"a level is between 0 and 1, got {level}")
    if values.size == 0:
        raise TooFewSamples("no resamples")
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="linear")
    return float(low), float(high)
