"""Bootstrap intervals against golden values, and how their resamples are drawn."""

from pathlib import Path

import numpy as np
import pytest

from styletransfer.errors import MetricInputError, NonFiniteInput, TooFewSamples
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.interval import bootstrap_frechet, bootstrap_mean, draw_indices

GOLDEN = Path(__file__).parent / "golden"


def test_mean_and_interval_are_the_golden_values() -> None:
    with np.load(GOLDEN / "bootstrap_mean.npz") as golden:
        found = bootstrap_mean(
            golden["scores"], indices=golden["idx"], level=float(golden["level"])
        )
        expected = [float(golden[key]) for key in ("exp_mean", "exp_lo", "exp_hi")]
    assert found == pytest.approx(expected, rel=1e-12)


def test_distance_and_spread_are_the_golden_values() -> None:
    with np.load(GOLDEN / "bootstrap_fid.npz") as golden:
        found = bootstrap_frechet(
            FeatureStatistics.from_features(golden["X"]),
            FeatureStatistics.from_features(golden["Y"]),
            indices=golden["idx"],
            level=float(golden["level"]),
        )
        expected = [float(golden[key]) for key in ("exp_fid", "exp_lo", "exp_hi")]
    assert found == pytest.approx(expected, rel=1e-10)


def test_a_resample_has_the_distance_of_its_rows() -> None:
    rng = np.random.default_rng(1)
    outputs, references = rng.normal(3, 1, size=(9, 40)), rng.normal(size=(14, 40))
    rows = draw_indices(9, seed=5, resamples=1)
    _, low, high = bootstrap_frechet(
        FeatureStatistics.from_features(outputs),
        FeatureStatistics.from_features(references),
        indices=rows,
    )
    expected = frechet_distance(
        FeatureStatistics.from_features(outputs[rows[0]]),
        FeatureStatistics.from_features(references),
    )
    assert low == high == pytest.approx(expected, rel=1e-12)


def test_resamples_are_the_same_in_every_version_of_numpy() -> None:
    # Computed by hand from the raw words: (word >> 32) * 10 >> 32.
    words = np.random.PCG64(np.random.SeedSequence(7)).random_raw(6)
    by_hand = [(int(word) >> 32) * 10 >> 32 for word in words]
    assert draw_indices(10, seed=7, resamples=1)[0, :6].tolist() == by_hand
    assert draw_indices(10, seed=7, resamples=2).tolist() == [
        [6, 8, 7, 2, 3, 8, 0, 8, 7, 4],
        [3, 2, 2, 4, 5, 5, 9, 7, 6, 9],
    ]


def test_resamples_are_uniform_and_within_range() -> None:
    drawn = draw_indices(24, seed=2**64 - 1, resamples=2000)
    counts = np.bincount(drawn.ravel(), minlength=24)
    assert len(counts) == 24
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    values = np.random.default_rng(0).normal(size=24)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)
    mean, low, high = bootstrap_mean(values, seed=1)
    assert low < mean < high


def test_what_has_no_interval_is_refused() -> None:
    values = [1.0, 2.0, 3.0]
    with pytest.raises(NonFiniteInput):
        bootstrap_mean([1.0, float("nan")], seed=1)
    with pytest.raises(MetricInputError):
        bootstrap_mean(values)
    with pytest.raises(MetricInputError):
        bootstrap_mean(values, seed=1, indices=np.zeros((1, 3), dtype=int))
    with pytest.raises(MetricInputError):
        bootstrap_mean([], seed=1)
    with pytest.raises(MetricInputError):
        bootstrap_mean(values, indices=np.array([[0, 1, 3]]))
    with pytest.raises(MetricInputError):
        bootstrap_mean(values, seed=1, level=1.0)
    with pytest.raises(TooFewSamples):
        bootstrap_frechet(
            FeatureStatistics.from_features(np.ones((1, 4))),
            FeatureStatistics.from_features(np.eye(4)),
            seed=1,
        )
