"""Plain values that cross the border between Django and torch; free of both."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    """RGB pixels, ``(H, W, 3)``."""
else:
    Image = Any  # the web server knows these values too, and has no use for NumPy


def canonical_json(value: object) -> str:
    """Write JSON that is equal for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(value: object) -> str:
    """Hash a value by its canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ExtractorPin:
    """A feature network's name and the hash of its weights."""

    name: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its interval, where one is defined."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Return plain JSON values; a whole number is written as 2.0, as it is read again."""
        return {
            name: None if number is None else float(number) for name, number in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class ReferenceImages:
    """What a phase scores against: one image size, 8-bit RGB.

    Attributes:
        pairs: (index into contents, index into styles), in the order of the outputs.
        reals: real images of the target style for FID; none of them in a pair.
        sha256: names the whole set.
    """

    contents: Sequence[Image]
    styles: Sequence[Image]
    pairs: Sequence[tuple[int, int]]
    reals: Sequence[Image]
    sha256: str


def hash_references(
    *,
    image_size: int,
    pixel_hashes: Mapping[str, Sequence[str]],
    pairs: Sequence[tuple[int, int]],
) -> str:
    """Name a reference set by its pixels: equal images in equal places give equal hashes.

    Args:
        image_size: height and width of every image.
        pixel_hashes: of the images in their order, by role: ``content``, ``style``, ``real``.
        pairs: (index into contents, index into styles), in their order.
    """
    described = {"image_size": image_size, "images": pixel_hashes, "pairs": pairs}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def hash_pairs(pixel_hashes: Sequence[tuple[str, str]]) -> str:
    """Name the public part of a reference set by its pixels: content and style of each pair."""
    return sha256_of([list(pair) for pair in pixel_hashes])
