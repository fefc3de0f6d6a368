"""Score the outputs of one submission against a phase's references."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.calibration import calibrate
from styletransfer.clock import StepClock
from styletransfer.determinism import arithmetic, versions
from styletransfer.errors import NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.feature_cache import recall
from styletransfer.inception import FEATURES, FidInception
from styletransfer.metrics.adversarial import generator_loss
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.frechet import KEPT_ROWS, FeatureStatistics, frechet_distance
from styletransfer.metrics.interval import bootstrap_frechet, bootstrap_mean
from styletransfer.metrics.style import weigh_layers
from styletransfer.pinned import open_discriminator, open_inception, open_vgg
from styletransfer.pretrained import is_surrogate
from styletransfer.references import (
    Progress,
    VggReferences,
    count_up,
    count_used,
    fid_key,
    look,
    make_fid_features,
    recall_vgg_features,
    require_consistent,
    require_image,
)
from styletransfer.values import (
    METRICS,
    Estimate,
    ExtractorPin,
    Image,
    Recipe,
    ReferenceImages,
    ScoreCard,
)
from styletransfer.vgg import Vgg19, to_batch

__all__ = ["Scorer", "calibrate", "seed_of"]

_Values = NDArray[np.float64]


class Scorer:
    """Scores submissions to one phase; built once, used for many.

    Extractors whose weights are not the pinned ones are refused. Threads are the caller's to set
    (``determinism.make_deterministic``): equal numbers of them give equal bits.
    """

    def __init__(
        self,
        recipe: Recipe,
        references: ReferenceImages,
        vgg: ExtractorPin,
        inception: ExtractorPin,
        discriminator: bytes | None = None,
        cache_dir: Path | None = None,
        weights_dir: Path | None = None,
    ) -> None:
        require_consistent(references)
        self._recipe, self._references = recipe, references
        self._vgg_pin, self._inception_pin = vgg, inception
        self._cache_dir, self._weights_dir = cache_dir, weights_dir
        self._discriminator = open_discriminator(discriminator, recipe)
        self._prepared: _Prepared | None = None

    def prepare(self, on_progress: Progress | None = None) -> None:
        """Load the networks; compute the references' features, or take them from the cache.

        Does nothing where that was done before with the same number of threads.

        Raises:
            WeightsUnavailable, WeightsMismatch: the pinned extractors are not to be had.
            DegenerateAnchor: a pair gives nothing to measure relative scores by.
        """
        if self._prepared is not None and self._prepared.arithmetic == arithmetic():
            return
        started = time.perf_counter()
        advance = count_up(self._count_images(), on_progress)
        inception = reals = None
        vgg = open_vgg(self._vgg_pin, self._recipe, self._weights_dir)
        features = recall_vgg_features(
            self._recipe, self._references, vgg, self._vgg_pin, self._cache_dir, advance
        )
        if any(key.endswith("_relative") for key in self._recipe.measured):
            features.require_anchors()
        if "fid_pytorch" in self._recipe.measured:
            inception = open_inception(self._inception_pin, self._weights_dir)
            reals = self._fid_references(inception, advance)
        seconds = time.perf_counter() - started
        self._prepared = _Prepared(arithmetic(), vgg, features, inception, reals, seconds)

    def score(
        self,
        outputs: Sequence[Image],
        *,
        checkpoint_sha256: str,
        on_pair: Progress | None = None,
    ) -> ScoreCard:
        """Measure one output per pair, in the order of the pairs.

        Raises:
            ShapeMismatch: not one output per pair, or one of another size.
            NonFiniteInput: a value is NaN or infinite; there is no score then.
            TooFewSamples: FID of fewer than two images.
        """
        self.prepare()
        prepared = self._prepared
        assert prepared is not None  # noqa: S101 - prepare() sets it
        self._require_outputs(outputs)
        clock = StepClock()
        found = _Found()
        for number, output in enumerate(outputs):
            self._measure_pair(number, output, prepared, found, clock)
            if on_pair is not None:
                on_pair(number + 1, len(outputs))
        per_pair = self._combine(found, prepared)
        seed = seed_of(checkpoint_sha256, self._recipe.sha256(), self._references.sha256)
        with clock.measure("intervals"):
            scores = {
                key: Estimate(*bootstrap_mean(values, seed=seed))
                for key, values in per_pair.items()
            }
        if prepared.reals is not None:
            with clock.measure("frechet"):
                scores["fid_pytorch"] = _frechet(found.features, prepared.reals, seed)
        # The recipe's order, whatever order the values were found in.
        scores = {key: scores[key] for key in self._recipe.measured}
        _require_finite(scores)
        return ScoreCard(
            scores=scores,
            per_pair={key: values.tolist() for key, values in per_pair.items()},
            measurements=clock.report() | {"prepare_s": prepared.seconds},
            provenance=self._provenance(checkpoint_sha256),
        )

    def _measure_pair(
        self, number: int, output: Image, prepared: "_Prepared", found: "_Found", clock: "StepClock"
    ) -> None:
        content, style = self._references.pairs[number]
        batch = to_batch([output])
        with torch.inference_mode():
            with clock.measure("vgg"):
                maps, grams = look(prepared.vgg, self._recipe, batch)
                references = prepared.features
                found.content.append(content_loss(maps, references.content(content)).item())
                found.style.append(
                    weigh_layers(
                        grams,
                        references.style(style),
                        self._recipe.style_weights,
                        self._recipe.normalization,
                    ).item()
                )
            if self._discriminator is not None:
                with clock.measure("discriminator"):
                    scores = self._discriminator(batch)
                    found.adversarial.append(generator_loss(scores).item())
            if prepared.inception is not None:
                with clock.measure("inception"):
                    found.features.append(prepared.inception(batch))

    def _combine(self, found: "_Found", prepared: "_Prepared") -> dict[str, _Values]:
        recipe = self._recipe
        content, style = np.array(found.content), np.array(found.style)
        adversarial = np.array(found.adversarial) if found.adversarial else np.zeros(len(content))
        with np.errstate(over="ignore"):  # an infinite total is refused below
            total = recipe.alpha * content + recipe.beta * style + recipe.gamma * adversarial
        values = {"content": content, "style": style, "adversarial": adversarial, "total": total}
        wanted = [key for key in recipe.measured if METRICS[key].per_pair]
        if "content_relative" in wanted:
            values["content_relative"] = content / prepared.features.paste_content
        if "style_relative" in wanted:
            values["style_relative"] = style / prepared.features.identity_style
        for key in wanted:
            if not np.isfinite(values[key]).all():
                raise NonFiniteInput(f"{key} is not a finite number for every pair")
        return {key: values[key] for key in wanted}

    def _fid_references(
        self, network: FidInception, advance: Callable[[], None]
    ) -> FeatureStatistics:
        if len(self._references.reals) < 2 or len(self._references.pairs) < 2:
            raise TooFewSamples("FID needs at least 2 real images and 2 pairs")
        read = recall(
            self._cache_dir,
            fid_key(self._references, self._inception_pin.sha256),
            lambda: make_fid_features(self._references, network, advance),
        )
        statistics = FeatureStatistics.from_features(read("reals").numpy())
        _ = statistics.factor  # computed once here, not at the first score
        return statistics

    def _count_images(self) -> int:
        count = count_used(self._references)
        has_fid = "fid_pytorch" in self._recipe.measured
        return count + (len(self._references.reals) if has_fid else 0)

    def _require_outputs(self, outputs: Sequence[Image]) -> None:
        pairs = self._references.pairs
        if len(outputs) != len(pairs):
            raise ShapeMismatch(f"expected {len(pairs)} outputs, one per pair, got {len(outputs)}")
        for output, (content, _) in zip(outputs, pairs, strict=True):
            require_image(output, self._references.contents[content].shape)

    def _provenance(self, checkpoint_sha256: str) -> dict[str, Any]:
        pins = {"vgg": self._vgg_pin}
        if "fid_pytorch" in self._recipe.measured:
            pins["inception"] = self._inception_pin
        reals, pairs = len(self._references.reals), len(self._references.pairs)
        return {
            "checkpoint_sha256": checkpoint_sha256,
            "recipe_sha256": self._recipe.sha256(),
            "references_sha256": self._references.sha256,
            "discriminator_sha256": self._recipe.discriminator_sha256,
            "extractors": {
                role: {
                    "name": pin.name,
                    "sha256": pin.sha256,
                    "is_surrogate": is_surrogate(pin.name),
                }
                for role, pin in pins.items()
            },
            "metric_versions": {key: METRICS[key].version for key in self._recipe.measured},
            "pairs": pairs,
            "reals": reals,
            # Biased upwards: comparable only with values of the same counts.
            "fid_low_n": min(pairs, reals) <= FEATURES,
            "device": "cpu",
            **arithmetic(),
            **versions(),
        }


def seed_of(checkpoint_sha256: str, recipe_sha256: str, references_sha256: str) -> int:
    """Return the first 8 bytes of the SHA-256 of the three hashes, each on a line of its own."""
    text = "".join(f"{part}\n" for part in (checkpoint_sha256, recipe_sha256, references_sha256))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@dataclass(frozen=True)
class _Prepared:
    arithmetic: dict[str, Any]
    vgg: Vgg19
    features: VggReferences
    inception: FidInception | None
    reals: FeatureStatistics | None
    seconds: float


@dataclass
class _Found:
    """Raw values, in the order of the pairs."""

    content: list[float] = field(default_factory=list)
    style: list[float] = field(default_factory=list)
    adversarial: list[float] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)


def _frechet(features: list[Tensor], reals: FeatureStatistics, seed: int) -> Estimate:
    outputs = FeatureStatistics(kept_rows=max(KEPT_ROWS, len(features)))
    outputs.update(torch.cat(features).numpy())
    if (reals.count or KEPT_ROWS + 1) > KEPT_ROWS:
        return Estimate(frechet_distance(outputs, reals))
    return Estimate(*bootstrap_frechet(outputs, reals, seed=seed))


def _require_finite(scores: dict[str, Estimate]) -> None:
    for key, estimate in scores.items():
        numbers = [number for number in estimate.to_json().values() if number is not None]
        if not np.isfinite(numbers).all():
            raise NonFiniteInput(f"{key} is not a finite number")
