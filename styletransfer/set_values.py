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
    """Takes the outputs' features as they come."""

    def __init__(self, recipe: Recipe, references: SetReferences, clock: StepClock) -> None:
        self._network, self._clock = references.network, clock
        self._found: dict[str, list[Tensor]] = {name: [] for name in preparations_of(recipe)}

    def measure(self, outputs: Sequence[Image], batch: Tensor) -> None:
        """Take the features of some outputs; ``batch`` holds them as floats in 0..1."""
        with self._clock.measure("inception"):
            for preparation, found in self._found.items():
                found.append(_take_features(self._network, preparation, outputs, batch).cpu())

    def features(self) -> Mapping[str, Rows]:
        """Return the features of all that was measured, by preparation."""
        return {name: torch.cat(found).numpy() for name, found in self._found.items()}


def find_near(features: Mapping[str, Rows], references: SetReferences) -> list[Flag]:
    """Say whether outputs lie suspiciously near the real images."""
    if "pytorch" not in features:
        return []
    return find_memorised(features["pytorch"], references.rows["pytorch"])


def compare_sets(
    recipe: Recipe,
    references: SetReferences,
    features: Mapping[str, Rows],
    seed: int,
    *,
    lpips: float = math.nan,
) -> dict[str, Estimate]:
    """Return the recipe's metrics of sets; ``lpips`` is the mean that ArtFID takes in."""
    scores: dict[str, Estimate] = {}
    for preparation in preparations_of(recipe):
        rows, reals = features[preparation], references.rows[preparation]
        statistics = references.statistics[preparation]
        made = FeatureStatistics.from_features(rows)
        # Of more outputs the spread is small, and its matrices would take gigabytes.
        has_spread = max(len(rows), len(reals)) <= KEPT_ROWS
        for key in recipe.measured:
            if key not in _USERS[preparation]:
                continue
            if key == "kid" and has_spread:
                scores[key] = Estimate(*bootstrap_kernel(rows, reals, seed=seed))
            elif key == "kid":
                scores[key] = Estimate(kernel_distance(rows, reals))
            elif key == "mifid":
                scores[key] = Estimate(mifid(rows, reals))
            elif key == "artfid":
                scores[key] = Estimate(artfid(lpips, frechet_distance(made, statistics)))
            elif has_spread:
                scores[key] = Estimate(*bootstrap_frechet(made, statistics, seed=seed))
            else:
                scores[key] = Estimate(frechet_distance(made, statistics))
    return scores


def _take_features(
    network: FidInception, preparation: str, images: Sequence[Image], batch: Tensor
) -> Tensor:
    return network.clean_features(images) if preparation == "clean" else network(batch)
