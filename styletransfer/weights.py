"""Load the frozen feature networks by name."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from styletransfer.download import Progress
from styletransfer.errors import WeightsMismatch
from styletransfer.inception import FidInception
from styletransfer.lpips import Lpips
from styletransfer.pretrained import extractor_pin, find_weights, is_surrogate
from styletransfer.surrogate_weights import hash_weights, make_weights
from styletransfer.surrogates import PINS
from styletransfer.vgg import Vgg19

__all__ = ["extractor_pin", "load_inception", "load_lpips", "load_vgg"]


def load_vgg(
    name: str,
    *,
    deepest: str = "relu5_1",
    weights_dir: Path | None = None,
    on_progress: Progress | None = None,
) -> tuple[Vgg19, str]:
    """Return VGG-19 down to a layer, frozen, and the SHA-256 of its weights.

    Raises:
        WeightsUnavailable: the name is unknown or the file is not to be had.
        WeightsMismatch: the file is not the published one, or not of this network.
    """
    weights, sha256 = _read(name, weights_dir, on_progress)
    network = Vgg19(deepest)
    network.load_published(weights)
    return network, sha256


def load_inception(
    name: str, *, weights_dir: Path | None = None, on_progress: Progress | None = None
) -> tuple[FidInception, str]:
    """Return the FID Inception, frozen, and the SHA-256 of its weights.

    Raises:
        WeightsUnavailable: the name is unknown or the file is not to be had.
        WeightsMismatch: the file is not the published one, or not of this network.
    """
    weights, sha256 = _read(name, weights_dir, on_progress)
    return FidInception(weights), sha256


def load_lpips(
    name: str, *, weights_dir: Path | None = None, on_progress: Progress | None = None
) -> tuple[Lpips, str]:
    """Return the LPIPS network, frozen, and the SHA-256 of its weights.

    Raises:
        WeightsUnavailable: the name is unknown or a file is not to be had.
        WeightsMismatch: a file is not the published one, or not of this network.
    """
    weights, sha256 = _read(name, weights_dir, on_progress)
    network = Lpips()
    network.load_published(weights)
    return network, sha256


def _read(
    name: str, weights_dir: Path | None, on_progress: Progress | None
) -> tuple[Mapping[str, Tensor], str]:
    if is_surrogate(name):
        arrays = make_weights(name)
        sha256 = hash_weights(arrays)
        if sha256 != PINS[name].sha256:
            raise WeightsMismatch(f"{name} came out differently here: SHA-256 {sha256}")
        return {key: torch.from_numpy(array) for key, array in arrays.items()}, sha256
    paths, pin = find_weights(name, weights_dir=weights_dir, on_progress=on_progress)
    weights: dict[str, Tensor] = {}
    for path in paths:
        weights |= _read_file(path)
    return weights, pin.sha256


def _read_file(path: Path) -> Mapping[str, Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsMismatch(f"{path} is not a file of weights: {error}") from error
    if not isinstance(weights, Mapping):
        raise WeightsMismatch(f"{path} holds a {type(weights).__name__}, not named weights")
    return weights
