"""A pair of pictures that shows nothing of anybody's data, for trying a generator out."""

import numpy as np
from numpy.typing import NDArray

from styletransfer.inference import Pixels

Plane = NDArray[np.float64]


def make_content(side: int) -> Pixels:
    """Draw a landscape of gradients, discs and stripes, in colours that tell red from blue."""
    down, across = _grid(side)
    sky = np.stack([0.35 + 0.3 * down, 0.55 + 0.2 * down, 0.95 - 0.2 * down], axis=-1)
    ground = np.stack([0.55 - 0.2 * across, 0.45 - 0.1 * down, 0.2 + 0.1 * across], axis=-1)
    card = np.where((down > 0.62 + 0.05 * np.sin(9 * across))[..., np.newaxis], ground, sky)
    for row, column, radius, colour in (
        (0.25, 0.75, 0.12, (0.98, 0.85, 0.3)),
        (0.6, 0.3, 0.17, (0.75, 0.2, 0.15)),
        (0.72, 0.65, 0.1, (0.15, 0.5, 0.25)),
    ):
        inside = (down - row) ** 2 + (across - column) ** 2 < radius**2
        card[inside] = np.asarray(colour) * (0.7 + 0.3 * across[inside][:, np.newaxis])
    stripes = (down > 0.9) & (np.sin(40 * np.pi * across) > 0)
    card[stripes] = 0.95
    return _to_pixels(card)


def make_style(side: int) -> Pixels:
    """Draw waves of warm and cool colours."""
    down, across = _grid(side)
    wave = np.sin(14 * (down + 0.25 * np.sin(6 * across))) * np.cos(5 * across)
    warm, cool = np.array([0.95, 0.6, 0.2]), np.array([0.1, 0.25, 0.55])
    mix = (0.5 + 0.5 * wave)[..., np.newaxis]
    return _to_pixels(mix * warm + (1 - mix) * cool)


def _grid(side: int) -> tuple[Plane, Plane]:
    line = (np.arange(side) + 0.5) / side
    return np.broadcast_to(line[:, np.newaxis], (side, side)), np.broadcast_to(line, (side, side))


def _to_pixels(values: Plane) -> Pixels:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
