"""LPIPS: the network against the package that its authors publish."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from styletransfer.errors import ShapeMismatch, WeightsMismatch
from styletransfer.lpips import SMALLEST_SIDE, Lpips
from styletransfer.surrogate_weights import make_weights
from styletransfer.surrogates import LPIPS
from styletransfer.torchvision_compat import import_torchvision
from styletransfer.vgg import to_batch
from styletransfer.weights import load_lpips


@pytest.fixture(scope="module")
def network() -> Lpips:
    return load_lpips(LPIPS)[0]


def make_images(side: int, seed: int) -> Tensor:
    """Draw two images: coarse shapes, so that all layers have something to see, and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (2, 8, 8, 3)).repeat(side // 8 + 2, 1).repeat(side // 8 + 2, 2)
    noise = rng.integers(-30, 31, (2, side, side + 5, 3))
    pixels = np.clip(coarse[:, :side, : side + 5] + noise, 0, 255).astype(np.uint8)
    return to_batch(list(pixels))


def open_peer(weights: Mapping[str, Tensor], lins: str) -> Any:
    """Return the package's network with our convolutions; its own ``lins`` or ours."""
    import_torchvision()
    import lpips  # only now can it: it imports torchvision

    peer = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=lins == "published", verbose=False)
    convolutions = [module for module in peer.net.modules() if isinstance(module, torch.nn.Conv2d)]
    named = [name for name in weights if name.startswith("features") and name.endswith("weight")]
    for convolution, name in zip(convolutions, named, strict=True):
        bias = weights[name.replace("weight", "bias")]
        convolution.load_state_dict({"weight": weights[name], "bias": bias})
    if lins == "ours":
        own = {name: value for name, value in weights.items() if name.startswith("lin")}
        assert not peer.load_state_dict(own, strict=False).unexpected_keys
    return peer.eval()


@pytest.mark.filterwarnings("ignore:.*:UserWarning:torchvision")
@pytest.mark.parametrize("lins", ["published", "ours"])
@pytest.mark.parametrize("side", [SMALLEST_SIDE, 64, 130])
def test_it_agrees_with_the_package_of_its_authors(side: int, lins: str) -> None:
    generator = torch.Generator().manual_seed(5)
    weights = {key: torch.from_numpy(array) for key, array in make_weights(LPIPS).items()}
    for name, value in weights.items():
        if name.endswith("bias"):  # the surrogate's are zero
            weights[name] = torch.randn(value.shape, generator=generator) * 0.1
        if name.startswith("lin"):
            weights[name] = torch.rand(value.shape, generator=generator)
    peer = open_peer(weights, lins)
    if lins == "published":
        weights |= {name: value for name, value in peer.state_dict().items() if name in weights}
    ours = Lpips()
    ours.load_published(weights)
    a, b = make_images(side, 1), make_images(side, 2)
    with torch.inference_mode():
        expected = peer(a, b, normalize=True).flatten().double()
    found = ours(a, b)
    assert expected.min() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_equal_images_are_at_distance_zero(network: Lpips) -> None:
    images = make_images(64, 1)
    assert network(images, images.clone()).tolist() == [0.0, 0.0]


def test_an_image_may_be_compared_with_several(network: Lpips) -> None:
    a, b = make_images(64, 1), make_images(64, 2)
    one = network.compare(network.take_features(a), network.take_features(b[:1]))
    torch.testing.assert_close(one, network(a, b[[0, 0]]), rtol=1e-6, atol=0)


def test_a_blur_is_nearer_than_another_image(network: Lpips) -> None:
    images = make_images(64, 1)
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    assert network(images, blurred).max() < 0.5 * network(images, make_images(64, 2)).min()


def test_what_its_strides_would_shrink_to_nothing_is_refused(network: Lpips) -> None:
    network.take_features(torch.zeros(1, 3, SMALLEST_SIDE, SMALLEST_SIDE))
    for shape in ((1, 3, SMALLEST_SIDE - 1, 64), (1, 1, 64, 64), (3, 64, 64)):
        with pytest.raises(ShapeMismatch):
            network.take_features(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("features.3.weight", torch.zeros(192, 64, 3, 3), "not the weights"),
        ("features.10.bias", torch.full((256,), float("nan")), "NaN"),
        ("lin2.model.1.weight", torch.full((1, 384, 1, 1), -0.1), "negative"),
        ("lin4.model.1.weight", torch.zeros(1, 3, 1, 1), "not the weights"),
        ("features.8.weight", None, "not the weights"),
    ],
)
def test_weights_that_are_not_those_of_lpips_are_refused(
    name: str, value: Tensor | None, match: str
) -> None:
    weights = {key: torch.from_numpy(array) for key, array in make_weights(LPIPS).items()}
    if value is None:
        del weights[name]
    else:
        weights[name] = value
    with pytest.raises(WeightsMismatch, match=match):
        Lpips().load_published(weights)
