"""Run a generator on pictures of any size: whole, or in tiles that leave no seams."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from PIL import Image

from styletransfer.checkpoint import TorchGenerator
from styletransfer.errors import StyleTransferError
from styletransfer.generators import Network
from styletransfer.inference import (
    Floats,
    Generator,
    Pixels,
    prepare_inputs,
    read_output,
    to_pixels,
)
from styletransfer.manifest import Fixed
from styletransfer.steady_network import SteadyNetwork
from styletransfer.tiles import lay_tiles

# Below it, networks can't reflect a picture at its edges once it is halved a few times.
SMALLEST_SIDE = 32


class StyleMissing(StyleTransferError):
    """A generator of two inputs was given no style picture."""


class TilesTooSmall(StyleTransferError):
    """Tiles that overlap so much would not get on."""


@dataclass(frozen=True)
class Painter:
    """Paints with a generator what may be larger, smaller or of another shape than it takes.

    What fits into one tile is painted exactly as the platform does it. What does not is cut; one
    of our architectures then normalises all tiles by statistics of the whole picture, made small.
    An ONNX graph can't be told: where it normalises by instance its tiles may differ in light.

    Attributes:
        generator: what `styletransfer.checkpoint.load_generator` returned.
        tile: the longest side that is painted at once; a generator of a fixed size has its own.
        overlap: pixels that neighbouring tiles share at least.
        batch: how many pictures or tiles of one size are painted at once.
    """

    generator: Generator
    tile: int = 1024
    overlap: int = 160
    batch: int = 1

    def __post_init__(self) -> None:
        overlap, side = self._overlap, min(self._tile)
        if side - overlap - self._multiple < side // 4:
            raise TilesTooSmall(
                f"tiles of {side} pixels can't overlap by {overlap}: make them larger, or the "
                "overlap smaller"
            )

    @property
    def cuts_by_instance(self) -> bool:
        """Say whether tiles are left to normalise themselves."""
        return not isinstance(self.generator, TorchGenerator)

    def needs_tiles(self, content: Pixels) -> bool:
        """Tell whether a picture is too large to be painted at once."""
        tile = self._tile
        return bool(content.shape[0] > tile[0] or content.shape[1] > tile[1])

    def paint(self, contents: Iterable[Pixels], style: Pixels | None = None) -> Iterator[Pixels]:
        """Paint pictures, in their order.

        Args:
            contents: (H, W, 3) RGB each.
            style: the style picture, for a generator that takes one.

        Raises:
            StyleMissing: it takes one and there is none.
            CheckpointRejected: the generator fails on a picture.
        """
        if "style" in self.generator.inputs:
            if style is None:
                raise StyleMissing("this generator takes a style picture: name one with --style")
            style = self._fit_style(style)
        waiting: list[Pixels] = []
        for content in contents:
            is_alone = self.needs_tiles(content)
            if waiting and (is_alone or waiting[0].shape != content.shape):
                yield from self._paint_whole(waiting, style)
                waiting = []
            if is_alone:
                yield self._paint_tiles(content, style)
                continue
            waiting.append(content)
            if len(waiting) == self.batch:
                yield from self._paint_whole(waiting, style)
                waiting = []
        if waiting:
            yield from self._paint_whole(waiting, style)

    @property
    def _multiple(self) -> int:
        size = self.generator.manifest.size
        own = 1 if isinstance(size, Fixed) else size.multiple_of
        return math.lcm(own, self.generator.size_multiple)

    @property
    def _tile(self) -> tuple[int, int]:
        size = self.generator.manifest.size
        if isinstance(size, Fixed):
            return size.fixed
        side = -(-self.tile // self._multiple) * self._multiple
        return side, side

    @property
    def _overlap(self) -> int:
        if isinstance(self.generator.manifest.size, Fixed):
            return min(self.overlap, min(self._tile) // 2)
        return self.overlap

    def _fit_style(self, style: Pixels) -> Pixels:
        """Bring a style picture to the size that a generator is fixed to, or to a tile's."""
        picture = Image.fromarray(style)
        tile = self._tile
        if isinstance(self.generator.manifest.size, Fixed):
            scale = max(tile[0] / style.shape[0], tile[1] / style.shape[1])
            width, height = round(style.shape[1] * scale), round(style.shape[0] * scale)
            resized = picture.resize((width, height), Image.Resampling.LANCZOS)
            left, top = (width - tile[1]) // 2, (height - tile[0]) // 2
            picture = resized.crop((left, top, left + tile[1], top + tile[0]))
        else:
            picture.thumbnail((tile[1], tile[0]), Image.Resampling.LANCZOS)
        return _pad(np.array(picture, dtype=np.uint8), (SMALLEST_SIDE, SMALLEST_SIDE))

    def _paint_whole(self, contents: Sequence[Pixels], style: Pixels | None) -> Iterator[Pixels]:
        is_fixed = isinstance(self.generator.manifest.size, Fixed)
        least = self._tile if is_fixed else (SMALLEST_SIDE, SMALLEST_SIDE)
        height, width, _ = contents[0].shape
        padded = [_pad(content, least) for content in contents]
        for painted in _run(self.generator, padded, style):
            yield to_pixels(painted[:height, :width])

    def _paint_tiles(self, content: Pixels, style: Pixels | None) -> Pixels:
        height, width, _ = content.shape
        tile, multiple = self._tile, self._multiple
        rows, columns = (-(-side // multiple) * multiple for side in (height, width))
        padded = _pad(content, (max(rows, tile[0]), max(columns, tile[1])))
        generator, style = self._steady(padded, style)
        size = padded.shape[0], padded.shape[1]
        tiles = list(lay_tiles(size, tile, overlap=self._overlap, multiple=multiple))
        canvas = np.zeros(padded.shape, np.float32)
        for start in range(0, len(tiles), self.batch):
            some = tiles[start : start + self.batch]
            cut = [padded[each.slices()] for each in some]
            for each, painted in zip(some, _run(generator, cut, style), strict=True):
                canvas[each.slices()] += each.weights * painted
        return to_pixels(canvas[:height, :width])

    def _steady(self, content: Pixels, style: Pixels | None) -> tuple[Generator, Pixels | None]:
        """Return a generator that treats all tiles alike, and what to give it as style."""
        generator = self.generator
        if not isinstance(generator, TorchGenerator):
            return generator, style
        small = Image.fromarray(content)
        small.thumbnail(self._tile[::-1], Image.Resampling.LANCZOS)
        network = SteadyNetwork(cast(Network, generator.network))
        device = next(network.parameters()).device
        least = (SMALLEST_SIDE, SMALLEST_SIDE)
        inputs = prepare_inputs(generator, _pad(np.array(small), least), style)
        network.look_at(*(torch.from_numpy(inputs[role]).to(device) for role in generator.inputs))
        # Its statistics are known by now: of the picture itself nothing is needed any more.
        style = None if style is None else style[:SMALLEST_SIDE, :SMALLEST_SIDE]
        return replace(generator, network=network), style


def _pad(picture: Pixels, least: tuple[int, int]) -> Pixels:
    """Reflect a picture at its right and its lower edge until it is as large."""
    height, width, _ = picture.shape
    more = max(least[0] - height, 0), max(least[1] - width, 0)
    if not any(more):
        return picture
    return np.pad(picture, ((0, more[0]), (0, more[1]), (0, 0)), mode="reflect")


def _run(
    generator: Generator, contents: Sequence[Pixels], style: Pixels | None
) -> Iterator[Floats]:
    """Paint pictures of one size, together where the generator can."""
    fed = [prepare_inputs(generator, content, style) for content in contents]
    if len(fed) > 1 and isinstance(generator, TorchGenerator):
        together = {role: np.concatenate([each[role] for each in fed]) for role in fed[0]}
        outputs = list(generator.run(together)[:, None])
    else:
        outputs = [generator.run(each) for each in fed]
    for output, images, content in zip(outputs, fed, contents, strict=True):
        yield read_output(generator, output, images, content)
