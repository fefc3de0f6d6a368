"""The brief's training: Adam on the discriminator and on the generator, in turn.

The generator minimises ``alpha content + beta style + gamma adversarial``; the discriminator
learns to tell real paintings (1) from what was not painted (0).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from styletransfer.discriminator import PatchGan
from styletransfer.metrics.adversarial import discriminator_loss, generator_loss
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import Gram, gram_distance
from styletransfer.values import Recipe
from styletransfer.vgg import Vgg19


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        recipe: layers, layer weights and normalisation; its alpha, beta and gamma count in
            scoring only.
        alpha, beta, gamma: weights of the content, style and adversarial terms.
        copying_steps: steps at the start that only teach the generator to copy its input.
        photo_share: weight of unpainted photographs, against generated pictures, among what the
            discriminator learns to call not real. The brief's loss has 0: then D's scores of
            generated pictures fall as fast as G improves, and say little about photographs.
        scale: what the generator calls white, 255 for values 0..255.
    """

    recipe: Recipe
    alpha: float
    beta: float
    gamma: float
    steps: int
    batch: int = 1
    copying_steps: int = 0
    generator_rate: float = 2e-3
    discriminator_rate: float = 4e-4
    photo_share: float = 0.0
    scale: float = 255.0
    seed: int = 0


@dataclass
class Step:
    """What one step measured; terms are weighted, as they enter the total."""

    number: int
    content: float
    style: float
    adversarial: float
    discriminator: float


@dataclass
class Sampler:
    """Draws batches without repeating a picture before all others were drawn."""

    pictures: Tensor
    rng: np.random.Generator
    _waiting: list[int] = field(default_factory=list)

    def draw(self, count: int) -> Tensor:
        while len(self._waiting) < count:
            self._waiting += self.rng.permutation(len(self.pictures)).tolist()
        chosen, self._waiting = self._waiting[:count], self._waiting[count:]
        return self.pictures[chosen]


def train(
    generator: nn.Module,
    discriminator: PatchGan,
    vgg: Vgg19,
    *,
    contents: Tensor,
    style: Tensor,
    reals: Tensor,
    plan: Plan,
    on_step: Callable[[Step], None] | None = None,
) -> None:
    """Train both networks in place.

    Args:
        generator: maps (N, 3, H, W) to the same size, on the plan's scale.
        discriminator: judges outputs in 0..1.
        vgg: frozen, deep enough for the plan's recipe.
        contents: photographs (n, 3, H, W) in 0..1.
        style: the style image (1, 3, H', W') in 0..1.
        reals: paintings (m, 3, h, w) in 0..1.
        plan: weights, rates and lengths.
        on_step: told of every step's losses.
    """
    losses = StyleTarget(vgg, plan.recipe, style)
    rng = np.random.Generator(np.random.PCG64(plan.seed))
    photos, paintings = Sampler(contents, rng), Sampler(reals, rng)
    generator_adam = Adam(generator.parameters(), plan.generator_rate)
    discriminator_adam = Adam(discriminator.parameters(), plan.discriminator_rate, (0.5, 0.999))
    for _ in range(plan.copying_steps):
        batch = photos.draw(plan.batch)
        error = (generator(batch * plan.scale) / plan.scale - batch).square().mean()
        _descend(generator_adam, error)
    for number in range(plan.steps):
        _fade(generator_adam, plan.generator_rate, number / plan.steps)
        _fade(discriminator_adam, plan.discriminator_rate, number / plan.steps)
        batch = photos.draw(plan.batch)
        outputs = clamp(generator(batch * plan.scale) / plan.scale)
        judged = discriminator(paintings.draw(plan.batch))
        d_loss = (1 - plan.photo_share) * discriminator_loss(
            judged, discriminator(outputs.detach())
        ) + plan.photo_share * discriminator_loss(judged, discriminator(photos.draw(plan.batch)))
        _descend(discriminator_adam, d_loss)
        content, by_style = losses.measure(outputs, batch)
        judged_outputs = generator_loss(discriminator(outputs)).mean()
        terms = plan.alpha * content, plan.beta * by_style, plan.gamma * judged_outputs
        _descend(generator_adam, sum(terms[1:], terms[0]))
        if on_step:
            values = (*terms, d_loss)
            on_step(Step(number, *(float(value.detach()) for value in values)))


class StyleTarget:
    """Content and style losses against one style image."""

    def __init__(self, vgg: Vgg19, recipe: Recipe, style: Tensor) -> None:
        self.vgg, self.recipe = vgg, recipe
        self.layers = {recipe.content_layer, *recipe.style_layers}
        with torch.no_grad():
            maps = vgg.features(style, recipe.style_layers)
            self.grams = {layer: Gram.of(maps[layer]) for layer in recipe.style_layers}

    def measure(self, outputs: Tensor, contents: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean content and style losses of a batch."""
        recipe = self.recipe
        with torch.no_grad():
            kept = self.vgg.features(contents, [recipe.content_layer])[recipe.content_layer]
        maps = self.vgg.features(outputs, self.layers)
        content = content_loss(maps[recipe.content_layer], kept).mean()
        style = torch.stack(list(self._style_terms(maps))).sum()
        return content, style

    def _style_terms(self, maps: dict[str, Tensor]) -> Iterator[Tensor]:
        recipe = self.recipe
        for layer, weight in zip(recipe.style_layers, recipe.style_weights, strict=True):
            gram, target = Gram.of(maps[layer]), self.grams[layer]
            repeated = Gram(target.matrix.expand_as(gram.matrix), target.positions)
            yield weight * gram_distance(gram, repeated, recipe.normalization).mean()


def clamp(images: Tensor) -> Tensor:
    """Limit to 0..1 as scoring does, yet pass gradients as if nothing had been cut off."""
    return images + (images.clamp(0, 1) - images).detach()


def _descend(optimizer: Adam, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _fade(optimizer: Adam, rate: float, progress: float) -> None:
    """Lower the learning rate along a half cosine to a twentieth."""
    for group in optimizer.param_groups:
        group["lr"] = rate * (0.525 + 0.475 * np.cos(np.pi * progress))
