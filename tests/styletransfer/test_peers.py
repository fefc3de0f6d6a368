"""Our numbers beside the packages that people know them from, on equal inputs and weights.

The Inception networks run on weights whose batch normalisation is not the identity: folding it into
the convolutions has to be right.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scripts.bench import agreement, peers, pictures
from styletransfer.folder_features import Convention, measure_folder
from styletransfer.folders import Folder
from styletransfer.images import encode_png
from styletransfer.inception import FidInception
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.memorization import nearest_distance
from styletransfer.values import Image
from styletransfer.vgg import to_batch

COUNT = 3
# Two programs in float32, one with folded weights: what the distances' bar of 1e-5 leaves them.
FEATURES = 1e-4


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(name="weights", scope="module")
def write_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peers.write_weights(tmp_path_factory.mktemp("peers") / "weights", seed=3)


@pytest.fixture(name="tools", scope="module")
def open_tools(weights: Path) -> dict[str, peers.Peer]:
    return dict(peers.open_peers(weights))


@pytest.fixture(name="network", scope="module")
def load_ours() -> FidInception:
    return FidInception(peers.inception_weights(seed=3))


@pytest.fixture(name="sides", scope="module")
def make_sides() -> list[list[Image]]:
    return [[pictures.make(seed + number, 192) for number in range(COUNT)] for seed in (0, 100)]


def eigenvalue_distance(*sides: np.ndarray[Any, Any]) -> float:
    """Return the distance as torch-fidelity takes it, in the span of the features.

    In any basis of that span the distance is the same, and the matrices are small.
    """
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    basis = np.linalg.qr(np.concatenate(sides).astype(np.float64).T)[0]
    statistics = [fid_features_to_statistics(torch.from_numpy(side @ basis)) for side in sides]
    found: float = fid_statistics_to_metric(*statistics, verbose=False)[
        "frechet_inception_distance"
    ]
    return found


def relative_error(found: Any, expected: Any) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_the_weights_normalise_their_batches() -> None:
    weights = peers.inception_weights(seed=3)
    for part, neutral in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
        assert (weights[f"Mixed_6a.branch3x3.bn.{part}"] - neutral).abs().mean() > 0.05


@pytest.mark.parametrize(
    ("tool", "preparation"), [("pytorch-fid", "pytorch"), ("clean-fid", "clean")]
)
def test_features_and_distances_are_those_of_the_tool(
    tool: str,
    preparation: str,
    tools: dict[str, peers.Peer],
    network: FidInception,
    sides: list[list[Image]],
    tmp_path: Path,
) -> None:
    expected = [tools[tool].features(side) for side in sides]
    found = []
    for name, images in zip("ab", sides, strict=True):
        pictures_folder = write(tmp_path / name, images)
        found.append(
            measure_folder(Folder.read(pictures_folder), network, Convention(preparation, ""))
        )
    for ours, theirs in zip(found, expected, strict=True):
        assert relative_error(ours.rows, theirs) < FEATURES
    distance = frechet_distance(*(each.statistics for each in found))
    known = eigenvalue_distance(*expected)
    assert known > 1
    assert distance == pytest.approx(known, rel=1e-5)


def test_preparations_of_other_tools_are_not_ours(
    tools: dict[str, peers.Peer], network: FidInception, sides: list[list[Image]]
) -> None:
    features = {name: tool.features(sides[0][:2]) for name, tool in tools.items()}
    ours = network.features(sides[0][:2]).numpy()
    for name in ("torch-fidelity", "torchmetrics", "clean-fid"):
        assert relative_error(ours, features[name]) > 100 * FEATURES


def test_order_and_batches_hardly_change_the_distance(
    network: FidInception, sides: list[list[Image]]
) -> None:
    alone = distance_in_batches(network, sides, 1)
    for batch in (2, COUNT):
        assert distance_in_batches(network, sides, batch) == pytest.approx(alone, rel=1e-6)
    backwards = [side[::-1] for side in sides]
    assert distance_in_batches(network, backwards, 2) == pytest.approx(alone, rel=1e-6)


def distance_in_batches(
    network: FidInception, sides: Sequence[Sequence[Image]], batch: int
) -> float:
    statistics = []
    for images in sides:
        one = FeatureStatistics()
        for start in range(0, len(images), batch):
            one.update(network(to_batch(images[start : start + batch])).numpy())
        statistics.append(one)
    return frechet_distance(*statistics)


def test_kid_is_torch_fidelitys_on_the_subsets_that_it_draws() -> None:
    assert agreement.kid_difference(*agreement.make_features()) < 1e-12


@pytest.mark.parametrize("nearby", [False, True])
def test_mifid_is_torchmetrics_with_the_sets_swapped(nearby: bool) -> None:
    outputs, references = agreement.make_features(nearby=nearby)
    assert (nearest_distance(outputs, references) < 0.1) is nearby
    assert agreement.mifid_difference(outputs, references) < 1e-9


def test_ssim_is_scikit_images() -> None:
    assert agreement.ssim_difference() < 1e-12


def test_clean_resizing_is_clean_fids_up_and_down() -> None:
    assert agreement.resize_difference() < 1e-3


def write(folder: Path, images: Sequence[Image]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number}.png").write_bytes(encode_png(image))
    return folder
