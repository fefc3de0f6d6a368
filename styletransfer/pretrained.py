"""Which feature networks there are, and where their files and hashes come from; free of torch."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from styletransfer.download import Progress, PublishedFile, fetch, sha256_file
from styletransfer.errors import WeightsMismatch, WeightsUnavailable
from styletransfer.surrogates import PINS
from styletransfer.values import ExtractorPin

VGG = "vgg19-imagenet1k-v1"
INCEPTION = "inception-2015-12-05"

LPIPS = "lpips-alex-v0.1"

OFFICIAL: Mapping[str, str] = {"vgg": VGG, "inception": INCEPTION, "lpips": LPIPS}
"""The published network of each role."""

FILES: Mapping[str, tuple[PublishedFile, ...]] = {
    VGG: (PublishedFile("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"),),
    INCEPTION: (
        PublishedFile(
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
            "pt_inception-2015-12-05-6726825d.pth"
        ),
    ),
    LPIPS: (
        PublishedFile("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),
        # Its address carries no hash: this is that of the file in the package lpips 0.1.4.
        PublishedFile(
            "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/"
            "alex.pth",
            name="lpips-v0.1-alex.pth",
            sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        ),
    ),
}
"""The published networks and the files that each is made of."""


def is_surrogate(name: str) -> bool:
    """Tell stand-ins, good for demos and tests only, from published weights."""
    return name in PINS


def extractor_pin(
    name: str, *, weights_dir: Path | None = None, on_progress: Progress | None = None
) -> ExtractorPin:
    """Return a feature network's name and hash, to be pinned by a phase.

    At once for surrogates; published weights are fetched first where they are not there yet.

    Raises:
        WeightsUnavailable: the name is unknown or the file is not to be had.
        WeightsMismatch: the file is not the published one, or not the one seen before.
    """
    if name in PINS:
        return PINS[name]
    return find_weights(name, weights_dir=weights_dir, on_progress=on_progress)[1]


def local_pin(name: str, *, weights_dir: Path | None = None) -> ExtractorPin | None:
    """Return a feature network's name and hash as ``extractor_pin``, but never download.

    None if its file is not on this machine.

    Raises:
        WeightsMismatch: the file is not the published one, or not the one seen before.
    """
    if name in FILES:
        folder = Path(weights_dir or os.environ.get("ARENA_WEIGHTS_DIR") or _cache_folder())
        if not all((folder / file.name).exists() for file in FILES[name]):
            return None
    return extractor_pin(name, weights_dir=weights_dir)


def find_weights(
    name: str, *, weights_dir: Path | None = None, on_progress: Progress | None = None
) -> tuple[list[Path], ExtractorPin]:
    """Return the checked files of published weights.

    Looked for in ``weights_dir``, else in the folder that ``ARENA_WEIGHTS_DIR`` names, neither of
    which is ever downloaded to; without both in the user's cache, where they are fetched to.

    Raises:
        WeightsUnavailable: the name is unknown or a file is not to be had.
        WeightsMismatch: a file is not the published one, or not the one seen before.
    """
    if name not in FILES:
        known = ", ".join([*FILES, *PINS])
        raise WeightsUnavailable(f"unknown feature network {name!r}; there are {known}")
    paths, hashes = [], []
    for file in FILES[name]:
        path = _find_file(file, weights_dir, on_progress)
        paths.append(path)
        hashes.append(_hash_checked(file, path))
    return paths, ExtractorPin(name, combine_hashes(hashes))


def hash_files(name: str, *, weights_dir: Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of each file of weights, by its name; surrogates have none.

    Raises:
        WeightsUnavailable, WeightsMismatch: as ``find_weights``.
    """
    if is_surrogate(name):
        return {}
    paths, _ = find_weights(name, weights_dir=weights_dir)
    return {
        file.name: _hash_checked(file, path) for file, path in zip(FILES[name], paths, strict=True)
    }


def combine_hashes(hashes: Sequence[str]) -> str:
    """Return the hash that names weights: the file's own, or that of a list of several.

    The list has one hash per line, in the order of ``FILES``.
    """
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(f"{each}\n" for each in hashes).encode()).hexdigest()


def _find_file(file: PublishedFile, weights_dir: Path | None, on_progress: Progress | None) -> Path:
    given = weights_dir or os.environ.get("ARENA_WEIGHTS_DIR")
    if not given:
        return fetch(file, _cache_folder(), on_progress=on_progress)
    path = Path(given) / file.name
    if not path.exists():
        raise WeightsUnavailable(
            f"{path} is not there. Download {file.url} on a machine with a network and copy it "
            "under that name."
        )
    return path


def _cache_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stylearena" / "weights"


def _hash_checked(file: PublishedFile, path: Path) -> str:
    status = path.stat()
    return _check(file, path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _check(file: PublishedFile, path: Path, size: int, modified: int) -> str:
    """Hash a file once for as long as it does not change, and compare with what is known of it."""
    found = sha256_file(path)
    if not found.startswith(file.sha256):
        raise WeightsMismatch(
            f"{path} is damaged or another file: its SHA-256 begins with {found[:8]}, published "
            f"is {file.sha256[:8]}. Remove it to have it fetched again."
        )
    record = path.with_name(f"{path.name}.sha256")
    if record.exists():
        first_seen = record.read_text().split()[0]
        if first_seen != found:
            raise WeightsMismatch(
                f"{path} changed: SHA-256 is {found}, first seen was {first_seen}"
            )
    elif os.access(path.parent, os.W_OK):
        new = record.with_name(f"{record.name}.{os.getpid()}")
        new.write_text(f"{found}  {path.name}\n")
        new.replace(record)
    return found
