"""The feature networks that losses are taken in: our VGG-19, or anybody's TorchScript file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor

from styletransfer.download import Progress
from styletransfer.errors import MetricInputError, WeightsMismatch
from styletransfer.recipe import Recipe
from styletransfer.vgg import deepest_of
from styletransfer.weights import load_vgg

# What a file of five maps returns, as the published encoders of style transfer do.
FIVE_MAPS = tuple(f"relu{block}_1" for block in range(1, 6))


class FeatureNetwork(Protocol):
    """A frozen network; gradients flow to the images only."""

    def features(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the maps of ``layers`` for RGB ``images`` (N, 3, H, W) in 0..1."""


class TorchScriptFeatures:
    """A TorchScript file that maps RGB in 0..1 to its maps: five, or a dictionary by layer."""

    def __init__(self, path: Path, device: torch.device) -> None:
        try:
            self.module = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise WeightsMismatch(f"{path} is not a TorchScript file: {error}") from error
        self.path = path
        self.module.eval()
        for weight in self.module.parameters():
            weight.requires_grad_(False)

    def features(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the maps of ``layers``; all of them are computed.

        Raises:
            MetricInputError: the file has no such layer.
        """
        found = self.module(images)
        if not isinstance(found, dict):
            found = dict(zip(FIVE_MAPS, found, strict=False))
        missing = sorted(set(layers) - found.keys())
        if missing:
            raise MetricInputError(
                f"{self.path.name} has no layer {', '.join(missing)}; it has {', '.join(found)}"
            )
        return {layer: cast(Tensor, found[layer]) for layer in layers}


def open_features(
    name: str, recipe: Recipe, device: torch.device, on_progress: Progress | None = None
) -> FeatureNetwork:
    """Return a feature network by its name or file, as deep as a recipe needs it.

    Raises:
        WeightsUnavailable, WeightsMismatch, MetricInputError: it is not to be had, or not fit.
    """
    layers = (recipe.content_layer, *recipe.style_layers)
    if Path(name).suffix in (".pt", ".ts", ".torchscript"):
        scripted = TorchScriptFeatures(Path(name), device)
        scripted.features(torch.zeros(1, 3, 32, 32, device=device), layers)
        return scripted
    network, _ = load_vgg(name, deepest=deepest_of(layers), on_progress=on_progress)
    return network.to(device)
