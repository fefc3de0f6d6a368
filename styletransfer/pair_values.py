"""Values that each pair has of its own, taken one output at a time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.clock import StepClock
from styletransfer.discriminator import PatchGan
from styletransfer.errors import NonFiniteInput
from styletransfer.metric_specs import METRICS
from styletransfer.metrics.adversarial import generator_loss
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.structure import cfsd, ssim
from styletransfer.metrics.style import weigh_layers
from styletransfer.perceptual_values import PerceptualReferences
from styletransfer.recipe import Recipe
from styletransfer.references import VggReferences, look
from styletransfer.values import ReferenceImages
from styletransfer.vgg import Vgg19, to_batch

Values = NDArray[np.float64]


class PairMeter:
    """Measures outputs in the order of the pairs and puts their values together."""

    def __init__(
        self,
        recipe: Recipe,
        references: ReferenceImages,
        features: VggReferences,
        vgg: Vgg19,
        discriminator: PatchGan | None,
        perceptual: PerceptualReferences | None,
        clock: StepClock,
    ) -> None:
        self._recipe, self._references, self._features = recipe, references, features
        self._vgg, self._discriminator, self._clock = vgg, discriminator, clock
        self._perceptual = perceptual
        self._wanted = [key for key in recipe.measured if METRICS[key].per_pair]
        self._numbers: list[int] = []
        self._raw: dict[str, list[float]] = defaultdict(list)

    @torch.inference_mode()
    def measure(self, numbers: Sequence[int], batch: Tensor) -> None:
        """Measure the outputs of the pairs ``numbers``, ``(N, 3, H, W)`` in 0..1."""
        self._numbers.extend(numbers)
        contents, styles = zip(*(self._references.pairs[number] for number in numbers), strict=True)
        with self._clock.measure("vgg"):
            maps, grams = look(self._vgg, self._recipe, batch)
            content_maps = self._features.contents(contents, batch.device)
            self._note("content", content_loss(maps, content_maps))
            self._note(
                "style",
                weigh_layers(
                    grams,
                    self._features.styles(styles, batch.device),
                    self._recipe.style_weights,
                    self._recipe.normalization,
                ),
            )
        if self._discriminator is not None:
            with self._clock.measure("discriminator"):
                self._note("adversarial", generator_loss(self._discriminator(batch)))
        if self._perceptual is not None:
            with self._clock.measure("lpips"):
                self._note("lpips", self._perceptual.compare(contents, batch))
        if "cfsd" in self._wanted:
            with self._clock.measure("cfsd"):
                self._note("cfsd", cfsd(content_maps, maps))
        if "ssim" in self._wanted:
            with self._clock.measure("ssim"):
                originals = [self._references.contents[content] for content in contents]
                self._note("ssim", ssim(batch, to_batch(originals, batch.device)))

    def raw(self) -> Mapping[str, Values]:
        """Return what the networks said of each output that was measured, by metric key."""
        return {key: np.array(values, np.float64) for key, values in self._raw.items()}

    def values(self) -> Mapping[str, Values]:
        """Return the recipe's metrics of pairs, one value per pair that was measured.

        Raises:
            NonFiniteInput: a value is NaN or infinite.
        """
        return derive_values(self._recipe, self._features, self._numbers, self.raw())

    def _note(self, key: str, values: Tensor) -> None:
        self._raw[key].extend(values.tolist())


def derive_values(
    recipe: Recipe, features: VggReferences, numbers: Sequence[int], raw: Mapping[str, Values]
) -> Mapping[str, Values]:
    """Return the recipe's metrics of the pairs ``numbers`` from what networks said of each.

    Raises:
        NonFiniteInput: a value is NaN or infinite.
    """
    wanted = [key for key in recipe.measured if METRICS[key].per_pair]
    found = dict(raw)
    content, style = found["content"], found["style"]
    adversarial = found.setdefault("adversarial", np.zeros(len(content)))
    with np.errstate(over="ignore"):  # an infinite total is refused below
        found["total"] = recipe.alpha * content + recipe.beta * style + recipe.gamma * adversarial
    if "content_relative" in wanted:
        found["content_relative"] = content / features.paste_content[numbers]
    if "style_relative" in wanted:
        found["style_relative"] = style / features.identity_style[numbers]
    for key in wanted:
        if not np.isfinite(found[key]).all():
            raise NonFiniteInput(f"{key} is not a finite number for every pair")
    return {key: found[key] for key in wanted}
