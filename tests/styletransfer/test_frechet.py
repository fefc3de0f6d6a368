"""The Frechet distance against golden values, the worst cases of other tools included."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.metrics.frechet import STREAMED_ROWS, FeatureStatistics, frechet_distance

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).resolve().parents[2]
SETS = sorted(
    path.stem for path in GOLDEN.glob("fid_*.npz") if not path.stem.endswith("_must_fail")
)
IDENTICAL = [name for name in SETS if name.startswith("fid_identical")]


def load(name: str) -> dict[str, Any]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def statistics_of(features: Any, kept_rows: int = 2048) -> FeatureStatistics:
    statistics = FeatureStatistics(kept_rows=kept_rows)
    statistics.update(features)
    return statistics


def distance(first: Any, second: Any) -> float:
    return frechet_distance(statistics_of(first), statistics_of(second))


def test_all_golden_sets_are_here() -> None:
    assert len(SETS) == 13
    assert len(IDENTICAL) == 3


@pytest.mark.parametrize("name", SETS)
def test_distance_is_the_golden_value(name: str) -> None:
    golden = load(name)
    scale = float(golden["exp_scale"])
    # A set of mean 1000 and deviation 0.01 keeps fewer digits in any arithmetic of 64 bits.
    tolerance = 1e-9 if name == "fid_big_offset" else 1e-10
    found = distance(golden["X"], golden["Y"])
    assert abs(found - float(golden["exp_fid"])) <= tolerance * scale
    assert abs(distance(golden["Y"], golden["X"]) - found) <= tolerance * scale


@pytest.mark.parametrize("name", SETS)
def test_means_and_covariances_are_the_golden_values(name: str) -> None:
    golden = load(name)
    for letter in "xy":
        for kept_rows in (2048, 0):
            found = statistics_of(golden[letter.upper()], kept_rows)
            mean, covariance = golden[f"exp_mu_{letter}"], golden[f"exp_cov_{letter}"]
            assert np.abs(found.mean - mean).max() <= 1e-13 * max(1, np.abs(mean).max())
            limit = 1e-12 * max(float(np.abs(covariance).max()), 1e-12)
            assert np.abs(found.covariance - covariance).max() <= limit


@pytest.mark.parametrize("name", IDENTICAL)
def test_identical_sets_are_zero_up_to_rounding(name: str) -> None:
    golden = load(name)
    assert distance(golden["X"], golden["Y"]) <= 1e-12 * float(golden["exp_scale"])


def test_order_of_the_images_does_not_matter() -> None:
    golden = load("fid_rank_deficient")
    shuffled = np.random.default_rng(0).permutation(golden["X"])
    difference = distance(shuffled, golden["Y"]) - distance(golden["X"], golden["Y"])
    assert abs(difference) <= 1e-12 * float(golden["exp_scale"])


def test_a_set_too_small_or_not_finite_has_no_distance() -> None:
    golden = load("fid_n1_must_fail")
    with pytest.raises(TooFewSamples):
        distance(golden["X"], golden["Y"])
    with pytest.raises(TooFewSamples):
        distance(golden["Y"], golden["X"])
    golden = load("fid_nan_must_fail")
    with pytest.raises(NonFiniteInput):
        distance(golden["X"], golden["Y"])
    with pytest.raises(TooFewSamples):
        _ = statistics_of(np.ones((1, 3))).covariance
    assert statistics_of(np.ones((1, 3))).mean.tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (3, 0)])
def test_features_are_a_matrix(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch):
        statistics_of(np.ones(shape))


def test_sets_of_different_dimensions_are_refused() -> None:
    with pytest.raises(ShapeMismatch):
        distance(np.eye(3), np.eye(4))
    statistics = statistics_of(np.eye(3))
    with pytest.raises(ShapeMismatch):
        statistics.update(np.eye(4))


@pytest.mark.parametrize("kept_rows", [2048, 50, 0])
def test_any_partition_gives_the_same_statistics(kept_rows: int) -> None:
    golden = load("stats_blocked")
    for cuts in (golden["cuts"], [1, 2, 3], range(1, 200), []):
        statistics = FeatureStatistics(kept_rows=kept_rows)
        for block in np.split(golden["X"], cuts):
            statistics.update(block)
        assert statistics.count == 200
        assert statistics.mean == pytest.approx(golden["exp_mu"], rel=1e-12)
        error = np.abs(statistics.covariance - golden["exp_cov"]).max()
        assert error <= 1e-12 * np.abs(golden["exp_cov"]).max()


@pytest.mark.parametrize("kept", [(2048, 2048), (0, 2048), (2048, 0), (0, 0)])
def test_merged_statistics_are_those_of_all_rows(kept: tuple[int, int]) -> None:
    golden = load("stats_blocked")
    merged = statistics_of(golden["X"][:70], kept[0])
    other = statistics_of(golden["X"][70:], kept[1])
    merged.merge(other)
    assert (merged.count, other.count) == (200, 130)
    assert merged.mean == pytest.approx(golden["exp_mu"], rel=1e-12)
    error = np.abs(merged.covariance - golden["exp_cov"]).max()
    assert error <= 1e-12 * np.abs(golden["exp_cov"]).max()


def test_a_big_offset_costs_no_digits_when_folded() -> None:
    golden = load("fid_big_offset")
    found = frechet_distance(statistics_of(golden["X"], 0), statistics_of(golden["Y"], 0))
    assert abs(found - float(golden["exp_fid"])) <= 1e-9 * float(golden["exp_scale"])


def test_statistics_do_not_follow_a_buffer_that_is_used_again() -> None:
    buffer = np.random.default_rng(0).normal(size=(4, 3))
    statistics = statistics_of(buffer)
    expected = statistics.covariance
    buffer[:] = 0
    assert np.array_equal(statistics.covariance, expected)


def test_published_statistics_can_be_compared_with(tmp_path: Path) -> None:
    golden = load("fid_full_rank")
    path = tmp_path / "reference.npz"
    np.savez(path, mu=golden["exp_mu_y"], sigma=golden["exp_cov_y"])
    published = FeatureStatistics.from_npz(path)
    assert published.count is None
    found = frechet_distance(statistics_of(golden["X"]), published)
    assert abs(found - float(golden["exp_fid"])) <= 1e-10 * float(golden["exp_scale"])
    with pytest.raises(MetricInputError):
        published.update(golden["X"])
    with pytest.raises(MetricInputError):
        published.merge(published)


@pytest.mark.parametrize(
    "content",
    [
        {"mu": np.zeros(3)},
        {"mu": np.zeros(3), "sigma": np.eye(4)},
        {"mu": np.full(3, np.nan), "sigma": np.eye(3)},
        {"mu": np.zeros(2), "sigma": np.array([[1.0, 0.5], [0.0, 1.0]])},
    ],
)
def test_a_file_that_is_no_statistics_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "reference.npz"
    np.savez(path, **content)
    with pytest.raises(MetricInputError):
        FeatureStatistics.from_npz(path)


def test_bytes_that_are_no_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(MetricInputError):
        FeatureStatistics.from_npz(path)


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    # Own processes, because a peak never goes down.
    few, many = (
        json.loads(
            subprocess.run(
                [sys.executable, "-m", "scripts.bench.statistics_program", count],
                capture_output=True,
                check=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                text=True,
            ).stdout
        )
        for count in ("2000", "8000")
    )
    for key in ("held", "peak"):
        assert many[key] - few[key] <= 5, key  # MiB; the rows themselves would add 47


def test_features_that_come_one_by_one_are_those_that_come_at_once() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(5, 1, (STREAMED_ROWS + 700, 6)).astype(np.float32)
    at_once, streamed = statistics_of(rows), FeatureStatistics()
    for number, row in enumerate(rows):
        streamed.update(row[None])
        if number == STREAMED_ROWS + 300:
            _ = streamed.covariance  # asking in between changes nothing
    assert streamed.count == at_once.count == len(rows)
    assert streamed.mean == pytest.approx(at_once.mean, rel=1e-13)
    assert np.abs(streamed.covariance - at_once.covariance).max() <= 1e-12
    assert frechet_distance(streamed, at_once) <= 1e-11


def test_what_is_handed_out_can_be_changed_by_its_taker() -> None:
    for kept_rows in (2048, 0):
        statistics = statistics_of(np.random.default_rng(4).normal(size=(9, 3)), kept_rows)
        expected = statistics.mean.copy()
        for part in (statistics.mean, statistics.covariance):
            part += 1
        assert np.array_equal(statistics.mean, expected)
