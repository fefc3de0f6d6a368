"""Tables of pairs as people have them at home, whole or not."""

from pathlib import Path

import numpy as np
import pytest

from styletransfer.folders import Folder, FolderProblem, read_pairs
from styletransfer.images import encode_png


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    return Folder.read(tmp_path)


def test_a_table_says_which_picture_meets_which(folder: Folder) -> None:
    table = folder.path / "pairs.csv"
    table.write_text("content,style\nb.png,styles/a.png\n")
    assert read_pairs(table, folder, folder) == [(1, 0)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"content,style\na.png\n", "not in"),
        (b"content,style\n\xe4.png,a.png\n", "not a CSV file in UTF-8"),
        (b"content\na.png\n", "needs the columns"),
        (b"", "no rows"),
    ],
)
def test_a_table_that_can_not_be_used_is_named(folder: Folder, content: bytes, said: str) -> None:
    table = folder.path / "pairs.csv"
    table.write_bytes(content)
    with pytest.raises(FolderProblem, match=said):
        read_pairs(table, folder, folder)


def test_pictures_come_in_the_order_of_their_names_however_many_there_are(tmp_path: Path) -> None:
    for number in range(40):
        pixels = np.full((4, 4, 3), number, np.uint8)
        (tmp_path / f"{number:02}.png").write_bytes(encode_png(pixels))
    assert [int(image[0, 0, 0]) for image in Folder.read(tmp_path).images()] == list(range(40))


def test_a_damaged_picture_is_named_and_ends_the_reading(tmp_path: Path) -> None:
    for name in ("a", "c"):
        (tmp_path / f"{name}.png").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    images = Folder.read(tmp_path).images()
    assert next(images).shape == (4, 4, 3)
    with pytest.raises(FolderProblem, match=r"b\.png"):
        next(images)
