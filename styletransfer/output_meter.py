"""Measure one submission's outputs as they come, and put its score card together."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from styletransfer.clock import StepClock
from styletransfer.discriminator import PatchGan
from styletransfer.errors import NonFiniteInput, ShapeMismatch
from styletransfer.flags import find_copies
from styletransfer.metrics.interval import bootstrap_mean
from styletransfer.pair_values import PairMeter
from styletransfer.perceptual_values import PerceptualReferences
from styletransfer.recipe import Recipe
from styletransfer.references import VggReferences, require_image
from styletransfer.score_card import ScoreCard
from styletransfer.set_values import SetMeter, SetReferences
from styletransfer.values import Estimate, Image, ReferenceImages
from styletransfer.vgg import Vgg19, to_batch


@dataclass(frozen=True)
class Prepared:
    """All that is the same for every submission to a phase.

    Attributes:
        device: where networks and batches lie.
        batch: how many outputs are measured at once.
        seconds: what preparing took.
        arithmetic: what the last bits depend on.
    """

    recipe: Recipe
    references: ReferenceImages
    vgg: Vgg19
    features: VggReferences
    sets: SetReferences | None
    perceptual: PerceptualReferences | None
    discriminator: PatchGan | None
    device: torch.device
    batch: int
    seconds: float
    arithmetic: Mapping[str, Any]

    def meter_pairs(self, clock: StepClock) -> PairMeter:
        """Return what measures outputs of pairs, any of them in any order."""
        return PairMeter(
            self.recipe,
            self.references,
            self.features,
            self.vgg,
            self.discriminator,
            self.perceptual,
            clock,
        )


class OutputMeter:
    """Takes outputs in the order of the pairs, while others are still being made."""

    def __init__(self, prepared: Prepared, *, seed: int, provenance: Mapping[str, Any]) -> None:
        self._prepared, self._seed, self._provenance = prepared, seed, provenance
        self._clock = StepClock()
        self._pairs = prepared.meter_pairs(self._clock)
        sets = prepared.sets
        self._sets = SetMeter(prepared.recipe, sets, self._clock) if sets else None
        self._outputs: list[Image] = []
        self._measured = 0

    def take(self, output: Image) -> None:
        """Take the next pair's output; it is measured with others once a batch is full.

        Raises:
            ShapeMismatch: it is of another size than its pair, or there are no more pairs.
            NonFiniteInput: NaN or infinity came out of a network.
        """
        number = len(self._outputs)
        pairs = self._prepared.references.pairs
        if number == len(pairs):
            raise ShapeMismatch(f"expected {len(pairs)} outputs, one per pair, got more")
        require_image(output, self._prepared.references.contents[pairs[number][0]].shape)
        self._outputs.append(output)
        if number + 1 - self._measured == self._prepared.batch:
            self._measure()

    def finish(self) -> ScoreCard:
        """Return the card.

        Raises:
            ShapeMismatch: a pair has no output.
            NonFiniteInput: a value is NaN or infinite; there is no score then.
            TooFewSamples: FID of fewer than two images.
        """
        expected = len(self._prepared.references.pairs)
        if len(self._outputs) != expected:
            raise ShapeMismatch(
                f"expected {expected} outputs, one per pair, got {len(self._outputs)}"
            )
        self._measure()
        per_pair = self._pairs.values()
        with self._clock.measure("intervals"):
            scores = {
                key: Estimate(*bootstrap_mean(values, seed=self._seed))
                for key, values in per_pair.items()
            }
        if self._sets is not None:
            scores |= self._sets.values(self._seed, lpips=self._pairs.mean("lpips"))
        flags = self._find_flags()
        # The recipe's order, whatever order the values were found in.
        scores = {key: scores[key] for key in self._prepared.recipe.scored}
        _require_finite(scores)
        return ScoreCard(
            scores=scores,
            per_pair={key: values.tolist() for key, values in per_pair.items()},
            flags=flags,
            measurements=self._clock.report() | {"prepare_s": self._prepared.seconds},
            provenance=self._provenance,
        )

    def _measure(self) -> None:
        """Measure what was taken since the last time."""
        numbers = range(self._measured, len(self._outputs))
        if not numbers:
            return
        outputs = self._outputs[self._measured :]
        batch = to_batch(outputs, self._prepared.device)
        self._pairs.measure(numbers, batch)
        if self._sets is not None:
            self._sets.measure(outputs, batch)
        self._measured = len(self._outputs)

    def _find_flags(self) -> Sequence[Mapping[str, Any]]:
        with self._clock.measure("flags"):
            flags = find_copies(self._outputs, self._prepared.references)
            if self._sets is not None:
                flags += self._sets.flags()
        return [flag.to_json() for flag in flags]


def seed_of(checkpoint_sha256: str, recipe_sha256: str, references_sha256: str) -> int:
    """Return the first 8 bytes of the SHA-256 of the three hashes, each on a line of its own."""
    text = "".join(f"{part}\n" for part in (checkpoint_sha256, recipe_sha256, references_sha256))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _require_finite(scores: Mapping[str, Estimate]) -> None:
    for key, estimate in scores.items():
        numbers = [number for number in estimate.to_json().values() if number is not None]
        if not np.isfinite(numbers).all():
            raise NonFiniteInput(f"{key} is not a finite number")
