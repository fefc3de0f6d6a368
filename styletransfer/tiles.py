"""Cut a picture into tiles that overlap, and blend what became of them; NumPy only."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """A part of a picture, and how much its pixels count where others overlap it."""

    top: int
    left: int
    weights: Weights
    """(height, width, 1); those of all tiles of a position sum up to 1."""

    def slices(self) -> tuple[slice, slice]:
        """Return the rows and the columns of the picture that it covers."""
        height, width, _ = self.weights.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def lay_tiles(
    size: tuple[int, int], tile: tuple[int, int], *, overlap: int, multiple: int
) -> Iterator[Tile]:
    """Cover a picture with tiles.

    Args:
        size: (height, width) of the picture, at least the tile's.
        tile: (height, width) of each tile.
        overlap: pixels that neighbours share at least, less than half of a tile.
        multiple: of what tiles begin at, so that the grids that networks halve pictures by agree.
    """
    rows, columns = (
        _lay_line(length, side, overlap=overlap, multiple=multiple)
        for length, side in zip(size, tile, strict=True)
    )
    for top, down in rows:
        for left, across in columns:
            yield Tile(top, left, (down[:, None] * across[None, :])[:, :, None])


def _lay_line(length: int, side: int, *, overlap: int, multiple: int) -> list[tuple[int, Weights]]:
    """Return where tiles of a line begin, evenly spread, and the weights of their pixels."""
    last = length - side
    count = 1 if last == 0 else 1 + math.ceil(last / (side - overlap - multiple))
    spread = np.linspace(0, last, count)
    starts = [int(start) // multiple * multiple for start in spread[:-1]] + [last]
    raw = [_ramps(side, overlap, index > 0, index < count - 1) for index in range(count)]
    total = np.zeros(length, np.float32)
    for start, weights in zip(starts, raw, strict=True):
        total[start : start + side] += weights
    return [
        (start, weights / total[start : start + side])
        for start, weights in zip(starts, raw, strict=True)
    ]


def _ramps(side: int, overlap: int, begins: bool, ends: bool) -> Weights:
    """Return 1 inside; towards a neighbour 0 near the edge, which knows too little around it."""
    position = np.arange(side, dtype=np.float32) + 0.5
    ramp = np.clip((position - 0.375 * overlap) / max(0.25 * overlap, 1), 0, 1).astype(np.float32)
    weights = np.ones(side, np.float32)
    if begins:
        weights *= ramp
    if ends:
        weights *= ramp[::-1]
    return weights
