"""The FID network beside pytorch-fid itself: same pixels, same weights."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from styletransfer.errors import ShapeMismatch, WeightsMismatch
from styletransfer.inception import FEATURES, FidInception
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.surrogate_weights import make_weights
from styletransfer.surrogates import INCEPTION
from styletransfer.torchvision_compat import import_torchvision
from styletransfer.values import Image
from styletransfer.vgg import to_batch
from styletransfer.weights import load_inception

COUNT = 12


@pytest.fixture(scope="module")
def network() -> FidInception:
    return load_inception(INCEPTION)[0]


@pytest.fixture(scope="module")
def images() -> list[Image]:
    """Make two sets of noise, the second one smoother and darker."""
    rng = np.random.default_rng(0)
    fine = [rng.integers(0, 256, (96, 80, 3), dtype=np.uint8) for _ in range(COUNT // 2)]
    coarse = [
        np.kron(rng.integers(0, 128, (12, 10, 3)), np.ones((8, 8, 1), np.int64)).astype(np.uint8)
        for _ in range(COUNT // 2)
    ]
    return fine + coarse


@pytest.fixture(scope="module")
def features(network: FidInception, images: list[Image]) -> np.ndarray[Any, Any]:
    return network.features(images).numpy()


@pytest.fixture(scope="module")
def peers_features(
    images: list[Image], tmp_path_factory: pytest.TempPathFactory
) -> np.ndarray[Any, Any]:
    """Run pytorch-fid's own reading, network and loop on PNG files."""
    import_torchvision()
    from pytorch_fid import fid_score, inception

    folder = tmp_path_factory.mktemp("peer")
    files = []
    for number, image in enumerate(images):
        files.append(folder / f"{number:02}.png")
        Pillow.fromarray(image).save(files[-1])
    # Where it looks for its published file, it finds the surrogate under that name.
    weights = {key: torch.from_numpy(array) for key, array in make_weights(INCEPTION).items()}
    weights |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    torch.save(weights, checkpoints / inception.FID_WEIGHTS_URL.rpartition("/")[2])
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(folder))
    try:
        network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    finally:
        torch.hub.set_dir(before)
    features: np.ndarray[Any, Any] = fid_score.get_activations(
        files, network, batch_size=COUNT // 2, dims=2048, device="cpu", num_workers=0
    )
    return features


def test_features_are_pytorch_fids(
    features: np.ndarray[Any, Any], peers_features: np.ndarray[Any, Any]
) -> None:
    assert features.shape == peers_features.shape == (COUNT, FEATURES)
    error = np.linalg.norm(features - peers_features) / np.linalg.norm(peers_features)
    assert error < 1e-4


def test_the_distance_is_pytorch_fids(
    features: np.ndarray[Any, Any], peers_features: np.ndarray[Any, Any]
) -> None:
    ours = frechet_distance(*map(FeatureStatistics.from_features, np.split(features, 2)))
    # Textbook FID from the peer's features by eigenvalues. In the basis of all the features'
    # span, which changes no distance: 2048 x 2048 matrices would take minutes.
    basis = np.linalg.qr(peers_features.T)[0]
    first, second = np.split(peers_features @ basis, 2)
    shift = first.mean(axis=0) - second.mean(axis=0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(one @ two).astype(complex)).real
    theirs = shift @ shift + np.trace(one) + np.trace(two) - 2 * roots.sum()
    assert theirs > 1
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_features_of_an_image_hardly_depend_on_its_batch(
    network: FidInception, images: list[Image], features: np.ndarray[Any, Any]
) -> None:
    together = network(to_batch(images[:3])).numpy()
    error = np.linalg.norm(together - features[:3]) / np.linalg.norm(features[:3])
    assert error < 1e-4


def test_equal_images_have_equal_features_and_others_differ_clearly(
    network: FidInception, images: list[Image], features: np.ndarray[Any, Any]
) -> None:
    assert np.array_equal(network.features(images[:2]).numpy(), features[:2])
    spread = np.linalg.norm(features - features.mean(axis=0), axis=1).mean()
    assert spread / np.linalg.norm(features, axis=1).mean() > 0.05
    assert features.min() >= 0
    assert (features.max(axis=0) > 0).mean() > 0.9


def test_weights_that_do_not_fit_are_refused() -> None:
    weights = {key: torch.from_numpy(array) for key, array in make_weights(INCEPTION).items()}
    broken = weights | {"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 5, 5)}
    with pytest.raises(WeightsMismatch):
        FidInception(broken)
    broken = weights | {"Mixed_7c.branch1x1.bn.running_var": torch.full((320,), float("nan"))}
    with pytest.raises(WeightsMismatch):
        FidInception(broken)
    del weights["Mixed_6a.branch3x3.bn.bias"]
    with pytest.raises(WeightsMismatch):
        FidInception(weights)


def test_one_image_needs_its_batch_dimension(network: FidInception) -> None:
    with pytest.raises(ShapeMismatch):
        network(torch.zeros(3, 64, 64))
