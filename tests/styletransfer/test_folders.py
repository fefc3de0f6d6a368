"""Tables of pairs as people have them at home, whole or not."""

from pathlib import Path

import pytest

from styletransfer.folders import Folder, FolderProblem, read_pairs


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
