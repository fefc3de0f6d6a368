"""VGG-19: layers, layout, gradients, and that the surrogate tells images apart."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from styletransfer.errors import MetricInputError, ShapeMismatch
from styletransfer.recipe import VGG19_LAYERS
from styletransfer.surrogate_weights import make_weights as make_surrogate
from styletransfer.surrogates import VGG
from styletransfer.values import Image
from styletransfer.vgg import Vgg19, deepest_of, to_batch
from styletransfer.weights import load_vgg


@pytest.fixture(scope="module")
def network() -> Vgg19:
    return load_vgg(VGG)[0]


def make_image(seed: int, side: int = 64) -> Image:
    """Paint smooth random blobs: noise alone would look the same to any network."""
    small = torch.from_numpy(np.random.default_rng(seed).random((1, 3, 6, 6), dtype=np.float32))
    large = F.interpolate(small, size=(side, side), mode="bicubic").clamp(0, 1)
    pixels: Image = (large[0].permute(1, 2, 0) * 255).byte().numpy()
    return pixels


def test_features_are_those_of_the_published_layers() -> None:
    # The same network written out by hand, from the published names.
    weights = {key: torch.from_numpy(array) for key, array in make_surrogate(VGG).items()}
    maps = to_batch([make_image(0)]).contiguous()
    maps = (maps - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    expected, position = {}, 0
    for name in VGG19_LAYERS:
        if name.endswith("_1") and name != "relu1_1":
            maps, position = F.max_pool2d(maps, 2), position + 1
        kernel, bias = weights[f"features.{position}.weight"], weights[f"features.{position}.bias"]
        maps, position = F.relu(F.conv2d(maps, kernel, bias, padding=1)), position + 2
        expected[name] = maps
    full = load_vgg(VGG, deepest="relu5_4")[0]
    found = full.features(to_batch([make_image(0)]), VGG19_LAYERS)
    assert set(found) == set(expected) == set(VGG19_LAYERS)
    for name, features in found.items():
        error = (features - expected[name]).norm() / expected[name].norm()
        assert error < 1e-5, name


def test_published_numbers_of_the_layers_are_kept() -> None:
    # relu5_4 ends torchvision's `features` before its last pooling: number 35 of 0..36.
    assert len(Vgg19("relu5_4").stack) == 36
    assert len(Vgg19("relu5_1").stack) == 30


def test_a_visit_hands_over_the_same_maps_in_order(network: Vgg19) -> None:
    batch, layers = to_batch([make_image(1)]), ("relu4_2", "relu1_1", "relu5_1")
    seen: list[str] = []

    def take(layer: str, features: torch.Tensor) -> None:
        seen.append(layer)
        assert features.is_inference()
        assert features.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(features, expected[layer])

    expected = network.features(batch, layers)
    network.visit(batch, layers, take)
    assert seen == ["relu1_1", "relu4_2", "relu5_1"]


def test_gradients_reach_the_image_and_only_the_image(network: Vgg19) -> None:
    image = to_batch([make_image(2)]).requires_grad_()
    loss = sum(maps.square().mean() for maps in network.features(image, ["relu3_1"]).values())
    assert isinstance(loss, torch.Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert image.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_maps_are_not_overwritten_by_later_layers(network: Vgg19) -> None:
    batch = to_batch([make_image(3)])
    alone = network.features(batch, ["relu1_1"])["relu1_1"]
    assert torch.equal(network.features(batch, ["relu1_1", "relu5_1"])["relu1_1"], alone)


def test_the_network_ends_where_nothing_deeper_is_needed(network: Vgg19) -> None:
    assert deepest_of(["relu4_2", "relu3_4"]) == "relu4_2"
    with pytest.raises(MetricInputError, match="relu5_1"):
        network.features(to_batch([make_image(0)]), ["relu5_2"])
    with pytest.raises(MetricInputError, match="conv9"):
        Vgg19("conv9")


def test_surrogate_activations_neither_vanish_nor_explode_nor_coincide() -> None:
    full = load_vgg(VGG, deepest="relu5_4")[0]
    found = full.features(to_batch([make_image(seed) for seed in range(4)]), VGG19_LAYERS)
    for name, maps in found.items():
        flat = maps.flatten(1)
        assert 0.2 < flat.square().mean().sqrt() < 5, name
        assert 0.2 < (flat > 0).float().mean() < 0.8, name
        alike = torch.nn.functional.cosine_similarity(flat[:1], flat[1:])
        assert alike.max() < 0.95, name


def test_pixels_become_floats_in_one_layout_whatever_theirs_was() -> None:
    image = make_image(4, side=16)
    assert not image.flags.c_contiguous
    batch = to_batch([image, image])
    assert batch.shape == (2, 3, 16, 16)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch[1, 2, 3, 5].item() == np.float32(image[3, 5, 2]) / np.float32(255)


@pytest.mark.parametrize(
    "images",
    [
        [],
        [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)],
        [np.zeros((4, 4, 4), np.uint8)],
        [np.zeros((4, 4, 3), np.float32)],
    ],
)
def test_anything_but_rgb_images_of_one_size_is_refused(images: list[Image]) -> None:
    with pytest.raises(ShapeMismatch):
        to_batch(images)
