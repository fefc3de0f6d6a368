"""Score the outputs of one submission against a phase's references."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.calibration import calibrate
from styletransfer.clock import StepClock
from styletransfer.determinism import arithmetic, versions
from styletransfer.errors import NonFiniteInput, ShapeMismatch, TooFewSamples
from styletransfer.flags import find_copies
from styletransfer.inception import FEATURES
from styletransfer.metrics.interval import bootstrap_mean
from styletransfer.pair_values import PairMeter
from styletransfer.pinned import open_discriminator, open_inception, open_vgg
from styletransfer.pretrained import is_surrogate
from styletransfer.references import (
    Progress,
    VggReferences,
    count_up,
    count_used,
    recall_vgg_features,
    require_consistent,
    require_image,
)
from styletransfer.set_values import (
    SetMeter,
    SetReferences,
    preparations_of,
    recall_set_references,
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
        recipe_sha256: str | None = None,
    ) -> None:
        """Take what scoring needs.

        ``recipe_sha256`` names the whole recipe where ``recipe`` is the part of it that can be
        measured here: seeds and cards then agree with those of the whole.
        """
        require_consistent(references)
        self._recipe, self._references = recipe, references
        self._recipe_sha256 = recipe_sha256 or recipe.sha256()
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
        sets = None
        vgg = open_vgg(self._vgg_pin, self._recipe, self._weights_dir)
        features = recall_vgg_features(
            self._recipe, self._references, vgg, self._vgg_pin, self._cache_dir, advance
        )
        if any(key.endswith("_relative") for key in self._recipe.measured):
            features.require_anchors()
        if "inception" in self._recipe.needs:
            self._require_sets()
            sets = recall_set_references(
                self._recipe,
                self._references,
                open_inception(self._inception_pin, self._weights_dir),
                self._inception_pin,
                self._cache_dir,
                advance,
            )
        seconds = time.perf_counter() - started
        self._prepared = _Prepared(arithmetic(), vgg, features, sets, seconds)

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
        pairs = self._pair_meter(prepared, clock)
        sets = SetMeter(self._recipe, prepared.sets, clock) if prepared.sets else None
        for number, output in enumerate(outputs):
            pairs.measure(number, to_batch([output]))
            if sets is not None:
                sets.measure(output)
            if on_pair is not None:
                on_pair(number + 1, len(outputs))
        per_pair = pairs.values()
        seed = seed_of(checkpoint_sha256, self._recipe_sha256, self._references.sha256)
        with clock.measure("intervals"):
            scores = {
                key: Estimate(*bootstrap_mean(values, seed=seed))
                for key, values in per_pair.items()
            }
        if sets is not None:
            scores |= sets.values(seed)
        with clock.measure("flags"):
            flags = find_copies(outputs, self._references)
            if sets is not None:
                flags += sets.flags()
        # The recipe's order, whatever order the values were found in.
        scores = {key: scores[key] for key in self._recipe.measured}
        _require_finite(scores)
        return ScoreCard(
            scores=scores,
            per_pair={key: values.tolist() for key, values in per_pair.items()},
            flags=[flag.to_json() for flag in flags],
            measurements=clock.report() | {"prepare_s": prepared.seconds},
            provenance=self._provenance(checkpoint_sha256),
        )

    def _pair_meter(self, prepared: "_Prepared", clock: StepClock) -> PairMeter:
        return PairMeter(
            self._recipe,
            self._references,
            prepared.features,
            prepared.vgg,
            self._discriminator,
            clock,
        )

    def _count_images(self) -> int:
        reals = len(self._references.reals) * len(preparations_of(self._recipe))
        return count_used(self._references) + reals

    def _require_sets(self) -> None:
        if len(self._references.reals) < 2 or len(self._references.pairs) < 2:
            raise TooFewSamples("a distance of sets needs at least 2 real images and 2 pairs")

    def _require_outputs(self, outputs: Sequence[Image]) -> None:
        pairs = self._references.pairs
        if len(outputs) != len(pairs):
            raise ShapeMismatch(f"expected {len(pairs)} outputs, one per pair, got {len(outputs)}")
        for output, (content, _) in zip(outputs, pairs, strict=True):
            require_image(output, self._references.contents[content].shape)

    def _provenance(self, checkpoint_sha256: str) -> dict[str, Any]:
        pins = {"vgg": self._vgg_pin}
        if "inception" in self._recipe.needs:
            pins["inception"] = self._inception_pin
        reals, pairs = len(self._references.reals), len(self._references.pairs)
        return {
            "checkpoint_sha256": checkpoint_sha256,
            "recipe_sha256": self._recipe_sha256,
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
    sets: SetReferences | None
    seconds: float


def _require_finite(scores: dict[str, Estimate]) -> None:
    for key, estimate in scores.items():
        numbers = [number for number in estimate.to_json().values() if number is not None]
        if not np.isfinite(numbers).all():
            raise NonFiniteInput(f"{key} is not a finite number")
