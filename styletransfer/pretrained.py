"""Which feature networks there are, and where their files and hashes come from; free of torch."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from styletransfer.download import (
    Progress,
    fetch,
    published_name,
    published_prefix,
    sha256_file,
)
from styletransfer.errors import WeightsMismatch, WeightsUnavailable
from styletransfer.surrogates import PINS
from styletransfer.values import ExtractorPin

VGG = "vgg19-imagenet1k-v1"
INCEPTION = "inception-2015-12-05"

ADDRESSES: Mapping[str, str] = {
    VGG: "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    INCEPTION: (
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth"
    ),
}


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
    if name in ADDRESSES:
        folder = weights_dir or os.environ.get("ARENA_WEIGHTS_DIR") or _cache_folder()
        if not (Path(folder) / published_name(ADDRESSES[name])).exists():
            return None
    return extractor_pin(name, weights_dir=weights_dir)


def find_weights(
    name: str, *, weights_dir: Path | None = None, on_progress: Progress | None = None
) -> tuple[Path, ExtractorPin]:
    """Return the checked file of published weights.

    Looked for in ``weights_dir``, else in the folder that ``ARENA_WEIGHTS_DIR`` names, neither of
    which is ever downloaded to; without both in the user's cache, where it is fetched to.

    Raises:
        WeightsUnavailable: the name is unknown or the file is not to be had.
        WeightsMismatch: the file is not the published one, or not the one seen before.
    """
    if name not in ADDRESSES:
        known = ", ".join([*ADDRESSES, *PINS])
        raise WeightsUnavailable(f"unknown feature network {name!r}; there are {known}")
    return find_file(ADDRESSES[name], name, weights_dir=weights_dir, on_progress=on_progress)


def find_file(
    url: str, name: str, *, weights_dir: Path | None = None, on_progress: Progress | None = None
) -> tuple[Path, ExtractorPin]:
    """Return the checked file of an address; see ``find_weights``."""
    given = weights_dir or os.environ.get("ARENA_WEIGHTS_DIR")
    if given:
        path = Path(given) / published_name(url)
        if not path.exists():
            raise WeightsUnavailable(
                f"{path} is not there. Download {url} on a machine with a network and copy it."
            )
    else:
        path = fetch(url, _cache_folder(), on_progress=on_progress)
    status = path.stat()
    return path, ExtractorPin(name, _check(url, path, status.st_size, status.st_mtime_ns))


def _cache_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stylearena" / "weights"


@lru_cache(maxsize=16)
def _check(url: str, path: Path, size: int, modified: int) -> str:
    """Hash a file once for as long as it does not change, and compare with what is known of it."""
    found = sha256_file(path)
    if not found.startswith(published_prefix(url)):
        raise WeightsMismatch(
            f"{path} is damaged or another file: its SHA-256 begins with {found[:8]}, published "
            f"is {published_prefix(url)}. Remove it to have it fetched again."
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
