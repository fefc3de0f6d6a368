"""Pictures to measure with: coarse shapes, finer ones over them, and noise. Equal in every run."""

from pathlib import Path

import numpy as np

from styletransfer.images import encode_png
from styletransfer.values import Image


def make(seed: int, side: int = 256) -> Image:
    """Draw one picture ``(side, side, 3)``."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((side, side, 3))
    for cells, strength in ((4, 90), (16, 50), (64, 25)):
        coarse = rng.uniform(-1, 1, (cells, cells, 3))
        picture += strength * np.kron(coarse, np.ones((side // cells, side // cells, 1)))
    picture += rng.normal(0, 8, picture.shape) + 128
    return picture.clip(0, 255).astype(np.uint8)


def write(folder: Path, count: int, *, seed: int, side: int = 256) -> None:
    """Write ``count`` pictures as PNG files."""
    folder.mkdir(parents=True)
    for number in range(count):
        file = folder / f"{number:04}.png"
        file.write_bytes(encode_png(make(seed * 1_000_000 + number, side)))
