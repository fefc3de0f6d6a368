"""Kernel and memorization distances against golden values and slow definitions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid, nearest_distance

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(name="kid")
def read_kid() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "kid.npz") as file:
        return dict(file)


def test_the_kernel_distance_is_the_golden_value(kid: dict[str, np.ndarray]) -> None:
    scale = float(np.square(kid["X"]).sum(axis=1).mean()) ** 3  # of the kernel's values
    assert kernel_distance(kid["X"], kid["Y"]) == pytest.approx(
        float(kid["exp_full"]), abs=1e-10 * max(1, scale / kid["X"].shape[1] ** 3)
    )
    same = kernel_distance(kid["X"], kid["X"])
    assert same < 0
    assert same == pytest.approx(float(kid["exp_same_full"]), rel=1e-10)


def test_subsets_of_the_kernel_distance_are_the_golden_values(kid: dict[str, np.ndarray]) -> None:
    found = [
        kernel_distance(kid["X"][rows], kid["Y"][others])
        for rows, others in zip(kid["ix"], kid["iy"], strict=True)
    ]
    assert found == pytest.approx(kid["exp_subset_values"].tolist(), rel=1e-10)
    assert np.mean(found) == pytest.approx(float(kid["exp_subset_mean"]), rel=1e-10)
    assert np.std(found) == pytest.approx(float(kid["exp_subset_std"]), rel=1e-10)


def test_the_kernel_distance_does_not_depend_on_blocks_or_order(
    kid: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = kernel_distance(kid["X"], kid["Y"])
    monkeypatch.setattr("styletransfer.metrics.kernel.BLOCK_ROWS", 7)
    assert kernel_distance(kid["X"], kid["Y"]) == pytest.approx(whole, rel=1e-12)
    assert kernel_distance(kid["X"][::-1], kid["Y"]) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("measure", [kernel_distance, mifid])
def test_sets_without_a_distance_are_refused(
    measure: Callable[[ArrayLike, ArrayLike], float],
) -> None:
    good = np.random.default_rng(0).normal(size=(5, 4))
    with pytest.raises(TooFewSamples):
        measure(good[:1], good)
    with pytest.raises(ShapeMismatch):
        measure(good, good[:, :3])
    with pytest.raises(ShapeMismatch):
        measure(good[0], good)
    broken = good.copy()
    broken[0, 0] = np.nan
    with pytest.raises(NonFiniteInput):
        measure(broken, good)


def test_the_memorization_distance_is_its_definition() -> None:
    random = np.random.default_rng(1)
    outputs, references = random.normal(size=(6, 5)), random.normal(size=(9, 5))
    expected = np.mean(
        [
            min(1 - abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b) for b in references)
            for a in outputs
        ]
    )
    assert nearest_distance(outputs, references) == pytest.approx(float(expected), rel=1e-12)


def test_only_outputs_near_the_references_are_punished() -> None:
    random = np.random.default_rng(2)
    references = random.normal(size=(40, 64))
    far = random.normal(size=(40, 64))
    near = references + 0.05 * random.normal(size=(40, 64))

    def fid(outputs: np.ndarray) -> float:
        sides = (FeatureStatistics.from_features(each) for each in (outputs, references))
        return frechet_distance(*sides)

    assert nearest_distance(far, references) > 0.1
    assert mifid(far, references) == fid(far)
    assert 0 < nearest_distance(near, references) < 0.1
    assert mifid(near, references) == pytest.approx(
        fid(near) / nearest_distance(near, references), rel=1e-12
    )
    assert mifid(near, references) > 100 * fid(near)
    assert mifid(near, references, eps=1e-6) == fid(near)


def test_a_feature_without_a_direction_is_near_nothing() -> None:
    references = np.eye(4)
    assert nearest_distance(np.zeros((2, 4)), references) == 1.0


def test_eps_that_suspects_nobody_is_refused() -> None:
    with pytest.raises(MetricInputError):
        mifid(np.eye(3), np.eye(3), eps=0)
