"""The value that the demo's pictures travel in: pixels together with the right to use them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SIDE = 256


@dataclass(frozen=True)
class DemoImage:
    """One RGB picture of `SIDE` x `SIDE` pixels with its credit line.

    `name` is a slug, unique within the list the picture comes from. `source` is an address, or
    the name of the module that drew the picture.
    """

    name: str
    pixels: Pixels
    credit: str
    licence: str
    source: str
