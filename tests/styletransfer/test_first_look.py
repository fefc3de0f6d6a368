"""Hints are found where a range or an order of colours is wrong, and not where all is well."""

from typing import Any

import numpy as np
import pytest

from styletransfer.first_look import look
from styletransfer.inference import Floats, Pixels, _scale_out, to_pixels
from styletransfer.manifest import Manifest, Range
from styletransfer.sample_pair import make_content, make_style

CONTENT = make_content(96)


def manifest(**changes: Any) -> Manifest:
    plain = {"format": "onnx", "input_range": "0..1", "output_range": "0..1"}
    return Manifest.model_validate(plain | changes)


def painted() -> Pixels:
    """Return an honest result: warmer, coarser, with more contrast than the content."""
    mixed = 0.6 * CONTENT.astype(np.float64) + 0.4 * make_style(96)
    return np.rint(np.clip(1.1 * (mixed - 128) + 128, 0, 255)).astype(np.uint8)


def in_range(picture: Pixels, true: Range) -> Floats:
    unit = picture.astype(np.float32) / np.float32(255)
    return {"0..1": unit, "-1..1": np.float32(2) * unit - np.float32(1)}.get(
        true, np.float32(255) * unit
    )


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("declared", ["0..1", "-1..1", "0..255"])
def test_an_honest_picture_gives_no_hint(declared: Range, order: str) -> None:
    described = manifest(output_range=declared, channel_order=order)
    assert look(painted(), CONTENT, described) == []


@pytest.mark.parametrize(
    ("true", "declared", "code"),
    [
        ("0..255", "0..1", "clipped"),
        ("0..255", "-1..1", "clipped"),
        ("-1..1", "0..1", "clipped"),
        ("0..1", "0..255", "dark"),
        ("0..1", "-1..1", "pale"),
    ],
)
def test_a_wrong_output_range_is_noticed_and_the_right_one_suggested(
    true: Range, declared: Range, code: str
) -> None:
    picture = to_pixels(_scale_out(in_range(painted(), true), declared))
    hint = look(picture, CONTENT, manifest(output_range=declared))[0]
    assert (hint.code, hint.field, hint.value) == (code, "output_range", true)


def test_a_flat_or_copied_picture_is_asked_about_its_input_range() -> None:
    flat = np.full_like(CONTENT, 120)
    flat[::2] += 3
    for picture, code in ((flat, "flat"), (CONTENT, "copied")):
        (hint,) = look(picture, CONTENT, manifest())
        assert (hint.code, hint.field, hint.value) == (code, "input_range", "0..255")


@pytest.mark.parametrize(("declared", "other"), [("RGB", "BGR"), ("BGR", "RGB")])
def test_colours_that_changed_places_are_noticed(declared: str, other: str) -> None:
    hints = look(CONTENT[..., ::-1].copy(), CONTENT, manifest(channel_order=declared))
    assert [(hint.code, hint.value) for hint in hints] == [("swapped", other)]


def test_a_flat_content_asks_nothing() -> None:
    grey = np.full_like(CONTENT, 128)
    assert [hint.code for hint in look(grey + 20, grey, manifest())] == []
