"""Frechet distance between two sets of features, by singular values instead of matrix roots."""

import zipfile
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.metrics.arrays import to_array

Matrix = NDArray[np.float64]

# Features that are given at once are kept up to so many rows: all that the distance needs.
KEPT_ROWS = 2048
# Of those that come in pieces fewer are: beyond, at d = 2048, they would take more memory than the
# matrix that replaces them, which never grows.
STREAMED_ROWS = 1024
# So many are folded into that matrix at a time.
FOLDED_ROWS = 256


class FeatureStatistics:
    """Mean and covariance of a set of features that may come in pieces.

    Few rows are kept as they are; more are folded into a mean and a matrix of squared deviations,
    block by block, so that memory stays constant and a big common offset costs no digits.

    Reference:
        Chan, Golub, LeVeque. Updating Formulae and a Pairwise Algorithm for Computing Sample
        Variances. COMPSTAT 1982.
    """

    def __init__(self, *, kept_rows: int = STREAMED_ROWS) -> None:
        self._kept_rows = kept_rows
        self._blocks: list[NDArray[np.floating]] = []
        self._count = 0
        self._folded: tuple[int, Matrix, Matrix] | None = None  # rows, mean, squared deviations
        self._given: tuple[Matrix, Matrix] | None = None  # mean, covariance
        self._mean: Matrix | None = None
        self._factor: Matrix | None = None

    @classmethod
    def from_features(cls, features: ArrayLike) -> Self:
        """Take the statistics of an ``(N, d)`` array."""
        statistics = cls(kept_rows=KEPT_ROWS)
        statistics.update(features)
        return statistics

    @classmethod
    def from_npz(cls, path: str | Path) -> Self:
        """Read the ``mu`` and ``sigma`` that pytorch-fid writes.

        Raises:
            MetricInputError: not such a file, or a subclass of it for shapes and bad values.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                mean = np.asarray(file["mu"], dtype=np.float64)
                covariance = np.asarray(file["sigma"], dtype=np.float64)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise MetricInputError(f"{path} does not hold mu and sigma: {error}") from error
        return cls.from_moments(mean, covariance)

    @classmethod
    def from_moments(cls, mean: Matrix, covariance: Matrix) -> Self:
        """Take a mean ``(d,)`` and a covariance ``(d, d)`` as given; their count stays unknown."""
        if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
            raise ShapeMismatch(f"mean {mean.shape} and covariance {covariance.shape} do not fit")
        _require_finite(mean)
        _require_finite(covariance)
        largest = float(np.abs(covariance).max(initial=0))
        if np.abs(covariance - covariance.T).max(initial=0) > 1e-6 * largest:
            raise MetricInputError("the covariance is not symmetric")
        statistics = cls()
        statistics._given = mean, (covariance + covariance.T) / 2
        return statistics

    def update(self, batch: ArrayLike) -> None:
        """Add rows ``(n, d)``; any partition of the same rows gives the same statistics.

        Raises:
            ShapeMismatch: not two-dimensional, or another number of dimensions than before.
            NonFiniteInput: a row holds NaN or infinity.
        """
        if self._given is not None:
            raise MetricInputError("published statistics can't be added to: their count is unknown")
        rows = to_array("features", batch).copy()  # a copy: the caller may reuse its buffer
        if rows.dtype not in (np.float32, np.float64):
            rows = rows.astype(np.float64)
        if rows.ndim != 2 or rows.shape[1] == 0:
            raise ShapeMismatch(f"expected features (N, d), got {rows.shape}")
        if self._count and rows.shape[1] != self.dimensions:
            raise ShapeMismatch(f"expected {self.dimensions} dimensions, got {rows.shape[1]}")
        _require_finite(rows)
        if len(rows) == 0:
            return
        self._mean = self._factor = None
        self._blocks.append(rows)
        self._count += len(rows)
        folded = self._folded[0] if self._folded is not None else 0
        if self._count - folded > (FOLDED_ROWS if folded else self._kept_rows):
            self._fold()

    def merge(self, other: "FeatureStatistics") -> None:
        """Add the rows of ``other``, which stays as it is."""
        if self._given is not None or other._given is not None:
            raise MetricInputError("published statistics can't be merged: their count is unknown")
        if other._folded is not None:
            if self._count and self.dimensions != other.dimensions:
                raise ShapeMismatch(f"{self.dimensions} dimensions and {other.dimensions}")
            self._fold()
            self._combine(*other._folded)
            self._count += other._folded[0]
            self._mean = self._factor = None
        for block in other._blocks:
            self.update(block)

    @property
    def count(self) -> int | None:
        """The number of rows; unknown for published statistics."""
        return None if self._given is not None else self._count

    @property
    def dimensions(self) -> int:
        """The length of a row."""
        if self._given is not None:
            return self._given[0].size
        if self._folded is not None:
            return self._folded[1].size
        if self._blocks:
            return int(self._blocks[0].shape[1])
        raise TooFewSamples("no features yet")

    @property
    def mean(self) -> Matrix:
        """The mean ``(d,)``, float64."""
        if self._given is not None:
            return self._given[0]
        if self._folded is not None:
            self._fold()
            return self._folded[1].copy()
        if self._mean is None:
            self._mean = _centre(self.rows)
        return self._mean.copy()

    @property
    def covariance(self) -> Matrix:
        """The covariance ``(d, d)``, float64, divided by N - 1.

        Raises:
            TooFewSamples: fewer than two rows.
        """
        if self._given is not None:
            return self._given[1]
        count = self._require_two()
        if self._folded is not None:
            self._fold()
            return self._folded[2] / (count - 1)
        deviations = self.rows
        self._mean = _centre(deviations)
        return deviations.T @ deviations / (count - 1)

    @property
    def rows(self) -> Matrix:
        """All rows, float64; only while they are few enough to be kept."""
        if self._folded is not None or self._given is not None:
            raise MetricInputError("the features themselves were not kept")
        if not self._blocks:
            raise TooFewSamples("no features yet")
        return np.concatenate(self._blocks, dtype=np.float64)

    @property
    def factor(self) -> Matrix:
        """A matrix ``Z (r, d)`` with ``Z.T @ Z`` the covariance, computed once.

        Negative eigenvalues, which only rounding makes, count as zero.
        """
        if self._factor is None:
            self._factor = self._make_factor()
        return self._factor

    def _make_factor(self) -> Matrix:
        if self._given is not None or self._folded is not None:
            values, vectors = np.linalg.eigh(self.covariance)
            kept = values > 0
            return np.asarray(np.sqrt(values[kept])[:, None] * vectors[:, kept].T)
        count = self._require_two()
        deviations = self.rows
        self._mean = _centre(deviations)
        deviations /= np.sqrt(count - 1)
        is_tall = count > 2 * deviations.shape[1]
        return np.asarray(np.linalg.qr(deviations, mode="r")) if is_tall else deviations

    def _require_two(self) -> int:
        if self._count < 2:
            raise TooFewSamples(f"a covariance needs at least 2 samples, got {self._count}")
        return self._count

    def _fold(self) -> None:
        """Take up the rows that wait, if any, FOLDED_ROWS at a time."""
        blocks, self._blocks = self._blocks, []
        if not blocks:
            return
        waiting = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        for start in range(0, len(waiting), FOLDED_ROWS):
            rows = waiting[start : start + FOLDED_ROWS].astype(np.float64)
            mean = _centre(rows)
            self._combine(len(rows), mean, rows.T @ rows)

    def _combine(self, count: int, mean: Matrix, squares: Matrix) -> None:
        if self._folded is None:
            self._folded = count, mean.copy(), squares.copy()
            return
        ours, our_mean, our_squares = self._folded
        shift = mean - our_mean
        our_squares += squares
        # Row by row: the outer product of the shift needs no second d x d matrix.
        for row, step in zip(our_squares, shift * (ours * count / (ours + count)), strict=True):
            row += step * shift
        self._folded = ours + count, our_mean + shift * (count / (ours + count)), our_squares


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """Measure the squared Frechet distance of two sets, taken for Gaussians; FID on pool3 features.

    ``|mean_a - mean_b|^2 + tr A + tr B - 2 tr (A B)^(1/2)``, the last trace as the nuclear norm of
    ``Z_a Z_b^T``: exact for any number of samples, never complex, and zero for equal sets up to
    float64 rounding. Biased upwards for few samples: compare only values of equal counts.

    Returns:
        a number >= 0; lower is better.

    Raises:
        TooFewSamples: fewer than two samples in a set.
        ShapeMismatch: the sets differ in dimensions.

    Reference:
        Dowson, Landau. The Frechet Distance between Multivariate Normal Distributions.
        J. Multivariate Analysis 1982.
    """
    for side in (a, b):
        if side.count is not None and side.count < 2:
            raise TooFewSamples(f"a distance of sets needs 2 samples in each, got {side.count}")
    if a.dimensions != b.dimensions:
        raise ShapeMismatch(f"{a.dimensions} dimensions can't be compared with {b.dimensions}")
    shift = a.mean - b.mean
    return compose_distance(
        float(shift @ shift),
        float(np.vdot(a.factor, a.factor)),
        float(np.vdot(b.factor, b.factor)),
        a.factor @ b.factor.T,
    )


def compose_distance(shift: float, trace_a: float, trace_b: float, cross: Matrix) -> float:
    """Put the distance together from its terms; ``cross`` is ``Z_a Z_b^T``."""
    nuclear = float(np.linalg.svd(cross, compute_uv=False).sum())
    distance = shift + trace_a + trace_b - 2 * nuclear
    if not np.isfinite(distance):
        raise NonFiniteInput("the distance is not a finite number")
    return max(0.0, distance)


def _centre(rows: Matrix) -> Matrix:
    """Subtract the mean from ``rows`` in place; return it."""
    first = rows.mean(axis=0)
    rows -= first
    # What rounding left of a big common offset.
    second = rows.mean(axis=0)
    rows -= second
    return np.asarray(first + second)


def _require_finite(values: NDArray[np.floating]) -> None:
    if not np.isfinite(values).all():
        raise NonFiniteInput("features hold NaN or infinity")
