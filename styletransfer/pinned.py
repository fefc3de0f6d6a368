"""Open feature networks and discriminators that a phase has pinned by hash, or refuse."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch

from styletransfer.devices import CPU
from styletransfer.discriminator import PatchGan, load_discriminator
from styletransfer.errors import WeightsMismatch
from styletransfer.inception import FidInception
from styletransfer.lpips import Lpips
from styletransfer.recipe import Recipe
from styletransfer.values import ExtractorPin
from styletransfer.vgg import Vgg19, deepest_of
from styletransfer.weights import load_inception, load_lpips, load_vgg


def require_pin(extractors: Mapping[str, ExtractorPin], role: str) -> ExtractorPin:
    """Return the pin of a role.

    Raises:
        WeightsMismatch: there is none.
    """
    if role not in extractors:
        raise WeightsMismatch(f"the recipe needs a network for {role}, and none is pinned")
    return extractors[role]


def open_vgg(
    pin: ExtractorPin, recipe: Recipe, weights_dir: Path | None, device: torch.device = CPU
) -> Vgg19:
    """Return the pinned VGG-19, as deep as the recipe needs it.

    Raises:
        WeightsUnavailable, WeightsMismatch: the pinned weights are not to be had.
    """
    deepest = deepest_of((recipe.content_layer, *recipe.style_layers))
    network, found = _load_vgg(pin.name, deepest, weights_dir, device)
    _require_pinned(pin, found)
    return network


def open_inception(
    pin: ExtractorPin, weights_dir: Path | None, device: torch.device = CPU
) -> FidInception:
    """Return the pinned FID Inception.

    Raises:
        WeightsUnavailable, WeightsMismatch: the pinned weights are not to be had.
    """
    network, found = _load_inception(pin.name, weights_dir, device)
    _require_pinned(pin, found)
    return network


def open_lpips(pin: ExtractorPin, weights_dir: Path | None, device: torch.device = CPU) -> Lpips:
    """Return the pinned network of LPIPS.

    Raises:
        WeightsUnavailable, WeightsMismatch: the pinned weights are not to be had.
    """
    network, found = _load_lpips(pin.name, weights_dir, device)
    _require_pinned(pin, found)
    return network


def open_discriminator(
    data: bytes | None, recipe: Recipe, device: torch.device = CPU
) -> PatchGan | None:
    """Return the discriminator that the recipe names; none if it names none.

    Raises:
        WeightsMismatch: the file is another one.
    """
    found = None if data is None else hashlib.sha256(data).hexdigest()
    if found != recipe.discriminator_sha256:
        raise WeightsMismatch(
            f"the recipe names discriminator {recipe.discriminator_sha256}, this is {found}"
        )
    return None if data is None else load_discriminator(data).to(device)


# A worker scores several phases with the same networks: loading those once is enough.
@lru_cache(maxsize=2)
def _load_vgg(
    name: str, deepest: str, weights_dir: Path | None, device: torch.device
) -> tuple[Vgg19, str]:
    network, found = load_vgg(name, deepest=deepest, weights_dir=weights_dir)
    return network.to(device), found


@lru_cache(maxsize=1)
def _load_inception(
    name: str, weights_dir: Path | None, device: torch.device
) -> tuple[FidInception, str]:
    network, found = load_inception(name, weights_dir=weights_dir)
    return network.to(device), found


@lru_cache(maxsize=1)
def _load_lpips(name: str, weights_dir: Path | None, device: torch.device) -> tuple[Lpips, str]:
    network, found = load_lpips(name, weights_dir=weights_dir)
    return network.to(device), found


def _require_pinned(pin: ExtractorPin, found: str) -> None:
    if found != pin.sha256:
        raise WeightsMismatch(
            f"{pin.name} here has SHA-256 {found}, the phase pins {pin.sha256}: this worker can't "
            "score it"
        )
