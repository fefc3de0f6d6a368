"""Plain values that cross the border between Django and torch; free of both."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from styletransfer.card_schema import SCHEMA_ID
from styletransfer.errors import InvalidRecipe, InvalidScoreCard

Image = NDArray[np.uint8]
"""RGB pixels, ``(H, W, 3)``."""

Normalization = Literal["gatys", "spatial"]
Direction = Literal["lower", "higher"]

VGG19_LAYERS = tuple(
    f"relu{block}_{index}"
    for block, depth in enumerate((2, 2, 4, 4, 4), start=1)
    for index in range(1, depth + 1)
)
"""The layers a recipe may name, shallowest first."""


def canonical_json(value: object) -> str:
    """Write JSON that is equal for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(value: object) -> str:
    """Hash a value by its canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """What the rest of the platform has to know about a metric.

    Attributes:
        per_pair: it has a value for each pair, whose mean is the score.
        needs: of ``EXTRACTORS`` and ``discriminator``; empty where pixels are enough.
        low: the smallest value it can have; None for minus infinity.
        high: the largest value it can have; None for infinity.
        source: what it is a property of: the ``outputs``, or the ``run`` of the generator. Those of
            runs differ a little from run to run; cards hold them as measurements, not as scores.
        convention: how it is computed, in a few words that stay the same as long as the version
            does; what a recipe chooses stands in braces.
        unit: of the value; None for a pure number.
        interval: what ``Estimate.low`` and ``high`` mean: a 95 % ``confidence`` interval from
            resampled pairs, a resampling ``spread``, or ``none``.
    """

    key: str
    version: int
    direction: Direction
    per_pair: bool
    needs: frozenset[str]
    title: str
    low: float | None = 0.0
    high: float | None = None
    interval: Literal["confidence", "spread", "none"] = "confidence"
    source: Literal["outputs", "run"] = "outputs"
    convention: str = ""
    unit: str | None = None


def _pair_metric(key: str, title: str, needs: str, convention: str) -> MetricSpec:
    named = frozenset(needs.split())
    return MetricSpec(key, 1, "lower", True, named, title, convention=convention)


def _set_metric(
    key: str,
    title: str,
    convention: str,
    needs: str = "inception",
    *,
    low: float | None = 0.0,
    interval: Literal["spread", "none"] = "spread",
) -> MetricSpec:
    named = frozenset(needs.split())
    return MetricSpec(
        key, 1, "lower", False, named, title, low=low, interval=interval, convention=convention
    )


def _run_metric(key: str, title: str, convention: str, unit: str | None) -> MetricSpec:
    return MetricSpec(
        key,
        1,
        "lower",
        False,
        frozenset(),
        title,
        interval="none",
        source="run",
        convention=convention,
        unit=unit,
    )


METRICS: Mapping[str, MetricSpec] = {
    spec.key: spec
    for spec in (
        _pair_metric(
            "content",
            "Content loss",
            "vgg",
            "half the squared distance of VGG-19 {recipe.content_layer} (Gatys et al. 2016)",
        ),
        _pair_metric(
            "style",
            "Style loss",
            "vgg",
            "squared distance of VGG-19 Gram matrices, {recipe.normalization} (Gatys et al. 2016)",
        ),
        _pair_metric(
            "adversarial",
            "Adversarial loss",
            "discriminator",
            "LSGAN generator loss, mean over patches (Mao et al. 2017)",
        ),
        _pair_metric(
            "total",
            "Total loss",
            "vgg",
            "{recipe.alpha:g} content + {recipe.beta:g} style + {recipe.gamma:g} adversarial",
        ),
        _set_metric("fid_pytorch", "FID (pytorch-fid)", "pytorch-fid 0.3.0 preprocessing"),
        _pair_metric(
            "content_relative",
            "Content loss relative to style paste",
            "vgg",
            "content / content of the style image as output",
        ),
        _pair_metric(
            "style_relative",
            "Style loss relative to identity",
            "vgg",
            "style / style of the content image as output",
        ),
        _set_metric("fid_clean", "FID (clean-fid)", "clean-fid preprocessing, mode clean"),
        _set_metric(
            "kid",
            "KID",
            "unbiased, cubic kernel, no subsets; pytorch-fid 0.3.0 preprocessing",
            low=None,
        ),
        _set_metric(
            "mifid",
            "MiFID",
            "fid_pytorch / memorization distance below 0.1 (Bai et al. 2021)",
            interval="none",
        ),
        MetricSpec(
            "ssim",
            1,
            "higher",
            True,
            frozenset(),
            "SSIM to the content",
            low=-1,
            high=1,
            convention="RGB, 11 x 11 Gaussian window of sigma 1.5 (Wang et al. 2004)",
        ),
        _pair_metric(
            "cfsd",
            "CFSD",
            "vgg",
            "self-similarity of VGG-19 {recipe.content_layer} (Chung et al. 2024)",
        ),
        _pair_metric(
            "lpips",
            "LPIPS to the content",
            "lpips",
            "LPIPS 0.1 on AlexNet, not resized (Zhang et al. 2018)",
        ),
        _set_metric(
            "artfid",
            "ArtFID",
            "(1 + lpips) (1 + fid_pytorch) (Wright and Ommer 2022)",
            "inception lpips",
            low=1.0,
            interval="none",
        ),
        _run_metric(
            "ms_per_image",
            "Milliseconds per image",
            "median wall time, the first image left out",
            "ms",
        ),
        _run_metric("parameters", "Parameters", "weights that were loaded", None),
        _run_metric("peak_memory", "Peak memory", "added to the idle process, at most", "byte"),
    )
}

EXTRACTORS = ("vgg", "inception", "lpips")
"""The roles of the feature networks that phases pin, each by a name and a hash."""

DEFAULT_METRICS = (
    "content",
    "style",
    "adversarial",
    "total",
    "fid_pytorch",
    "content_relative",
    "style_relative",
)
"""What a recipe measures unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a phase scores: layers, weights and metrics.

    Attributes:
        alpha: weight of the content loss in the total.
        beta: weight of the style loss.
        gamma: weight of the adversarial loss; needs a discriminator unless zero.
        discriminator_sha256: of the discriminator's file.

    Raises:
        InvalidRecipe: its parts contradict each other.
    """

    content_layer: str = "relu4_2"
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    style_weights: tuple[float, ...] = (0.2,) * 5
    normalization: Normalization = "gatys"
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 0.0
    discriminator_sha256: str | None = None
    metrics: tuple[str, ...] = DEFAULT_METRICS

    def __post_init__(self) -> None:
        # 1 and 1.0, a list and a tuple must not differ in the hash.
        for name in ("alpha", "beta", "gamma"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "style_layers", tuple(self.style_layers))
        object.__setattr__(self, "style_weights", tuple(float(w) for w in self.style_weights))
        object.__setattr__(self, "metrics", tuple(self.metrics))
        for problem in self._problems():
            raise InvalidRecipe(problem)

    def _problems(self) -> list[str]:
        layers = (self.content_layer, *self.style_layers)
        weights = (self.alpha, self.beta, self.gamma, *self.style_weights)
        checks = {
            f"layers are {', '.join(VGG19_LAYERS)}": set(layers) <= set(VGG19_LAYERS),
            "style layers are named once each, at least one": (
                0 < len(self.style_layers) == len(set(self.style_layers))
            ),
            "each style layer needs a weight": len(self.style_layers) == len(self.style_weights),
            "weights are finite and not negative": all(
                math.isfinite(w) and w >= 0 for w in weights
            ),
            "normalization is 'gatys' or 'spatial'": self.normalization in get_args(Normalization),
            f"metrics are {', '.join(METRICS)}": set(self.metrics) <= set(METRICS),
            "metrics are named once each, at least one": (
                0 < len(self.metrics) == len(set(self.metrics))
            ),
            "at least one metric is of the outputs, not of how they are made": (
                any(METRICS[key].source == "outputs" for key in self.metrics if key in METRICS)
            ),
            "an adversarial term needs a discriminator": (
                self.gamma == 0 or self.discriminator_sha256 is not None
            ),
        }
        return [rule for rule, holds in checks.items() if not holds]

    @property
    def measured(self) -> tuple[str, ...]:
        """Name the metrics that come out: without a discriminator, no adversarial one."""
        if self.discriminator_sha256 is not None:
            return self.metrics
        return tuple(key for key in self.metrics if "discriminator" not in METRICS[key].needs)

    @property
    def scored(self) -> tuple[str, ...]:
        """Name the measured metrics that are scores: only those may rank."""
        return tuple(key for key in self.measured if METRICS[key].source == "outputs")

    @property
    def needs(self) -> frozenset[str]:
        """Name the networks that the measured metrics take, of those a ``MetricSpec`` names."""
        return frozenset().union(*(METRICS[key].needs for key in self.measured))

    @property
    def extractors(self) -> tuple[str, ...]:
        """Name the roles whose networks have to be pinned; content and style are always taken."""
        needed = self.needs | {"vgg"}
        return tuple(role for role in EXTRACTORS if role in needed)

    def calibrated(self, *, alpha: float, beta: float, gamma: float) -> Self:
        """Return the same recipe with other weights of the total."""
        return replace(self, alpha=alpha, beta=beta, gamma=gamma)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote; unknown names are refused.

        Raises:
            InvalidRecipe: a name is unknown, a value has the wrong type or contradicts another.
        """
        unknown = sorted(set(data) - {each.name for each in fields(cls)})
        if unknown:
            raise InvalidRecipe(f"a recipe has no {', '.join(unknown)}")
        try:
            return cls(**data)
        except InvalidRecipe:
            raise
        except (TypeError, ValueError) as error:
            raise InvalidRecipe(f"not a recipe: {error}") from error

    def canonical_json(self) -> str:
        """Return the one JSON text whose hash names this recipe."""
        return canonical_json(self.to_json())

    def sha256(self) -> str:
        """Hash the recipe."""
        return sha256_of(self.to_json())


@dataclass(frozen=True, slots=True)
class ExtractorPin:
    """A feature network's name and the hash of its weights."""

    name: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its interval, where one is defined."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Return plain JSON values; a whole number is written as 2.0, as it is read again."""
        return {
            name: None if number is None else float(number) for name, number in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class ReferenceImages:
    """What a phase scores against: one image size, 8-bit RGB.

    Attributes:
        pairs: (index into contents, index into styles), in the order of the outputs.
        reals: real images of the target style for FID; none of them in a pair.
        sha256: names the whole set.
    """

    contents: Sequence[Image]
    styles: Sequence[Image]
    pairs: Sequence[tuple[int, int]]
    reals: Sequence[Image]
    sha256: str


def hash_references(
    *,
    image_size: int,
    pixel_hashes: Mapping[str, Sequence[str]],
    pairs: Sequence[tuple[int, int]],
) -> str:
    """Name a reference set by its pixels: equal images in equal places give equal hashes.

    Args:
        image_size: height and width of every image.
        pixel_hashes: of the images in their order, by role: ``content``, ``style``, ``real``.
        pairs: (index into contents, index into styles), in their order.
    """
    described = {"image_size": image_size, "images": pixel_hashes, "pairs": pairs}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def hash_pairs(pixel_hashes: Sequence[tuple[str, str]]) -> str:
    """Name the public part of a reference set by its pixels: content and style of each pair."""
    return sha256_of([list(pair) for pair in pixel_hashes])


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """What scoring one submission found.

    Attributes:
        scores: by metric key; bit-identical for equal inputs, versions and threads.
        per_pair: by metric key, in the order of the pairs.
        flags: what looks odd about the outputs, see ``styletransfer.flags``.
        guards: what was tried to find oddities, by its name: ``second_pass``, ``sensitivity``.
        measurements: times, memory, device; they differ from run to run.
        provenance: hashes and versions of all that went in.
    """

    scores: Mapping[str, Estimate]
    per_pair: Mapping[str, list[float]]
    measurements: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    flags: Sequence[Mapping[str, Any]] = ()
    guards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_guard(
        self, name: str, found: Mapping[str, Any], flags: Sequence[Mapping[str, Any]]
    ) -> Self:
        """Return the same scores with what one more guard found."""
        return replace(self, guards={**self.guards, name: found}, flags=[*self.flags, *flags])

    def with_measurements(self, found: Mapping[str, float]) -> Self:
        """Return the same card with more measurements."""
        return replace(self, measurements={**self.measurements, **found})

    def values_of(self, recipe: Recipe) -> dict[str, Estimate]:
        """Return the recipe's metrics that were found, scores and measurements alike."""
        found = {
            key: Estimate(float(self.measurements[key]))
            for key in recipe.measured
            if METRICS[key].source == "run" and key in self.measurements
        }
        return {**self.scores, **found}

    @property
    def scores_sha256(self) -> str:
        """Hash the canonical JSON of the scores."""
        return sha256_of({key: estimate.to_json() for key, estimate in self.scores.items()})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "$schema": SCHEMA_ID,
            "scores": {key: estimate.to_json() for key, estimate in self.scores.items()},
            "scores_sha256": self.scores_sha256,
            "per_pair": {key: list(values) for key, values in self.per_pair.items()},
            "flags": [dict(flag) for flag in self.flags],
            "guards": {name: dict(found) for name, found in self.guards.items()},
            "measurements": dict(self.measurements),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what ``to_json`` wrote, now or by an earlier version.

        Raises:
            InvalidScoreCard: it is something else, or its scores are not those that were hashed.
        """
        try:
            card = cls._read(data)
            stated = data["scores_sha256"]  # type: ignore[index]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidScoreCard("not a score card") from error
        if card.scores_sha256 != stated:
            raise InvalidScoreCard(
                "its scores are not those that its scores_sha256 was taken of: it was changed "
                "after it was made"
            )
        return card

    @classmethod
    def _read(cls, data: Any) -> Self:
        return cls(
            scores={
                str(key): Estimate(
                    float(each["value"]), _number(each["low"]), _number(each["high"])
                )
                for key, each in data["scores"].items()
            },
            per_pair={
                str(key): [float(value) for value in values]
                for key, values in data.get("per_pair", {}).items()
            },
            measurements=dict(data["measurements"]),
            provenance=dict(data["provenance"]),
            flags=tuple(dict(flag) for flag in data.get("flags", ())),
            guards={str(key): dict(found) for key, found in data.get("guards", {}).items()},
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
