"""Weights: what is loaded is what was published, pinned or committed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from styletransfer import pretrained
from styletransfer.download import PublishedFile
from styletransfer.errors import WeightsMismatch, WeightsUnavailable
from styletransfer.pretrained import FILES, combine_hashes, extractor_pin, find_weights
from styletransfer.surrogate_weights import hash_weights, make_weights
from styletransfer.surrogates import INCEPTION, LPIPS, PINS, VGG
from styletransfer.weights import load_inception, load_lpips, load_vgg


class Trap:
    """Unpickled without care, it would make a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def publish(
    monkeypatch: pytest.MonkeyPatch, name: str, folder: Path, *contents: object
) -> list[Path]:
    """Save weights the way they are published, under names that carry their hashes."""
    paths = []
    for content in contents:
        draft = folder / "draft"
        torch.save(content, draft)
        sha256 = hashlib.sha256(draft.read_bytes()).hexdigest()
        paths.append(draft.rename(folder / f"net-{sha256[:8]}.pth"))
    files = tuple(PublishedFile(f"https://nowhere.invalid/models/{path.name}") for path in paths)
    monkeypatch.setattr(pretrained, "FILES", {name: files})
    monkeypatch.setenv("ARENA_WEIGHTS_DIR", str(folder))
    return paths


@pytest.mark.parametrize("name", [VGG, INCEPTION, LPIPS])
def test_surrogates_are_bit_for_bit_the_committed_ones(name: str) -> None:
    weights = make_weights(name)
    assert hash_weights(weights) == PINS[name].sha256 == extractor_pin(name).sha256
    assert all(array.dtype.name == "float32" for array in weights.values())


def test_surrogate_weights_are_exact_multiples_of_a_power_of_two() -> None:
    for key, array in make_weights(VGG).items():
        scaled = array.astype("float64") * 2**24
        assert (scaled == scaled.round()).all(), key
        assert abs(scaled).max() < 2**24, key


def test_loaders_say_which_weights_they_loaded() -> None:
    for load, name in ((load_vgg, VGG), (load_inception, INCEPTION), (load_lpips, LPIPS)):
        network, sha256 = load(name)
        assert sha256 == PINS[name].sha256
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert not network.training


def test_official_files_are_checked_by_what_is_published_of_their_hashes() -> None:
    files = [file for each in FILES.values() for file in each]
    assert [file.sha256[:8] for file in files] == ["dcbb9e9d", "6726825d", "7be5be79", "df73285e"]
    assert all(file.url.startswith("https://") for file in files)
    assert len({file.name for file in files}) == len(files)


def test_published_weights_load_from_a_folder_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = {key: torch.from_numpy(array) for key, array in make_weights(VGG).items()}
    weights["classifier.0.weight"] = torch.zeros(2, 2)  # published, and of no use here
    [path] = publish(monkeypatch, "vgg", tmp_path, weights)
    network, sha256 = load_vgg("vgg", deepest="relu3_1")
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(network.layers) == 5
    loaded = network.state_dict()["stack.10.weight"]
    assert torch.equal(loaded, weights["features.10.weight"])
    record = path.with_name(f"{path.name}.sha256")
    assert record.read_text().split() == [sha256, path.name]


def test_weights_of_several_files_are_named_by_the_list_of_their_hashes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = {key: torch.from_numpy(array) for key, array in make_weights(LPIPS).items()}
    trunk = {key: value for key, value in weights.items() if key.startswith("features")}
    lins = {key: value for key, value in weights.items() if key.startswith("lin")}
    paths = publish(monkeypatch, "both", tmp_path, trunk, lins)
    network, sha256 = load_lpips("both")
    assert torch.equal(network.lins[0], weights["lin0.model.1.weight"].reshape(-1))
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert sha256 == hashlib.sha256(f"{hashes[0]}\n{hashes[1]}\n".encode()).hexdigest()
    assert sha256 == combine_hashes(hashes) == extractor_pin("both").sha256
    paths[1].unlink()
    assert pretrained.local_pin("both") is None
    with pytest.raises(WeightsUnavailable, match=paths[1].name):
        load_lpips("both")


def test_the_first_full_hash_is_kept_and_compared_ever_after(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [path] = publish(monkeypatch, "vgg", tmp_path, {"any": torch.zeros(1)})
    _, pin = find_weights("vgg")
    record = path.with_name(f"{path.name}.sha256")
    # Another file with the same first 8 digits can't be had here; another record can.
    record.write_text(pin.sha256[:8] + "0" * 56)
    os.utime(path, ns=(1, 1))
    with pytest.raises(WeightsMismatch, match="first seen"):
        find_weights("vgg")


def test_a_file_that_changed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [path] = publish(monkeypatch, "vgg", tmp_path, {"any": torch.zeros(1)})
    find_weights("vgg")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsMismatch, match="damaged"):
        find_weights("vgg")


def test_a_missing_file_is_named_together_with_its_address(tmp_path: Path) -> None:
    for name, files in FILES.items():
        with pytest.raises(WeightsUnavailable, match=files[0].url):
            extractor_pin(name, weights_dir=tmp_path)
    with pytest.raises(WeightsUnavailable, match=VGG):
        extractor_pin("vgg16")


def test_a_file_under_a_published_name_has_to_be_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "vgg19-dcbb9e9d.pth").write_bytes(b"something else")
    with pytest.raises(WeightsMismatch, match="dcbb9e9d"):
        load_vgg(pretrained.VGG, weights_dir=tmp_path)


def test_loading_weights_runs_none_of_their_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap = tmp_path / "sprung"
    publish(monkeypatch, "vgg", tmp_path, {"features.0.weight": Trap(str(trap))})
    with pytest.raises(WeightsMismatch):
        load_vgg("vgg")
    assert not trap.exists()


@pytest.mark.parametrize("content", [{"features.0.weight": torch.zeros(1)}, [torch.zeros(1)]])
def test_weights_of_another_network_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: object
) -> None:
    publish(monkeypatch, "vgg", tmp_path, content)
    with pytest.raises(WeightsMismatch):
        load_vgg("vgg")
    with pytest.raises(WeightsMismatch):
        load_inception("vgg")
    with pytest.raises(WeightsMismatch):
        load_lpips("vgg")


def test_what_the_web_may_import_does_not_import_torch() -> None:
    program = (
        "import sys, styletransfer.score_card, styletransfer.errors, styletransfer.pretrained;"
        "assert not {'torch', 'django', 'celery'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
