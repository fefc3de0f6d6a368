"""Run a generator on 8-bit pictures: ranges, channel order, padding; NumPy only."""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import CheckpointRejected
from styletransfer.manifest import ChannelOrder, Fixed, Manifest, Range
from styletransfer.memory_need import MemoryNeed

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
FileSize = tuple[int | None, int | None]

# Of RGB values in 0..1: what torchvision's pretrained networks were normalised with.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class Generator(Protocol):
    """A loaded generator: float tensors in its own ranges in and out."""

    @property
    def manifest(self) -> Manifest:
        """What the participant declared."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The roles it takes, in the order of the manifest."""

    @property
    def parameters_count(self) -> int:
        """How many weights it has."""

    @property
    def memory_need(self) -> MemoryNeed | None:
        """What loading and running it takes at least, where that was asked for."""

    @property
    def size_multiple(self) -> int:
        """What height and width have to be multiples of."""

    @property
    def fixed_sizes(self) -> Mapping[str, FileSize]:
        """For each role the (height, width) its file fixes; None for a free side."""

    def run(self, images: Mapping[str, Floats]) -> Floats:
        """Map role -> (1, 3, H, W) to the output (1, 3, H', W'), one picture at a time."""


def stylise(generator: Generator, content: Pixels, style: Pixels | None = None) -> Floats:
    """Run a generator on one content picture, and a style picture if it takes one.

    Args:
        generator: what `styletransfer.checkpoint.load_generator` returned.
        content: (H, W, 3) RGB.
        style: (H', W', 3) RGB; ignored by a generator with one input.

    Returns:
        (H, W, 3) RGB on the scale 0..255, unclamped and not rounded: see `to_pixels`.

    Raises:
        CheckpointRejected: wrong_size, output_shape, non_finite_output, or what `run` raises.
        ValueError: the generator takes a style picture and none was given.
    """
    images = prepare_inputs(generator, content, style)
    return read_output(generator, generator.run(images), images, content)


def prepare_inputs(
    generator: Generator, content: Pixels, style: Pixels | None = None
) -> dict[str, Floats]:
    """Return what the generator is fed with for a pair, by role: (1, 3, H', W') in its ranges.

    Raises:
        CheckpointRejected: wrong_size.
        ValueError: the generator takes a style picture and none was given.
    """
    images: dict[str, Floats] = {}
    for role in generator.inputs:
        picture = content if role == "content" else style
        if picture is None:
            raise ValueError("this generator takes a style picture")
        images[role] = _to_tensor(generator, role, picture)
    return images


def read_output(
    generator: Generator, output: Floats, images: Mapping[str, Floats], content: Pixels
) -> Floats:
    """Return what a generator made of a content as (H, W, 3) RGB on the scale 0..255.

    Raises:
        CheckpointRejected: output_shape or non_finite_output.
    """
    height, width = content.shape[:2]
    target = images["content"].shape[2:]
    if output.shape != (1, 3, *target):
        expected = [1, 3, int(target[0]), int(target[1])]
        raise CheckpointRejected("output_shape", expected=expected, found=list(output.shape))
    output = output[:, :, :height, :width]
    if not np.isfinite(output).all():
        raise CheckpointRejected("non_finite_output", values=int((~np.isfinite(output)).sum()))
    declared = generator.manifest
    return _from_tensor(output, declared.output_range, declared.channel_order)


def to_pixels(image: Floats) -> Pixels:
    """Clamp to 0..255 and round half to even: the pixels that are stored and scored.

    Raises:
        CheckpointRejected: non_finite_output; a cast would turn NaN into an arbitrary colour.
    """
    if not np.isfinite(image).all():
        raise CheckpointRejected("non_finite_output", values=int((~np.isfinite(image)).sum()))
    return np.rint(np.clip(image, 0.0, 255.0)).astype(np.uint8)


def _to_tensor(generator: Generator, role: str, picture: Pixels) -> Floats:
    declared = generator.manifest
    height, width = picture.shape[:2]
    target = _padded_size(generator, role, (height, width))
    # NumPy's reflection goes back and forth, so a picture smaller than its padding works too.
    padding = ((0, target[0] - height), (0, target[1] - width), (0, 0))
    padded = np.pad(picture, padding, mode="reflect")
    values = _scale_in(padded.astype(np.float32), declared.input_range)
    return _planes(values, declared.channel_order)


def _padded_size(generator: Generator, role: str, size: tuple[int, int]) -> tuple[int, int]:
    declared = generator.manifest.size
    if isinstance(declared, Fixed):
        if declared.fixed != size:
            raise _wrong_size(size, declared.fixed)
        multiple = generator.size_multiple
    else:
        multiple = math.lcm(declared.multiple_of, generator.size_multiple)
    padded = _round_up(size[0], multiple), _round_up(size[1], multiple)
    in_file = generator.fixed_sizes.get(role, (None, None))
    wanted = in_file[0] or padded[0], in_file[1] or padded[1]
    # A graph that was exported at the very size of the pictures needs no padding.
    if any(side not in (here, up) for side, here, up in zip(wanted, size, padded, strict=True)):
        raise _wrong_size(size, wanted)
    return wanted


def _wrong_size(expected: tuple[int, int], found: tuple[int, int]) -> CheckpointRejected:
    return CheckpointRejected("wrong_size", expected=list(expected), found=list(found))


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _planes(values: Floats, order: ChannelOrder) -> Floats:
    if order == "BGR":
        values = values[:, :, ::-1]
    return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])


def _scale_in(values: Floats, declared: Range) -> Floats:
    if declared == "0..255":
        return values
    if declared == "-1..1":
        return values / np.float32(127.5) - np.float32(1)
    unit = values / np.float32(255)
    return unit if declared == "0..1" else (unit - IMAGENET_MEAN) / IMAGENET_STD


def _from_tensor(output: Floats, declared: Range, order: ChannelOrder) -> Floats:
    values = output[0].transpose(1, 2, 0)
    if order == "BGR":
        values = values[:, :, ::-1]
    # A finite output may overflow here; infinity would then be clamped like any large value,
    # yet the host refuses it, so stay at the largest finite number.
    with np.errstate(over="ignore"):
        scaled = _scale_out(values, declared)
    largest = np.finfo(np.float32).max
    return np.ascontiguousarray(np.clip(scaled, -largest, largest))


def _scale_out(values: Floats, declared: Range) -> Floats:
    if declared == "0..255":
        return values
    if declared == "-1..1":
        return (values + np.float32(1)) * np.float32(127.5)
    unit = values if declared == "0..1" else values * IMAGENET_STD + IMAGENET_MEAN
    return unit * np.float32(255)
