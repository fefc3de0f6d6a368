from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from evaluation.demo import photos
from evaluation.demo.image import DemoImage


@pytest.fixture(scope="module")
def contents() -> list[DemoImage]:
    return photos.content_images()


def test_there_are_24_different_contents_from_at_least_8_photographs(
    contents: list[DemoImage],
) -> None:
    assert len({content.name for content in contents}) == 24
    assert len({content.pixels.tobytes() for content in contents}) == 24
    assert len({content.source for content in contents}) >= 8


def test_contents_are_rgb_pictures_of_256_pixels(contents: list[DemoImage]) -> None:
    for content in contents:
        assert content.pixels.shape == (256, 256, 3)
        assert content.pixels.dtype == np.uint8
        assert content.pixels.std() > 5, content.name


def test_no_two_contents_share_a_pixel_of_a_photograph() -> None:
    covered: dict[str, NDArray[np.int64]] = {}
    for name, subject, left, top, side in photos.CONTENT_CROPS:
        width, height = photos.load_photograph(name).size
        assert min(left, top) >= 0, subject
        assert left + side <= width, subject
        assert top + side <= height, subject
        counts = covered.setdefault(name, np.zeros((height, width), int))
        counts[top : top + side, left : left + side] += 1
    assert all(counts.max() == 1 for counts in covered.values())


def test_every_photograph_has_a_credit_and_a_free_licence() -> None:
    free = {"CC0 1.0", "Public domain", "CC BY 2.0", "No known copyright restrictions"}
    for photograph in photos.PHOTOGRAPHS.values():
        assert photograph.licence in free
        assert photograph.credit
        assert photograph.source.startswith("https://")


def test_training_crops_come_from_no_held_out_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Counter[str] = Counter()
    load = photos.load_photograph

    def load_and_count(name: str) -> Image.Image:
        opened[name] += 1
        return load(name)

    monkeypatch.setattr(photos, "load_photograph", load_and_count)
    photos.training_photos(count=20, side=64)
    assert opened
    assert not set(opened) & set(photos.HELD_OUT)
    opened.clear()
    photos.held_out_photos(count=20, side=64)
    assert set(opened) == set(photos.HELD_OUT)


def test_the_same_seed_gives_the_same_crops_and_another_seed_others() -> None:
    first = photos.training_photos(count=6, side=64, seed=5)
    again = photos.training_photos(count=6, side=64, seed=5)
    other = photos.training_photos(count=6, side=64, seed=6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
