"""Values that outputs have as a whole: distances between sets of Inception features."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.clock import StepClock
from styletransfer.feature_cache import recall
from styletransfer.flags import Flag, find_memorised
from styletransfer.inception import FidInception
from styletransfer.metrics.frechet import KEPT_ROWS, FeatureStatistics, frechet_distance
from styletransfer.metrics.interval import bootstrap_frechet, bootstrap_kernel
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid
from styletransfer.metrics.perceptual import artfid
from styletransfer.recipe import Recipe
from styletransfer.references import fid_key, make_fid_features
from styletransfer.values import Estimate, ExtractorPin, Image, ReferenceImages

Rows = NDArray[np.float32]

# How an image is prepared for the network -> the metrics that want it so.
_USERS: Mapping[str, frozenset[str]] = {
    "pytorch": frozenset({"fid_pytorch", "kid", "mifid", "artfid"}),
    "clean": frozenset({"fid_clean"}),
}


def preparations_of(recipe: Recipe) -> list[str]:
    """Name the ways in which a recipe's metrics want images prepared for the network."""
    return [name for name, users in _USERS.items() if users & set(recipe.measured)]


@dataclass(frozen=True)
class SetReferences:
    """The network and the real images' features under each preparation that is wanted."""

    network: FidInception
    rows: Mapping[str, Rows]
    statistics: Mapping[str, FeatureStatistics]


def recall_set_references(
    recipe: Recipe,
    references: ReferenceImages,
    network: FidInception,
    pin: ExtractorPin,
    cache_dir: Path | None,
    advance: Callable[[], None],
) -> SetReferences:
    """Return the real images' features, from the cache where they are there."""
    rows: dict[str, Rows] = {}
    statistics: dict[str, FeatureStatistics] = {}
    for preparation in preparations_of(recipe):
        features = partial(_take_features, network, preparation)
        read = recall(
            cache_dir,
            fid_key(references, pin.sha256, preparation, network.device),
            partial(make_fid_features, references, features, network.device, advance),
        )
        rows[preparation] = read("reals").numpy()
        statistics[preparation] = FeatureStatistics.from_features(rows[preparation])
        _ = statistics[preparation].factor  # computed once here, not at the first score
    return SetReferences(network, rows, statistics)


class SetMeter:
    """Takes the outputs' features as they come and compares them at the end."""

    def __init__(self, recipe: Recipe, references: SetReferences, clock: StepClock) -> None:
        self._recipe, self._references, self._clock = recipe, references, clock
        self._found: dict[str, list[Tensor]] = {name: [] for name in preparations_of(recipe)}

    def measure(self, outputs: Sequence[Image], batch: Tensor) -> None:
        """Take the features of some outputs; ``batch`` holds them as floats in 0..1."""
        network = self._references.network
        with self._clock.measure("inception"):
            for preparation, found in self._found.items():
                found.append(_take_features(network, preparation, outputs, batch))

    def flags(self) -> list[Flag]:
        """Say whether outputs lie suspiciously near the real images."""
        found = self._found.get("pytorch")
        if not found:
            return []
        return find_memorised(torch.cat(found).cpu().numpy(), self._references.rows["pytorch"])

    def values(self, seed: int, *, lpips: float = math.nan) -> dict[str, Estimate]:
        """Return the recipe's metrics of sets; ``lpips`` is the mean that ArtFID takes in."""
        rows = {name: torch.cat(found).cpu().numpy() for name, found in self._found.items()}
        with self._clock.measure("frechet"):
            return {
                key: self._measure_sets(key, preparation, rows[preparation], seed, lpips)
                for preparation in rows
                for key in self._recipe.measured
                if key in _USERS[preparation]
            }

    def _measure_sets(
        self, key: str, preparation: str, outputs: Rows, seed: int, lpips: float
    ) -> Estimate:
        reals = self._references.rows[preparation]
        has_spread = len(reals) <= KEPT_ROWS
        if key == "kid":
            if has_spread:
                return Estimate(*bootstrap_kernel(outputs, reals, seed=seed))
            return Estimate(kernel_distance(outputs, reals))
        if key == "mifid":
            return Estimate(mifid(outputs, reals))
        made = FeatureStatistics(kept_rows=max(KEPT_ROWS, len(outputs)))
        made.update(outputs)
        statistics = self._references.statistics[preparation]
        if key == "artfid":
            return Estimate(artfid(lpips, frechet_distance(made, statistics)))
        if has_spread:
            return Estimate(*bootstrap_frechet(made, statistics, seed=seed))
        return Estimate(frechet_distance(made, statistics))


def _take_features(
    network: FidInception, preparation: str, images: Sequence[Image], batch: Tensor
) -> Tensor:
    return network.clean_features(images) if preparation == "clean" else network(batch)
