import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.demo import painter
from evaluation.demo.image import SIDE, DemoImage
from evaluation.demo.subjects import draw_subject


@pytest.fixture(scope="module")
def styles() -> list[DemoImage]:
    return painter.style_images()


@pytest.fixture(scope="module")
def references() -> list[DemoImage]:
    return painter.reference_paintings()


def colour_histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    bins = (pixels // 64).astype(int) @ np.array([16, 4, 1])
    shares: NDArray[np.float64] = np.bincount(bins.ravel(), minlength=64) / bins.size
    return shares


def test_every_manner_has_one_style_image(styles: list[DemoImage]) -> None:
    assert len(styles) == len(painter.MANNERS) >= 4
    for style in styles:
        assert style.pixels.shape == (256, 256, 3)
        assert style.pixels.dtype == np.uint8


def test_palettes_of_the_styles_are_clearly_different(styles: list[DemoImage]) -> None:
    histograms = [colour_histogram(style.pixels) for style in styles]
    for a, b in itertools.combinations(histograms, 2):
        assert np.minimum(a, b).sum() < 0.65


def test_at_least_64_references_and_none_of_them_is_a_style_image(
    styles: list[DemoImage], references: list[DemoImage]
) -> None:
    assert len(references) >= 64
    assert len({reference.name for reference in references}) == len(references)
    pictures = {reference.pixels.tobytes() for reference in references}
    assert len(pictures) == len(references)
    assert not pictures & {style.pixels.tobytes() for style in styles}
    assert not {seed for *_, seed in painter.STYLES} & set(
        range(painter.REFERENCE_SEED, painter.REFERENCE_SEED + len(references))
    )


@pytest.mark.parametrize("manner", painter.MANNERS)
def test_the_same_seed_paints_the_same_picture_and_another_seed_another(manner: str) -> None:
    first = painter.paint(manner, "town", 7)
    assert np.array_equal(first, painter.paint(manner, "town", 7))
    assert not np.array_equal(first, painter.paint(manner, "town", 8))


@pytest.mark.parametrize("manner", painter.MANNERS)
def test_a_painting_keeps_its_subject(manner: str) -> None:
    rng = np.random.Generator(np.random.PCG64(9))
    subject = draw_subject("night", rng)
    light = np.asarray(subject.mean(axis=2))
    rows = np.linspace(0, len(light) - 1, SIDE).astype(int)
    painted = painter.paint(manner, "night", 9).mean(axis=2)
    coarse = [
        image.reshape(16, SIDE // 16, 16, SIDE // 16).mean(axis=(1, 3)).ravel()
        for image in (light[np.ix_(rows, rows)], painted)
    ]
    assert np.corrcoef(*coarse)[0, 1] > 0.6
