from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from styletransfer.errors import CheckpointRejected
from styletransfer.inference import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FileSize,
    Floats,
    stylise,
    to_pixels,
)
from styletransfer.manifest import Manifest
from styletransfer.memory_need import MemoryNeed

RANGES = ["0..1", "-1..1", "0..255", "imagenet"]
PIXELS = np.random.default_rng(2).integers(0, 256, (9, 14, 3), dtype=np.uint8)
CONTENT = {"role": "content", "name": "content"}
STYLE = {"role": "style", "name": "style"}


@dataclass
class Network:
    """A generator that is a function of arrays; it keeps what it was given."""

    manifest: Manifest
    function: Callable[..., Floats]
    size_multiple: int = 1
    fixed_sizes: Mapping[str, FileSize] = field(default_factory=dict)
    parameters_count: int = 0
    memory_need: MemoryNeed | None = None
    seen: dict[str, Floats] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.manifest.roles()

    def run(self, images: Mapping[str, Floats]) -> Floats:
        self.seen = dict(images)
        return self.function(*(images[role] for role in self.inputs))


def declare(**changes: Any) -> Manifest:
    plain = {"format": "onnx", "input_range": "0..255", "output_range": "0..255"}
    return Manifest.model_validate(plain | changes)


def identity(x: Floats) -> Floats:
    return x


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("declared", RANGES)
def test_a_network_that_copies_gives_back_exactly_its_pixels(declared: str, order: str) -> None:
    every_value = np.arange(768, dtype=np.uint16).astype(np.uint8).reshape(16, 16, 3)
    manifest = declare(input_range=declared, output_range=declared, channel_order=order)
    assert np.array_equal(to_pixels(stylise(Network(manifest, identity), every_value)), every_value)


@pytest.mark.parametrize(
    ("declared", "black", "white"),
    [
        ("0..1", [0, 0, 0], [1, 1, 1]),
        ("-1..1", [-1, -1, -1], [1, 1, 1]),
        ("0..255", [0, 0, 0], [255, 255, 255]),
        ("imagenet", [-2.1179, -2.0357, -1.8044], [2.2489, 2.4286, 2.64]),
    ],
)
def test_the_network_sees_the_range_it_was_trained_with(
    declared: str, black: list[float], white: list[float]
) -> None:
    network = Network(declare(input_range=declared), identity)
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    picture[0, 1] = 255
    stylise(network, picture)
    seen = network.seen["content"]
    assert seen.dtype == np.float32
    assert seen.shape == (1, 3, 4, 4)
    np.testing.assert_allclose(seen[0, :, 0, 0], black, atol=1e-4)
    np.testing.assert_allclose(seen[0, :, 0, 1], white, atol=1e-4)


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [("0..1", 1.5, 382.5), ("-1..1", -2.0, -127.5), ("0..255", -30.0, -30.0)],
)
def test_what_comes_out_is_on_the_scale_of_pixels_and_not_clamped(
    declared: str, value: float, expected: float
) -> None:
    network = Network(declare(output_range=declared), lambda x: np.full_like(x, value))
    assert np.all(stylise(network, PIXELS) == np.float32(expected))


def test_imagenet_statistics_go_with_the_colour_not_with_the_position() -> None:
    network = Network(declare(input_range="imagenet", channel_order="BGR"), identity)
    stylise(network, np.full((4, 4, 3), [255, 0, 0], dtype=np.uint8))
    red = (1 - IMAGENET_MEAN[0]) / IMAGENET_STD[0]
    assert network.seen["content"][0, 2, 0, 0] == pytest.approx(red, abs=1e-5)


def test_bgr_networks_see_and_answer_blue_first() -> None:
    first_channel = np.array([1, 0, 0], dtype=np.float32).reshape(1, 3, 1, 1)
    network = Network(declare(channel_order="BGR"), lambda x: x * first_channel)
    output = stylise(network, np.full((4, 4, 3), [10, 20, 30], dtype=np.uint8))
    assert network.seen["content"][0, :, 0, 0].tolist() == [30, 20, 10]
    assert output[0, 0].tolist() == [0, 0, 30]


def test_sides_are_padded_by_reflection_right_and_below_and_cropped_back() -> None:
    network = Network(declare(size={"multiple_of": 8}), identity)
    output = stylise(network, PIXELS)
    padded = network.seen["content"][0].transpose(1, 2, 0)
    assert padded.shape == (16, 16, 3)
    assert np.array_equal(padded[:9, :14], PIXELS)
    assert np.array_equal(padded[9, :14], PIXELS[7])
    assert np.array_equal(padded[:9, 15], PIXELS[:, 11])
    assert np.array_equal(to_pixels(output), PIXELS)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (5, 64, 3)])
def test_a_picture_smaller_than_its_padding_is_padded_too(shape: tuple[int, ...]) -> None:
    picture = np.arange(np.prod(shape)).astype(np.uint8).reshape(shape)
    network = Network(declare(size={"multiple_of": 64}), identity)
    assert np.array_equal(to_pixels(stylise(network, picture)), picture)
    assert network.seen["content"].shape == (1, 3, 64, 64)


def test_the_network_s_own_multiple_counts_as_well_as_the_declared_one() -> None:
    network = Network(declare(size={"multiple_of": 6}), identity, size_multiple=4)
    stylise(network, PIXELS)
    assert network.seen["content"].shape == (1, 3, 12, 24)


def test_the_style_picture_goes_to_the_input_with_its_role() -> None:
    manifest = declare(inputs=[STYLE, CONTENT], input_range="0..1", output_range="0..1")
    network = Network(manifest, lambda style, content: content * 0 + style.mean())
    output = stylise(network, PIXELS, np.full((4, 4, 3), 51, dtype=np.uint8))
    np.testing.assert_allclose(output, 51, rtol=1e-5)


def test_a_network_with_two_inputs_needs_a_style() -> None:
    network = Network(declare(inputs=[CONTENT, STYLE]), lambda content, style: content)
    with pytest.raises(ValueError, match="style"):
        stylise(network, PIXELS)


def refusal(network: Network, picture: Any = PIXELS) -> CheckpointRejected:
    with pytest.raises(CheckpointRejected) as caught:
        stylise(network, picture)
    return caught.value


def test_a_declared_size_other_than_the_picture_s_is_refused_naming_both() -> None:
    error = refusal(Network(declare(size={"fixed": [256, 256]}), identity))
    assert error.code == "wrong_size"
    assert error.facts == {"expected": [9, 14], "found": [256, 256]}


def test_a_size_fixed_in_the_file_is_refused_unless_it_fits() -> None:
    at_another = Network(declare(), identity, fixed_sizes={"content": (64, 64)})
    assert refusal(at_another).facts == {"expected": [9, 14], "found": [64, 64]}
    half_free = Network(declare(), identity, fixed_sizes={"content": (64, None)})
    assert refusal(half_free).facts == {"expected": [9, 14], "found": [64, 16]}
    for fitting in [(9, 14), (12, 16), (None, 16), (9, None)]:
        network = Network(declare(), identity, fixed_sizes={"content": fitting})
        assert np.array_equal(to_pixels(stylise(network, PIXELS)), PIXELS)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, :, :-4],
        lambda x: x[:, :1],
        lambda x: x[0],
        lambda x: np.repeat(x, 2, axis=0),
        lambda x: x.transpose(0, 2, 3, 1),
    ],
)
def test_an_output_of_another_shape_is_refused(function: Callable[[Floats], Floats]) -> None:
    error = refusal(Network(declare(), function))
    assert error.code == "output_shape"
    assert error.facts["expected"] == [1, 3, 12, 16]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(value: float) -> None:
    def break_one(x: Floats) -> Floats:
        broken = x.copy()
        broken[0, 1, 2, 3] = value
        return broken

    error = refusal(Network(declare(), break_one))
    assert (error.code, error.facts) == ("non_finite_output", {"values": 1})
    with pytest.raises(CheckpointRejected, match="NaN"):
        to_pixels(np.full((2, 2, 3), value, dtype=np.float32))


def test_nan_in_the_padding_only_is_cropped_away() -> None:
    def break_padding(x: Floats) -> Floats:
        broken = x.copy()
        broken[:, :, 9:] = np.nan
        return broken

    assert np.array_equal(to_pixels(stylise(Network(declare(), break_padding), PIXELS)), PIXELS)


def test_huge_but_finite_outputs_are_clamped_not_refused() -> None:
    network = Network(declare(output_range="0..1"), lambda x: np.full_like(x, 3e38))
    assert np.all(to_pixels(stylise(network, PIXELS)) == 255)


def test_pixels_are_clamped_and_rounded_half_to_even() -> None:
    values = np.array([-3, 0.5, 1.5, 2.5, 254.5, 254.51, 255.5, 1e30, 100.4], dtype=np.float32)
    expected = [0, 0, 2, 2, 254, 255, 255, 255, 100]
    assert to_pixels(values.reshape(1, 3, 3)).ravel().tolist() == expected
