"""What a first picture tells of wrong ranges and orders of colours; NumPy only.

Hints, each with what to try: a style can look like any of these faults, so nothing is ever refused
by them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from styletransfer.inference import Pixels
from styletransfer.manifest import ChannelOrder, Manifest, Range

HintCode = Literal["clipped", "dark", "pale", "flat", "copied", "swapped"]

# Shares of values and distances on the scale 0..255, far from what honest generators show.
_CLIPPED = 0.4
_DARK = 8
_PALE = 112
_FLAT_DEVIATION = 6.0
_COPIED = 3.0
_SWAPPED = -0.5


@dataclass(frozen=True)
class Hint:
    """Something that looks wrong, and the field of the manifest to change for a try."""

    code: HintCode
    field: Literal["input_range", "output_range", "channel_order"]
    value: Range | ChannelOrder

    def to_json(self) -> dict[str, str]:
        """Return plain JSON values."""
        return {"code": self.code, "field": self.field, "value": self.value}


def look(picture: Pixels, content: Pixels, manifest: Manifest) -> list[Hint]:
    """Return what seems wrong with the first picture that a generator made of ``content``.

    Args:
        picture: (H, W, 3) RGB, clamped.
        content: the same shape.
        manifest: by which it was made.
    """
    found = list(_look_at_output(picture, content, manifest))
    if not found:
        found = list(_look_at_input(picture, content, manifest))
    return found + list(_look_at_colours(picture, content, manifest))


def _look_at_output(picture: Pixels, content: Pixels, manifest: Manifest) -> Iterator[Hint]:
    declared = manifest.output_range
    low, high = _share(picture == 0, content == 0), _share(picture == 255, content == 255)
    if picture.max() <= _DARK:
        yield Hint("dark", "output_range", "0..1" if declared != "0..1" else "-1..1")
    elif low + high > _CLIPPED and high >= low:
        yield Hint("clipped", "output_range", "0..255" if declared != "0..255" else "0..1")
    elif low + high > _CLIPPED:
        yield Hint("clipped", "output_range", "-1..1" if declared != "-1..1" else "0..255")
    elif declared == "-1..1" and picture.min() >= _PALE:
        yield Hint("pale", "output_range", "0..1")


def _look_at_input(picture: Pixels, content: Pixels, manifest: Manifest) -> Iterator[Hint]:
    other: Range = "0..255" if manifest.input_range in ("0..1", "-1..1") else "0..1"
    deviation = float(picture.std(axis=(0, 1)).max())
    if deviation < _FLAT_DEVIATION < float(content.std(axis=(0, 1)).max()):
        yield Hint("flat", "input_range", other)
    elif float(np.abs(picture.astype(np.float32) - content).mean()) < _COPIED:
        yield Hint("copied", "input_range", other)


def _look_at_colours(picture: Pixels, content: Pixels, manifest: Manifest) -> Iterator[Hint]:
    """Compare what is redder than blue in both: a style shifts hues, it seldom mirrors them."""
    made, given = (image[..., 0].astype(np.float32) - image[..., 2] for image in (picture, content))
    if min(made.std(), given.std()) < _FLAT_DEVIATION:
        return
    if np.corrcoef(made.ravel(), given.ravel())[0, 1] < _SWAPPED:
        yield Hint("swapped", "channel_order", "RGB" if manifest.channel_order == "BGR" else "BGR")


def _share(picture: NDArray[np.bool_], content: NDArray[np.bool_]) -> float:
    """Return how much more of a picture is so than of its content."""
    return float(picture.mean() - content.mean())
