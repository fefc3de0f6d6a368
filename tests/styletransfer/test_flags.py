"""Generators that cheat are flagged; honest ones are not."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFilter

from evaluation.demo.phases import demo_phases
from styletransfer.flags import Flag, find_copies, find_memorised, measure_likeness
from styletransfer.values import Image, ReferenceImages


@pytest.fixture(name="references", scope="module")
def make_references() -> ReferenceImages:
    """Take real photographs and paintings: noise would be easy to tell apart."""
    phase = demo_phases()[1]
    pairs = phase.pairs[:6]
    return ReferenceImages(
        contents=[image.pixels for image in phase.contents],
        styles=[image.pixels for image in phase.styles],
        pairs=pairs,
        reals=[],
        sha256="",
    )


def look_for_copies(outputs: list[Image], references: ReferenceImages) -> list[Flag]:
    sides = (chosen(references, side) for side in (0, 1))
    likeness = [measure_likeness(*images) for images in zip(outputs, *sides, strict=True)]
    return find_copies(np.array(likeness))


def chosen(references: ReferenceImages, side: int) -> list[Image]:
    images = references.styles if side else references.contents
    return [images[pair[side]] for pair in references.pairs]


def shifted(image: Image) -> Image:
    return np.roll(image, (1, 1), axis=(0, 1))


def jpeg(image: Image) -> Image:
    file = io.BytesIO()
    Pillow.fromarray(image).save(file, "JPEG", quality=75)
    return np.array(Pillow.open(file))


def blurred(image: Image) -> Image:
    return np.array(Pillow.fromarray(image).filter(ImageFilter.GaussianBlur(1)))


def noisy(image: Image) -> Image:
    noise = np.random.default_rng(0).normal(0, 8, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("disguise", [np.array, shifted, jpeg, blurred, noisy])
@pytest.mark.parametrize(("side", "code"), [(0, "copies_content"), (1, "copies_style")])
def test_disguised_copies_are_found_in_every_pair(
    references: ReferenceImages, disguise: object, side: int, code: str
) -> None:
    assert callable(disguise)
    outputs = [disguise(image) for image in chosen(references, side)]
    flags = look_for_copies(outputs, references)
    assert [flag.code for flag in flags] == [code]
    assert flags[0].pairs == tuple(range(len(references.pairs)))


def test_one_copy_among_others_is_named(references: ReferenceImages) -> None:
    outputs = [image[::-1].copy() for image in chosen(references, 0)]
    outputs[2] = chosen(references, 0)[2]
    flags = look_for_copies(outputs, references)
    assert [(flag.code, flag.pairs) for flag in flags] == [("copies_content", (2,))]


def test_pictures_that_take_over_colours_and_strokes_are_no_copies(
    references: ReferenceImages,
) -> None:
    contents, styles = (chosen(references, side) for side in (0, 1))
    mixed = [
        (0.5 * content + 0.5 * style).astype(np.uint8)
        for content, style in zip(contents, styles, strict=True)
    ]
    assert look_for_copies(mixed, references) == []
    # A filter that keeps every edge but paints flat, in four shades of each colour.
    posters = [(content // 64 * 64 + 32).astype(np.uint8) for content in contents]
    assert look_for_copies([blurred(255 - poster) for poster in posters], references) == []


def test_pictures_too_small_to_tell_are_not_flagged() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    tiny = ReferenceImages([image], [image], [(0, 0)], [], "")
    assert look_for_copies([image], tiny) == []


def test_outputs_near_the_references_are_flagged() -> None:
    random = np.random.default_rng(0)
    reals: NDArray[np.float64] = random.normal(size=(20, 64))
    near = find_memorised(reals[:8] + 0.02 * random.normal(size=(8, 64)), reals)
    assert [flag.code for flag in near] == ["near_references"]
    assert near[0].value < 0.1
    assert find_memorised(random.normal(size=(8, 64)), reals) == []


def test_features_that_all_point_one_way_are_compared_with_one_another() -> None:
    """As the surrogate's do: every image is then near every other, learned by heart or not."""
    random = np.random.default_rng(0)
    reals = 1 + 0.1 * random.normal(size=(20, 64))
    others = 1 + 0.1 * random.normal(size=(8, 64))
    assert find_memorised(others, reals) == []
    near = find_memorised(reals[:8] + 0.05 * random.normal(size=(8, 64)), reals)
    assert [flag.code for flag in near] == ["near_references"]
