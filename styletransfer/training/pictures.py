"""Where a training's pictures come from: memory, or folders of any size, read as they are needed.

Random crops depend on the seed, the step and the place in the batch alone: they need no state, and
are the same however many processes share a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from styletransfer.images import Pixels, open_picture
from styletransfer.picture_files import ImageRejected
from styletransfer.training.config import InvalidTraining
from styletransfer.vgg import to_batch

SUFFIXES = (".png", ".jpg", ".jpeg")
Place = tuple[int, int]
"""A draw, which is a step and what for, and a place in it."""


class Pictures(Protocol):
    """Pictures by their numbers.

    Attributes:
        is_fixed: a number always gives the same pixels, so what is computed of them can be kept.
    """

    is_fixed: bool

    def __len__(self) -> int: ...

    def take(self, numbers: Sequence[int], places: Sequence[Place]) -> Tensor:
        """Return (n, 3, h, w) in 0..1, channels last."""


class Held:
    """Pictures that are in memory, all of one size."""

    is_fixed = True

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def take(self, numbers: Sequence[int], places: Sequence[Place]) -> Tensor:
        return self.images[list(numbers)]


@dataclass(frozen=True)
class Cut:
    """How a square is cut out of a picture.

    Attributes:
        side: of the result, in pixels.
        share: side of the square, of the picture's shorter side.
        zoom: random crops are down to this share of that side; 1 for no zooming.
        is_random: places, zoom and mirror images are drawn; else it is the central square.
        seed: of what is drawn, with a name of the kind of pictures in it.
    """

    side: int
    share: float = 1.0
    zoom: float = 1.0
    is_random: bool = False
    seed: tuple[int, ...] = (0,)

    def make(self, picture: Image.Image, place: Place) -> Pixels:
        """Cut, resize with Lanczos, and mirror."""
        rng = np.random.Generator(np.random.PCG64([*self.seed, *place])) if self.is_random else None
        short = min(picture.size)
        side = max(1, round(short * self.share * (rng.uniform(self.zoom, 1) if rng else 1)))
        free = picture.width - side, picture.height - side
        left, top = (int(rng.integers(room + 1)) if rng else room // 2 for room in free)
        square = picture.crop((left, top, left + side, top + side))
        square = square.resize((self.side, self.side), Image.Resampling.LANCZOS)
        if rng and rng.integers(2):
            square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(square, dtype=np.uint8)


class FilePictures:
    """PNG and JPEG files of any sizes, read as they are needed.

    Decoded pictures are kept as long as they fit into ``cache_bytes``.
    """

    def __init__(self, files: Sequence[Path], cut: Cut, *, cache_bytes: int = 0) -> None:
        self.files = files
        self.cut, self.cache_bytes = cut, cache_bytes
        self.is_fixed = not cut.is_random
        self._kept: dict[int, Image.Image] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.files)

    def take(self, numbers: Sequence[int], places: Sequence[Place]) -> Tensor:
        return to_batch(
            [
                self.cut.make(self._open(number), place)
                for number, place in zip(numbers, places, strict=True)
            ]
        )

    def _open(self, number: int) -> Image.Image:
        if number in self._kept:
            return self._kept[number]
        picture = open_file(self.files[number])
        size = 3 * picture.width * picture.height
        # Those that came first stay: any order of leaving would be no better for shuffled decks.
        if self._bytes + size <= self.cache_bytes:
            self._kept[number] = picture
            self._bytes += size
        return picture


class Several:
    """Pictures of several kinds; each kind comes as often, however many it has."""

    def __init__(self, kinds: Sequence[Pictures]) -> None:
        self.kinds = kinds
        self.is_fixed = all(kind.is_fixed for kind in kinds)

    def __len__(self) -> int:
        return len(self.kinds) * max(len(kind) for kind in self.kinds)

    def take(self, numbers: Sequence[int], places: Sequence[Place]) -> Tensor:
        count = len(self.kinds)
        taken = []
        for number, place in zip(numbers, places, strict=True):
            kind = self.kinds[number % count]
            taken.append(kind.take([number // count % len(kind)], [place]))
        return torch.cat(taken)


def open_file(path: Path) -> Image.Image:
    """Decode one file as upright sRGB.

    Raises:
        InvalidTraining: it is no picture, or damaged.
    """
    try:
        return open_picture(path.read_bytes())
    except ImageRejected as error:
        raise InvalidTraining(
            f"{path} can't be used: {error}; take it out of the folder"
        ) from error


def list_pictures(path: Path) -> list[Path]:
    """List the pictures of a folder and the folders in it, or take the one file that is named.

    Raises:
        InvalidTraining: there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InvalidTraining(f"{path} is neither a folder nor a picture")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise InvalidTraining(f"{path} holds no picture: {', '.join(SUFFIXES)}")
    return files


def make_grid(rows: Sequence[Tensor], gap: int = 4) -> Pixels:
    """Lay rows of pictures (n, 3, h, w) in 0..1 out as one picture on white."""
    height, width = rows[0].shape[2:]
    count = max(len(row) for row in rows)
    whole = (len(rows) * (height + gap) - gap, count * (width + gap) - gap, 3)
    grid = np.full(whole, 255, np.uint8)
    for down, row in enumerate(rows):
        pixels = (row.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8)
        for across, picture in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
            top, left = down * (height + gap), across * (width + gap)
            grid[top : top + height, left : left + width] = picture
    return grid
