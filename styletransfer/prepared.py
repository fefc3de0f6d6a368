"""What scoring needs of a phase, loaded once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from styletransfer.clock import StepClock
from styletransfer.discriminator import PatchGan
from styletransfer.pair_values import PairMeter
from styletransfer.perceptual_values import PerceptualReferences
from styletransfer.recipe import Recipe
from styletransfer.references import VggReferences
from styletransfer.set_values import SetReferences
from styletransfer.values import ReferenceImages
from styletransfer.vgg import Vgg19


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
