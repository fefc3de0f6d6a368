"""``python -m styletransfer fid``: folders of pictures compared as sets."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from styletransfer.commands.main import UNUSABLE, main
from styletransfer.folders import Folder
from styletransfer.images import encode_png
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid
from styletransfer.surrogates import INCEPTION
from styletransfer.weights import load_inception

COUNT = 11  # more than a batch holds


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


@pytest.fixture(name="folders", scope="module")
def make_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("fid")
    rng = np.random.default_rng(0)
    for name, highest, side in (("outputs", 256, 40), ("paintings", 160, 32)):
        (home / name).mkdir()
        for number in range(COUNT):
            width = side + 8 * (number > 4)  # two sizes in each
            pixels = rng.integers(0, highest, (side, width, 3), dtype=np.uint8)
            (home / name / f"{number:02}.png").write_bytes(encode_png(pixels))
    return home


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, float]:
    options = ("--inception", INCEPTION, "--json")
    assert main(["fid", *map(str, arguments), *options]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    return dict(json.loads(printed)["values"]) if printed else {}


def refuse(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["fid", *map(str, arguments), "--inception", INCEPTION]) == UNUSABLE
    return capsys.readouterr().err


@pytest.fixture(name="kept", scope="module")
def keep_paintings(folders: Path) -> Path:
    kept = folders / "paintings.npz"
    assert (
        main(["fid", str(folders / "paintings"), "--save", str(kept), "--inception", INCEPTION])
        == 0
    )
    return kept


def test_values_are_those_of_the_library(
    folders: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = load_inception(INCEPTION)[0]
    outputs, paintings = (
        network.features(list(Folder.read(folders / name).images())).numpy()
        for name in ("outputs", "paintings")
    )
    sides = [FeatureStatistics.from_features(rows) for rows in (outputs, paintings)]
    chosen = [part for key in ("kid", "fid_pytorch", "mifid") for part in ("--metric", key)]
    found = run(capsys, folders / "outputs", folders / "paintings", *chosen)
    assert found == {
        "kid": pytest.approx(kernel_distance(outputs, paintings), rel=1e-5),
        "fid_pytorch": pytest.approx(frechet_distance(*sides), rel=1e-5),
        "mifid": pytest.approx(mifid(outputs, paintings), rel=1e-4),
    }
    assert found["fid_pytorch"] > 1
    assert run(capsys, folders / "outputs", kept, *chosen) == found  # bit by bit
    assert run(capsys, folders / "outputs", folders / "outputs")["fid_pytorch"] <= 1e-9


def test_the_clean_distance_is_another_one(
    folders: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ("--metric", "fid_clean", "--metric", "fid_pytorch")
    found = run(capsys, folders / "outputs", folders / "paintings", *both)
    assert found["fid_clean"] != pytest.approx(found["fid_pytorch"], rel=1e-3)
    error = refuse(capsys, folders / "outputs", kept, "--metric", "fid_clean")
    assert "preparation pytorch" in error


def test_files_of_pytorch_fid_are_read_and_ours_are_read_by_it(
    folders: Path, kept: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with np.load(kept) as file:  # as pytorch-fid reads it
        mu, sigma = file["mu"], file["sigma"]
    assert (mu.shape, sigma.shape) == ((2048,), (2048, 2048))
    assert np.array_equal(sigma, sigma.T)
    theirs = tmp_path / "theirs.npz"
    np.savez(theirs, mu=mu, sigma=sigma)
    expected = run(capsys, folders / "outputs", kept)["fid_pytorch"]
    found = run(capsys, folders / "outputs", theirs)["fid_pytorch"]
    assert found == pytest.approx(expected, rel=1e-9)
    assert "holds their statistics" in refuse(
        capsys, folders / "outputs", theirs, "--metric", "kid"
    )


def test_names_of_the_files_hardly_matter(
    folders: Path, kept: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(COUNT):
        source = folders / "outputs" / f"{number:02}.png"
        shutil.copy(source, tmp_path / f"{number * 7 % COUNT:02}.png")
    expected = run(capsys, folders / "outputs", kept)["fid_pytorch"]
    assert run(capsys, tmp_path, kept)["fid_pytorch"] == pytest.approx(expected, rel=1e-6)


def test_few_pictures_are_warned_of(
    folders: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fid", str(folders / "outputs"), str(kept), "--inception", INCEPTION]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("fid_pytorch")
    assert f"{COUNT} pictures are few" in printed.err


def test_what_can_not_be_compared_is_named(
    folders: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outputs, file = folders / "outputs", tmp_path / "file.npz"
    assert "--help" in refuse(capsys, outputs)
    assert "is not a folder" in refuse(capsys, outputs, folders / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "holds no PNG" in refuse(capsys, outputs, tmp_path / "empty")
    (tmp_path / "one").mkdir()
    shutil.copy(outputs / "00.png", tmp_path / "one")
    assert "one picture" in refuse(capsys, outputs, tmp_path / "one")
    Pillow.new("L", (8, 8)).save(tmp_path / "one" / "grey.png")
    assert "grey.png" in refuse(capsys, tmp_path / "one", outputs)
    file.write_bytes(b"PK\x03\x04 and no more")
    assert "file.npz" in refuse(capsys, outputs, file)
    np.savez(file, mu=np.zeros(3), sigma=np.eye(3))
    assert "3 dimensions" in refuse(capsys, outputs, file)


def test_what_can_not_be_kept_is_named(
    folders: Path, kept: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outputs, file = folders / "outputs", tmp_path / "file.npz"
    both = ("--metric", "fid_clean", "--metric", "kid")
    assert "one preparation" in refuse(capsys, outputs, "--save", file, *both)
    assert "is none" in refuse(capsys, outputs, kept, "--save", file)
    assert "call it" in refuse(capsys, outputs, "--save", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
