"""What has no score is refused by a typed error, whatever it came as; what has one is taken."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.metrics.adversarial import discriminator_loss, generator_loss
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.interval import bootstrap_mean
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid
from styletransfer.metrics.perceptual import lpips_from_features
from styletransfer.metrics.structure import cfsd, ssim
from styletransfer.metrics.style import gram_matrix, style_layer_loss, style_loss

ONES = torch.ones(3)
Rows = NDArray[np.float64]


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape or (2, 3, 12, 12)))


def rows(count: int = 5, width: int = 4, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).normal(size=(count, width))


def statistics(features: Any) -> FeatureStatistics:
    return FeatureStatistics.from_features(features)


def fid(outputs: Any, references: Any) -> float:
    return frechet_distance(statistics(outputs), statistics(references))


OF_MAPS: dict[str, Callable[[Any, Any], Tensor]] = {
    "content": content_loss,
    "style layer": style_layer_loss,
    "style": lambda a, b: style_loss([a], [b]),
    "discriminator": discriminator_loss,
    "lpips": lambda a, b: lpips_from_features([a], [b], [ONES]),
    "ssim": ssim,
    "cfsd": cfsd,
}
OF_ONE: dict[str, Callable[[Any], Tensor]] = {"gram": gram_matrix, "generator": generator_loss}
OF_ROWS: dict[str, Callable[[Any, Any], float]] = {
    "fid": fid,
    "kid": kernel_distance,
    "mifid": mifid,
}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_have_no_score(bad: float) -> None:
    spoilt, features = maps(), rows()
    spoilt[1, 2, 3, 4] = features[3, 1] = bad
    for of_maps in OF_MAPS.values():
        for pair in ((spoilt, maps()), (maps(), spoilt)):
            with pytest.raises(NonFiniteInput):
                of_maps(*pair)
    for of_one in OF_ONE.values():
        with pytest.raises(NonFiniteInput):
            of_one(spoilt)
    for of_rows in OF_ROWS.values():
        for each in ((features, rows()), (rows(), features)):
            with pytest.raises(NonFiniteInput):
                of_rows(*each)
    with pytest.raises(NonFiniteInput):
        bootstrap_mean([1.0, bad, 2.0], seed=1)
    with pytest.raises(NonFiniteInput):
        lpips_from_features([maps()], [maps()], [torch.tensor([1.0, bad, 1.0])])


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_what_overflows_has_no_score() -> None:
    huge, features = maps(), rows()
    huge[0, 0, 0, 0] = features[0, 0] = 1e308
    calls: list[Callable[[], object]] = [
        lambda: content_loss(huge, maps()),
        lambda: style_layer_loss(huge, maps()),
        lambda: generator_loss(huge),
        lambda: fid(features, rows()),
        lambda: kernel_distance(features, rows()),
        lambda: bootstrap_mean([1.7e308, 1.7e308], seed=1),
    ]
    for call in calls:
        with pytest.raises(NonFiniteInput):
            call()


@pytest.mark.parametrize("name", OF_MAPS)
def test_maps_that_do_not_fit_are_refused(name: str) -> None:
    measure = OF_MAPS[name]
    with pytest.raises(ShapeMismatch):
        measure(maps()[0], maps()[0])
    with pytest.raises(ShapeMismatch):
        measure(maps(0, 3, 12, 12), maps(0, 3, 12, 12))
    with pytest.raises(MetricInputError):
        measure(maps().long(), maps().long())
    if name == "discriminator":
        return  # it takes any number of patches and images of either kind
    with pytest.raises(ShapeMismatch):
        measure(maps(2, 3, 12, 12), maps(3, 3, 12, 12))
    with pytest.raises(ShapeMismatch):
        measure(maps(), maps(2, 4, 12, 12))
    if not name.startswith("style"):  # of another size, its Gram matrix still compares
        with pytest.raises(ShapeMismatch):
            measure(maps(), maps(2, 3, 13, 12))


def test_layers_are_alike_in_number_and_images() -> None:
    two, three = [maps(2, 3, 4, 4), maps(3, 3, 4, 4)], [maps()] * 3
    calls: list[Callable[[], object]] = [
        lambda: style_loss([], []),
        lambda: style_loss(three, three[:2]),
        lambda: style_loss(three, three, [1.0]),
        lambda: style_loss(two, two),
        lambda: lpips_from_features(two, two, [ONES] * 2),
        lambda: lpips_from_features(three, three, [ONES]),
        lambda: lpips_from_features([maps()], [maps()], [torch.ones(4)]),
    ]
    for call in calls:
        with pytest.raises(ShapeMismatch):
            call()


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_style_weights_are_finite_and_not_negative(weight: float) -> None:
    same = maps()
    with pytest.raises(MetricInputError, match="weights"):
        style_loss([same], [same], [weight])


@pytest.mark.parametrize("name", OF_ROWS)
def test_sets_that_have_no_distance_are_refused(name: str) -> None:
    measure = OF_ROWS[name]
    for one in ((rows(1), rows()), (rows(), rows(1))):
        with pytest.raises(TooFewSamples):
            measure(*one)
    for pair in ((rows(), rows(5, 3)), (rows()[0], rows()), ([[1.0, 2.0], [3.0]], rows())):
        with pytest.raises(ShapeMismatch):
            measure(*pair)
    for words in ([["a", "b"]] * 3, rows() + 1j, [[None, 1.0]] * 3, None):
        with pytest.raises(MetricInputError):
            measure(words, rows())


@pytest.mark.parametrize(
    "indices", [[[0.0, 1.0]], [[True, False]], [[0, 2]], [[0, -1]], [0, 1], [], "ab"]
)
def test_indices_that_draw_nothing_are_refused(indices: Any) -> None:
    with pytest.raises(MetricInputError):
        bootstrap_mean([1.0, 2.0], indices=indices)


def test_means_of_nothing_or_of_words_are_refused() -> None:
    for values in ([], rows(), ["a"], [[1.0], [2.0, 3.0]]):
        with pytest.raises(MetricInputError):
            bootstrap_mean(values, seed=1)
    for options in ({}, {"seed": -1}, {"seed": 1, "level": 1.0}, {"seed": 1, "resamples": 0}):
        with pytest.raises(MetricInputError):
            bootstrap_mean([1.0, 2.0], **options)


@pytest.mark.parametrize("name", [*OF_MAPS, *OF_ONE])
def test_maps_may_be_arrays_of_any_layout(name: str) -> None:
    a, b = maps(seed=1), maps(seed=2)

    def one(first: Any, second: Any) -> Tensor:
        return OF_ONE[name](first) if name in OF_ONE else OF_MAPS[name](first, second)

    expected = one(a, b)
    swapped = [
        np.ascontiguousarray(each.numpy().astype(">f8")[:, :, ::-1])[:, :, ::-1] for each in (a, b)
    ]
    for arrays in ([a.numpy(), b.numpy()], swapped):
        assert torch.equal(one(*arrays), expected)


@pytest.mark.parametrize("name", [name for name in OF_MAPS if name != "discriminator"])
def test_one_reference_serves_all_outputs(name: str) -> None:
    outputs, one = maps(3, 3, 12, 12), maps(1, 3, 12, 12, seed=3)
    first, second = (one, outputs) if name == "cfsd" else (outputs, one)
    repeated = [each.repeat(3 // len(each), 1, 1, 1) for each in (first, second)]
    torch.testing.assert_close(
        OF_MAPS[name](first, second), OF_MAPS[name](*repeated), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("name", OF_ROWS)
def test_rows_may_be_tensors_and_lists(name: str) -> None:
    a, b = rows(seed=1), rows(6, seed=2)
    expected = OF_ROWS[name](a, b)
    tensor = torch.from_numpy(a).requires_grad_()
    for given in (tensor, a.tolist(), a.astype(">f8")):
        assert OF_ROWS[name](given, b) == expected
    half = torch.from_numpy(a).bfloat16()
    assert OF_ROWS[name](half, b) == OF_ROWS[name](half.double().numpy(), b)


def test_values_and_indices_may_be_tensors_and_lists() -> None:
    values = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    drawn = [[0, 1, 1], [2, 2, 0], [1, 1, 1]]
    expected = bootstrap_mean([1.0, 2.0, 4.0], indices=np.array(drawn))
    assert bootstrap_mean(values, indices=torch.tensor(drawn)) == expected
    assert bootstrap_mean(values, indices=drawn) == expected


def test_self_similarity_is_made_in_blocks() -> None:
    # The 9,216 positions squared take 650 MiB, and four such matrices would be held.
    program = (
        "import torch\n"
        "from styletransfer.footprint import Footprint\n"
        "from styletransfer.metrics.structure import cfsd\n"
        "features = torch.rand(2, 1, 4, 96, 96)\n"
        "cfsd(*features[:, :, :, :8, :8])\n"
        "footprint = Footprint()\n"
        "with torch.inference_mode():\n"
        "    cfsd(*features)\n"
        "print(footprint.added_bytes())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert int(found.stdout) < 256 * 2**20
